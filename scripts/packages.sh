# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts here share: which of Debian's packages each needs, and how to say and do it.

# To build the two products.
packages_build=(
  g++ cmake ninja-build ccache pkg-config
  protobuf-compiler libprotobuf-dev libprotoc-dev libprotozero-dev libabsl-dev libcli11-dev
  nlohmann-json3-dev libzstd-dev libxxhash-dev)

# What the demonstration records.
packages_demo=(curl python3-minimal libpython3-stdlib)

# To build and run the tests: test libraries, the sanitizers' and the fuzzer's compiler, and the real programs that
# the tests record.
packages_test=(
  libgtest-dev libgmock-dev libbenchmark-dev clang libclang-rt-14-dev asciidoctor binutils file
  python3 curl nginx-light redis-server redis-tools postgresql nodejs openssh-client openssh-server git socat
  netcat-openbsd procps iproute2 util-linux strace busybox-static musl-tools libpython3.11-testsuite perl
  libjemalloc2)

# What scripts/conformance runs besides: interpreters, and what fetches and unpacks the source packages with their tests.
packages_conformance=(perl tcl openssl dpkg-dev debian-archive-keyring ca-certificates)

# What bench/ measures besides: clients that load servers, and their servers.
packages_bench=(wrk iperf3 nginx-light redis-server redis-tools postgresql curl python3 libbenchmark-dev
  linux-perf binutils)

# What bench/peers compares with.
packages_peers=(strace ltrace linux-perf bpftrace wireshark-common lttng-tools liblttng-ust-dev babeltrace2)

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

# install_packages NAME...: installs what is missing, and says so. Root, or somebody with sudo.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "All ${#} packages needed are installed."
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || {
      printf 'These packages are missing, and there is neither root nor sudo to install them:\n  %s\n' "${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} of Debian's packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  # A package's service must not start by itself: the tests start their own.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=1
  fi
  local status=0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" > /dev/null || status=$?
  [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
  return "$status"
}


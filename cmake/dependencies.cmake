# SPDX-License-Identifier: Apache-2.0
# Debian 12's packages; scripts/install-packages names them.

find_package(Threads REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(absl REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
if(SOCKTALE_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(SOCKTALE_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()

// SPDX-License-Identifier: Apache-2.0

#include "preload/confinement.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#include "preload/poison.h"

namespace socktale::confinement {

constinit std::atomic<uint64_t> in_force{0};
constinit Row rows[kRows] = {};

namespace {

constinit std::atomic<uint32_t> rows_taken{2};

// The row that allows what `bits` does; when there are too many, that which allows nothing.
uint64_t RowOf(const uint64_t* bits) {
  for (uint64_t row = 1; row < kRows; ++row) {
    if (row > 1 && !rows[row].written.load(std::memory_order_acquire)) continue;
    if (memcmp(rows[row].words, bits, sizeof rows[row].words) == 0) return row;
  }
  if (rows_taken.load(std::memory_order_relaxed) >= kRows) return 1;
  const uint32_t row = rows_taken.fetch_add(1, std::memory_order_relaxed);
  if (row >= kRows) return 1;
  memcpy(rows[row].words, bits, sizeof rows[row].words);
  rows[row].written.store(true, std::memory_order_release);
  return row;
}

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

bool IsHarmless(uint32_t verdict) {
  switch (verdict & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ERRNO:
      return true;
    default:  // kills, raises SIGSYS, or asks a process that may be none of ours
      return false;
  }
}

uint32_t Calculate(uint16_t operation, uint32_t a, uint32_t k) {
  switch (operation) {
    case BPF_ADD:
      return a + k;
    case BPF_SUB:
      return a - k;
    case BPF_MUL:
      return a * k;
    case BPF_OR:
      return a | k;
    case BPF_AND:
      return a & k;
    case BPF_XOR:
      return a ^ k;
    case BPF_LSH:
      return k < 32 ? a << k : 0;
    case BPF_RSH:
      return k < 32 ? a >> k : 0;
    case BPF_DIV:
      return k != 0 ? a / k : 0;
    default:  // BPF_NEG
      return 0 - a;
  }
}

bool Compare(uint16_t comparison, uint32_t a, uint32_t k) {
  switch (comparison) {
    case BPF_JEQ:
      return a == k;
    case BPF_JGT:
      return a > k;
    case BPF_JGE:
      return a >= k;
    default:  // BPF_JSET
      return (a & k) != 0;
  }
}

}  // namespace

Change Narrow(const uint64_t* bits) {
  uint64_t before = in_force.load(std::memory_order_acquire);
  for (;;) {
    uint64_t both[kWords];
    for (long i = 0; i < kWords; ++i) both[i] = before % kRows == 0 ? bits[i] : bits[i] & rows[before % kRows].words[i];
    const uint64_t after = (before / kRows + 1) * kRows + RowOf(both);
    if (in_force.compare_exchange_weak(before, after, std::memory_order_acq_rel, std::memory_order_acquire)) {
      return {before, after};
    }
  }
}

uint64_t TakeBack(const Change& change) {
  uint64_t expected = change.after;
  const uint64_t left = (change.after / kRows + 1) * kRows + change.before % kRows;
  return in_force.compare_exchange_strong(expected, left, std::memory_order_acq_rel) ? left : 0;
}

bool LetsLive(const sock_filter* program, size_t length, uint32_t number, FilterState* states) {
  memset(states, 0, length * sizeof *states);
  states[0] = {0, true, true};
  bool whole = true;  // all jumps end inside
  const auto flow = [&](size_t to, const FilterState& from) {
    if (to >= length) {
      whole = false;
      return;
    }
    FilterState& state = states[to];
    if (!state.reached) {
      state = from;
    } else if (!from.known || from.accumulator != state.accumulator) {
      state.known = false;
    }
  };
  // Jumps go forward alone, so every state is complete when its turn comes.
  for (size_t at = 0; at < length; ++at) {
    FilterState state = states[at];
    if (!state.reached) continue;
    const sock_filter& step = program[at];
    const uint16_t operation = BPF_OP(step.code);
    switch (BPF_CLASS(step.code)) {
      case BPF_LD:
        state.known = true;
        if (step.code == (BPF_LD | BPF_W | BPF_ABS) && step.k == offsetof(seccomp_data, nr)) {
          state.accumulator = number;
        } else if (step.code == (BPF_LD | BPF_W | BPF_ABS) && step.k == offsetof(seccomp_data, arch)) {
          state.accumulator = kArchitecture;
        } else if (step.code == (BPF_LD | BPF_IMM)) {
          state.accumulator = step.k;
        } else {
          state.known = false;
        }
        break;
      case BPF_ALU:
        if (BPF_SRC(step.code) == BPF_X) state.known = false;
        state.accumulator = Calculate(operation, state.accumulator, step.k);
        break;
      case BPF_MISC:
        if (BPF_MISCOP(step.code) == BPF_TXA) state.known = false;
        break;
      case BPF_JMP: {
        if (operation == BPF_JA) {
          flow(at + 1 + step.k, state);
          continue;
        }
        const bool decided = state.known && BPF_SRC(step.code) == BPF_K;
        const bool taken = decided && Compare(operation, state.accumulator, step.k);
        if (!decided || taken) flow(at + 1 + step.jt, state);
        if (!decided || !taken) flow(at + 1 + step.jf, state);
        continue;
      }
      case BPF_RET:
        if (BPF_RVAL(step.code) == BPF_A ? !state.known || !IsHarmless(state.accumulator) : !IsHarmless(step.k)) {
          return false;
        }
        continue;
      default:  // stores, and loads of the other register
        break;
    }
    flow(at + 1, state);
  }
  return whole;
}

}  // namespace socktale::confinement

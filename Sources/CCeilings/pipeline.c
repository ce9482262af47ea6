// Loops whose machine code is what is measured.
#include "kiviat_pipeline.h"

uint64_t kiviat_additions(uint64_t times) {
  uint64_t x = 0;
  for (uint64_t i = 0; i < times; i++) {
#pragma GCC unroll 32
    for (unsigned k = 0; k < KIVIAT_ADDITIONS; k++) {
      x += i;
      // Keeps the compiler from adding up what the processor shall.
      __asm__ volatile("" : "+r"(x));
    }
  }
  return x;
}

void kiviat_nothing(uint64_t times) {
  for (uint64_t i = 0; i < times; i++) {
#if defined(__x86_64__)
    // Not nop: Zen 4 joins two of them. A register set to zero this way is done when it is renamed, by every core since
    // Sandy Bridge and Zen, so that the width of renaming alone limits.
    __asm__ volatile(".rept 20\n xor %%eax, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n xor %%esi, %%esi\n"
                     " xor %%edi, %%edi\n xor %%r8d, %%r8d\n .endr"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "cc");
#else
    __asm__ volatile(".rept 120\n nop\n .endr");
#endif
  }
}

int kiviat_branches(const uint8_t *bits, size_t count) {
  uint64_t taken = 0;
  for (size_t i = 0; i < count; i++) {
#if defined(__x86_64__)
    __asm__ volatile("testb $1, (%1)\n jz 1f\n add $1, %0\n 1:" : "+r"(taken) : "r"(bits + i) : "cc", "memory");
#elif defined(__aarch64__)
    uint64_t bit = bits[i];
    __asm__ volatile("tbz %1, #0, 1f\n add %0, %0, #1\n 1:" : "+r"(taken) : "r"(bit));
#else
    (void)taken;
    (void)bits;
    return 0;
#endif
  }
  return 1;
}

const void *kiviat_chase(const void *start, uint64_t steps) {
  const void *at = start;
  for (uint64_t i = 0; i < steps; i++) at = *(const void *const *)at;
  return at;
}

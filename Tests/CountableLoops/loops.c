// A program whose instructions, misses and mispredictions can be counted by hand: what a simulator is checked against.
//
//   CountableLoops loop N        3 N instructions in counted_loop
//   CountableLoops chase N       N loads over 8 MiB in an order that no cache below it holds, in chased
//   CountableLoops stream N      N times all 8-byte words of 8 MiB, in order, in streamed
//   CountableLoops inside N      N times all 8-byte words of 16 KiB, in order, in streamed
//   CountableLoops branches N K  N branches in branched: K = 0 never taken, 1 random, 2 in turns
//   CountableLoops fork N        3 N instructions in the child after 6 N in the parent, all in counted_loop
//   CountableLoops exec ARG...   3000 instructions in counted_loop, then becomes ARG...
//   CountableLoops forever       runs until it is ended; forever-stubborn ignores SIGTERM
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, optnone))
#if !defined(__clang__)
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

NOINLINE uint64_t counted_loop(uint64_t n) {
  uint64_t x = 0;
#if defined(__x86_64__)
  __asm__ volatile("1: add $1, %0\n dec %1\n jnz 1b" : "+r"(x), "+r"(n) : : "cc");
#elif defined(__aarch64__)
  __asm__ volatile("1: add %0, %0, #1\n subs %1, %1, #1\n b.ne 1b" : "+r"(x), "+r"(n) : : "cc");
#endif
  return x;
}

NOINLINE void *chased(void *start, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) start = *(void **)start;
  return start;
}

NOINLINE uint64_t streamed(const uint64_t *words, size_t count, uint64_t times) {
  uint64_t sum = 0;
  for (uint64_t t = 0; t < times; t++)
    for (size_t i = 0; i < count; i++) sum += words[i];
  return sum;
}

NOINLINE uint64_t branched(const uint8_t *bits, uint64_t n) {
  uint64_t x = 0;
  for (uint64_t i = 0; i < n; i++) {
#if defined(__x86_64__)
    __asm__ volatile("testb $1, (%1)\n jz 1f\n add $1, %0\n 1:" : "+r"(x) : "r"(bits + i) : "cc", "memory");
#elif defined(__aarch64__)
    uint64_t bit = bits[i];
    __asm__ volatile("tbz %1, #0, 1f\n add %0, %0, #1\n 1:" : "+r"(x) : "r"(bit));
#endif
  }
  return x;
}

static uint64_t state = 0x9E3779B97F4A7C15ull;
static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

enum { line = 64, lines = (8 << 20) / line };

int main(int count, char **arguments) {
  if (count < 2) return 2;
  const char *what = arguments[1];
  uint64_t n = count > 2 ? strtoull(arguments[2], NULL, 10) : 0;
  if (!strcmp(what, "loop")) return counted_loop(n) != n;
  if (!strcmp(what, "chase")) {
    char *memory = aligned_alloc(4096, (size_t)lines * line);
    uint32_t *order = malloc(lines * sizeof *order);
    if (!memory || !order) return 3;
    for (uint32_t i = 0; i < lines; i++) order[i] = i;
    // Sattolo's shuffle: one cycle through all lines.
    for (uint32_t i = lines - 1; i > 0; i--) {
      uint32_t j = (uint32_t)(next_random() % i), t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
    for (uint32_t i = 0; i < lines; i++) *(void **)(memory + (size_t)i * line) = memory + (size_t)order[i] * line;
    return chased(memory, n) == NULL;
  }
  if (!strcmp(what, "stream") || !strcmp(what, "inside")) {
    size_t bytes = !strcmp(what, "stream") ? 8u << 20 : 16u << 10;
    uint64_t *words = aligned_alloc(4096, bytes);
    if (!words) return 3;
    for (size_t i = 0; i < bytes / 8; i++) words[i] = i;
    return streamed(words, bytes / 8, n) == 1;
  }
  if (!strcmp(what, "branches")) {
    int kind = count > 3 ? atoi(arguments[3]) : 0;
    uint8_t *bits = malloc(n);
    if (!bits) return 3;
    for (uint64_t i = 0; i < n; i++) bits[i] = kind == 1 ? next_random() >> 40 & 1 : kind == 2 ? i & 1 : 0;
    return branched(bits, n) == 1;
  }
  if (!strcmp(what, "fork")) {
    counted_loop(2 * n);
    pid_t child = fork();
    if (child == 0) _exit(counted_loop(n) != n);
    int status = 1;
    waitpid(child, &status, 0);
    return status != 0;
  }
  if (!strcmp(what, "exec") && count > 2) {
    counted_loop(1000);
    execv(arguments[2], arguments + 2);
    return 4;
  }
  if (!strncmp(what, "forever", 7)) {
    if (strlen(what) > 7) signal(SIGTERM, SIG_IGN);
    for (;;) counted_loop(1000000);
  }
  return 2;
}

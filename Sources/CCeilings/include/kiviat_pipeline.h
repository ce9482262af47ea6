// What a processor's pipeline costs, in loops that have to be exact machine code: a dependent addition, an empty
// instruction, a mispredicted branch, a load that waits for the one before it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Additions in `kiviat_additions`, each of which needs the one before: a cycle each.
#define KIVIAT_ADDITIONS 32u
/// Instructions in `kiviat_nothing` that wait for nothing and need no unit: as many a cycle as the processor can take in.
#define KIVIAT_NOTHING 120u

/// Runs the chain of additions so often.
uint64_t kiviat_additions(uint64_t times);
/// Runs those instructions so often.
void kiviat_nothing(uint64_t times);
/// Branches on the lowest bit of each byte, by an instruction that can't be replaced with a conditional move. False where
/// this processor has no such loop.
int kiviat_branches(const uint8_t *bits, size_t count);
/// Follows a chain of pointers so often; returns where it ends.
const void *kiviat_chase(const void *start, uint64_t steps);

static inline uint64_t kiviat_additions_each(void) { return KIVIAT_ADDITIONS; }
static inline uint64_t kiviat_nothing_each(void) { return KIVIAT_NOTHING; }

#ifdef __cplusplus
}
#endif

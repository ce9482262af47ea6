// How fast this machine can compute and move data: loops that have to be exact machine code, and CPUID.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "kiviat_pipeline.h"

#ifdef __cplusplus
extern "C" {
#endif

/// CPUID leaf 0x40000000: the hypervisor's signature. Returns 0 on bare metal and off x86, where `out` stays empty.
int kiviat_hypervisor_signature(char out[16]);

/// Binds the calling thread to a CPU (Swift does not see `CPU_SET`). Returns 0, or -1 when the system forbids it.
int kiviat_pin_thread(int cpu);

/// Instruction sets that the loops come in.
enum kiviat_simd {
  KIVIAT_SIMD_GENERIC = 0,  ///< What the compiler makes of 16-byte vectors on any CPU; multiply and add apart.
  KIVIAT_SIMD_AVX2 = 1,     ///< 32-byte vectors with FMA.
  KIVIAT_SIMD_AVX512 = 2,   ///< 64-byte vectors with FMA.
  KIVIAT_SIMD_NEON = 3,     ///< 16-byte vectors with FMA.
};

/// The widest set that this CPU and its operating system offer.
enum kiviat_simd kiviat_simd_best(void);
/// Bytes of a vector of a set; 0 when this build has no loops for it.
size_t kiviat_simd_bytes(enum kiviat_simd simd);

/// Independent chains of multiply-adds that a loop keeps in flight (one vector register each).
enum { KIVIAT_FMA_CHAINS = 12 };

/// Runs `iterations` × KIVIAT_FMA_CHAINS vector multiply-adds x = x·m + a on registers and returns the sum of all
/// lanes at the end. FLOPs done: 2 · iterations · chains · lanes. `simd` must be one that this CPU has.
double kiviat_fma_f32(enum kiviat_simd simd, uint64_t iterations, float multiplier, float addend);
double kiviat_fma_f64(enum kiviat_simd simd, uint64_t iterations, double multiplier, double addend);

/// The triad a[i] = b[i] + scale·c[i] over `count` doubles, `repetitions` times. `streaming` stores past the caches
/// (x86 only; elsewhere it is the same as 0), so that no line of `a` is read.
void kiviat_triad(double *a, const double *b, const double *c, double scale, size_t count, uint64_t repetitions,
                  int streaming);
/// Whether kiviat_triad can store past the caches on this build.
int kiviat_triad_can_stream(void);

/// Reads `count` doubles `repetitions` times and returns their sum, with as many loads in flight as the core allows.
double kiviat_read(enum kiviat_simd simd, const double *a, size_t count, uint64_t repetitions);

#ifdef __cplusplus
}
#endif

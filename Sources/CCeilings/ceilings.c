// The loops that measure how fast this machine can compute and move data.
// C because Swift can neither target an instruction set per function nor promise that a loop stays one.
#include "kiviat_ceilings.h"

#include <sched.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

int kiviat_hypervisor_signature(char out[16]) {
  memset(out, 0, 16);
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  __cpuid(1, a, b, c, d);
  if (!(c >> 31)) return 0;
  __cpuid(0x40000000, a, b, c, d);
  memcpy(out, &b, 4);
  memcpy(out + 4, &c, 4);
  memcpy(out + 8, &d, 4);
  return 1;
#else
  return 0;
#endif
}

int kiviat_pin_thread(int cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return -1;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set);
}

enum kiviat_simd kiviat_simd_best(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return KIVIAT_SIMD_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return KIVIAT_SIMD_AVX2;
  return KIVIAT_SIMD_GENERIC;
#elif defined(__aarch64__)
  return KIVIAT_SIMD_NEON;
#else
  return KIVIAT_SIMD_GENERIC;
#endif
}

size_t kiviat_simd_bytes(enum kiviat_simd simd) {
  switch (simd) {
    case KIVIAT_SIMD_GENERIC: return 16;
#if defined(__x86_64__)
    case KIVIAT_SIMD_AVX2: return 32;
    case KIVIAT_SIMD_AVX512: return 64;
#elif defined(__aarch64__)
    case KIVIAT_SIMD_NEON: return 16;
#endif
    default: return 0;
  }
}

// The empty asm makes the compiler believe that a register was changed, so that it can neither fold two steps into one
// nor move work out of the loop; it costs no instruction. Twelve chains hide the latency of a multiply-add (4 cycles on
// Intel and AMD, 4 on Neoverse) on two or three units, and fit into 16 registers beside multiplier and addend.
#define KIVIAT_FMA(NAME, TARGET, TYPE, VECTOR, CONSTRAINT, STEP)                                      \
  TARGET static double NAME(uint64_t iterations, TYPE multiplier, TYPE addend) {                      \
    enum { LANES = sizeof(VECTOR) / sizeof(TYPE) };                                                   \
    VECTOR m, a, x[KIVIAT_FMA_CHAINS];                                                                \
    for (int l = 0; l < LANES; l++) m[l] = multiplier, a[l] = addend;                                 \
    for (int i = 0; i < KIVIAT_FMA_CHAINS; i++)                                                       \
      for (int l = 0; l < LANES; l++) x[i][l] = (TYPE)(i + 1);                                        \
    VECTOR x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], x7 = x[7],    \
           x8 = x[8], x9 = x[9], x10 = x[10], x11 = x[11];                                            \
    for (uint64_t n = 0; n < iterations; n++) {                                                       \
      STEP(x0) STEP(x1) STEP(x2) STEP(x3) STEP(x4) STEP(x5)                                           \
      STEP(x6) STEP(x7) STEP(x8) STEP(x9) STEP(x10) STEP(x11)                                         \
      __asm__ volatile(""                                                                             \
                       : "+" CONSTRAINT(x0), "+" CONSTRAINT(x1), "+" CONSTRAINT(x2),                  \
                         "+" CONSTRAINT(x3), "+" CONSTRAINT(x4), "+" CONSTRAINT(x5),                  \
                         "+" CONSTRAINT(x6), "+" CONSTRAINT(x7), "+" CONSTRAINT(x8),                  \
                         "+" CONSTRAINT(x9), "+" CONSTRAINT(x10), "+" CONSTRAINT(x11));               \
    }                                                                                                 \
    double sum = 0;                                                                                   \
    VECTOR y[KIVIAT_FMA_CHAINS] = {x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11};                 \
    for (int i = 0; i < KIVIAT_FMA_CHAINS; i++)                                                       \
      for (int l = 0; l < LANES; l++) sum += (double)y[i][l];                                         \
    return sum;                                                                                       \
  }

typedef float kiviat_f32x4 __attribute__((vector_size(16)));
typedef double kiviat_f64x2 __attribute__((vector_size(16)));

#if defined(__x86_64__)
typedef float kiviat_f32x8 __attribute__((vector_size(32)));
typedef double kiviat_f64x4 __attribute__((vector_size(32)));
typedef float kiviat_f32x16 __attribute__((vector_size(64)));
typedef double kiviat_f64x8 __attribute__((vector_size(64)));
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
#define STEP_MUL_ADD(X) X = X * m + a;
#define STEP_256_F32(X) X = (kiviat_f32x8)_mm256_fmadd_ps((__m256)X, (__m256)m, (__m256)a);
#define STEP_256_F64(X) X = (kiviat_f64x4)_mm256_fmadd_pd((__m256d)X, (__m256d)m, (__m256d)a);
#define STEP_512_F32(X) X = (kiviat_f32x16)_mm512_fmadd_ps((__m512)X, (__m512)m, (__m512)a);
#define STEP_512_F64(X) X = (kiviat_f64x8)_mm512_fmadd_pd((__m512d)X, (__m512d)m, (__m512d)a);
KIVIAT_FMA(fma_generic_f32, , float, kiviat_f32x4, "x", STEP_MUL_ADD)
KIVIAT_FMA(fma_generic_f64, , double, kiviat_f64x2, "x", STEP_MUL_ADD)
KIVIAT_FMA(fma_avx2_f32, AVX2, float, kiviat_f32x8, "x", STEP_256_F32)
KIVIAT_FMA(fma_avx2_f64, AVX2, double, kiviat_f64x4, "x", STEP_256_F64)
KIVIAT_FMA(fma_avx512_f32, AVX512, float, kiviat_f32x16, "v", STEP_512_F32)
KIVIAT_FMA(fma_avx512_f64, AVX512, double, kiviat_f64x8, "v", STEP_512_F64)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define STEP_NEON_F32(X) X = (kiviat_f32x4)vfmaq_f32((float32x4_t)a, (float32x4_t)X, (float32x4_t)m);
#define STEP_NEON_F64(X) X = (kiviat_f64x2)vfmaq_f64((float64x2_t)a, (float64x2_t)X, (float64x2_t)m);
#define STEP_MUL_ADD(X) X = X * m + a;
KIVIAT_FMA(fma_generic_f32, , float, kiviat_f32x4, "w", STEP_MUL_ADD)
KIVIAT_FMA(fma_generic_f64, , double, kiviat_f64x2, "w", STEP_MUL_ADD)
KIVIAT_FMA(fma_neon_f32, , float, kiviat_f32x4, "w", STEP_NEON_F32)
KIVIAT_FMA(fma_neon_f64, , double, kiviat_f64x2, "w", STEP_NEON_F64)
#else
#define STEP_MUL_ADD(X) X = X * m + a;
KIVIAT_FMA(fma_generic_f32, , float, kiviat_f32x4, "m", STEP_MUL_ADD)
KIVIAT_FMA(fma_generic_f64, , double, kiviat_f64x2, "m", STEP_MUL_ADD)
#endif

double kiviat_fma_f32(enum kiviat_simd simd, uint64_t iterations, float multiplier, float addend) {
  switch (simd) {
#if defined(__x86_64__)
    case KIVIAT_SIMD_AVX2: return fma_avx2_f32(iterations, multiplier, addend);
    case KIVIAT_SIMD_AVX512: return fma_avx512_f32(iterations, multiplier, addend);
#elif defined(__aarch64__)
    case KIVIAT_SIMD_NEON: return fma_neon_f32(iterations, multiplier, addend);
#endif
    default: return fma_generic_f32(iterations, multiplier, addend);
  }
}

double kiviat_fma_f64(enum kiviat_simd simd, uint64_t iterations, double multiplier, double addend) {
  switch (simd) {
#if defined(__x86_64__)
    case KIVIAT_SIMD_AVX2: return fma_avx2_f64(iterations, multiplier, addend);
    case KIVIAT_SIMD_AVX512: return fma_avx512_f64(iterations, multiplier, addend);
#elif defined(__aarch64__)
    case KIVIAT_SIMD_NEON: return fma_neon_f64(iterations, multiplier, addend);
#endif
    default: return fma_generic_f64(iterations, multiplier, addend);
  }
}

// One pass is opaque to the next, so that the compiler can't do the work once for all repetitions.
#define KIVIAT_TOUCH(POINTER) __asm__ volatile("" : : "r"(POINTER) : "memory")

static void triad_plain(double *restrict a, const double *restrict b, const double *restrict c, double scale,
                        size_t count) {
  for (size_t i = 0; i < count; i++) a[i] = b[i] + scale * c[i];
}

#if defined(__x86_64__)
AVX2 static void triad_avx2(double *restrict a, const double *restrict b, const double *restrict c, double scale,
                            size_t count) {
  for (size_t i = 0; i < count; i++) a[i] = b[i] + scale * c[i];
}

// SSE2 stores are enough: the memory, not the core, is the limit.
static void triad_streaming(double *restrict a, const double *restrict b, const double *restrict c, double scale,
                            size_t count) {
  size_t i = 0;
  const __m128d s = _mm_set1_pd(scale);
  for (; i < count && ((uintptr_t)(a + i) & 15); i++) a[i] = b[i] + scale * c[i];
  for (; i + 8 <= count; i += 8)
    for (int k = 0; k < 8; k += 2)
      _mm_stream_pd(a + i + k, _mm_add_pd(_mm_loadu_pd(b + i + k), _mm_mul_pd(s, _mm_loadu_pd(c + i + k))));
  for (; i < count; i++) a[i] = b[i] + scale * c[i];
  _mm_sfence();
}
#endif

int kiviat_triad_can_stream(void) {
#if defined(__x86_64__)
  return 1;
#else
  return 0;
#endif
}

void kiviat_triad(double *a, const double *b, const double *c, double scale, size_t count, uint64_t repetitions,
                  int streaming) {
#if defined(__x86_64__)
  const int wide = kiviat_simd_best() != KIVIAT_SIMD_GENERIC;
#endif
  for (uint64_t r = 0; r < repetitions; r++) {
#if defined(__x86_64__)
    if (streaming)
      triad_streaming(a, b, c, scale, count);
    else if (wide)
      triad_avx2(a, b, c, scale, count);
    else
#endif
      triad_plain(a, b, c, scale, count);
    KIVIAT_TOUCH(a);
  }
  (void)streaming;
}

// Eight independent vector sums, so that loads and not additions are the limit (two loads and two adds a cycle).
#define KIVIAT_READ(NAME, TARGET, VECTOR)                                                 \
  TARGET static double NAME(const double *a, size_t count) {                              \
    enum { LANES = sizeof(VECTOR) / sizeof(double), STRIDE = 8 * LANES };                 \
    VECTOR s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0}; \
    size_t i = 0;                                                                         \
    for (; i + STRIDE <= count; i += STRIDE) {                                            \
      VECTOR v[8];                                                                        \
      memcpy(v, a + i, sizeof v);                                                         \
      s0 += v[0], s1 += v[1], s2 += v[2], s3 += v[3];                                     \
      s4 += v[4], s5 += v[5], s6 += v[6], s7 += v[7];                                     \
    }                                                                                     \
    s0 += s1 + s2 + s3 + s4 + s5 + s6 + s7;                                               \
    double sum = 0;                                                                       \
    for (int l = 0; l < LANES; l++) sum += s0[l];                                         \
    for (; i < count; i++) sum += a[i];                                                   \
    return sum;                                                                           \
  }

KIVIAT_READ(read_generic, , kiviat_f64x2)
#if defined(__x86_64__)
KIVIAT_READ(read_avx2, AVX2, kiviat_f64x4)
KIVIAT_READ(read_avx512, AVX512, kiviat_f64x8)
#endif

double kiviat_read(enum kiviat_simd simd, const double *a, size_t count, uint64_t repetitions) {
  double sum = 0;
  for (uint64_t r = 0; r < repetitions; r++) {
    KIVIAT_TOUCH(a);
#if defined(__x86_64__)
    if (simd == KIVIAT_SIMD_AVX512)
      sum += read_avx512(a, count);
    else if (simd == KIVIAT_SIMD_AVX2)
      sum += read_avx2(a, count);
    else
#endif
      sum += read_generic(a, count);
  }
  (void)simd;
  return sum;
}

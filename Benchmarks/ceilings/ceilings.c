// What do plain loops reach that the compiler has optimized for this CPU? The other side of compare.py.
// Build: cc -O3 -march=native -ffast-math -fopenmp ceilings.c -o ceilings. Prints one line a measure, best of REPETITIONS.
#define _GNU_SOURCE
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { REPETITIONS = 15, CHAINS = 12 };

// Multiply-adds that don't depend on each other: as many vectors of the widest kind as hide the latency.
#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif

#define FMA(NAME, TYPE)                                                                              \
  static double NAME(uint64_t iterations, TYPE multiplier, TYPE addend) {                           \
    typedef TYPE vector __attribute__((vector_size(VECTOR_BYTES)));                                 \
    vector x[CHAINS], m, a;                                                                          \
    for (unsigned l = 0; l < VECTOR_BYTES / sizeof(TYPE); l++) m[l] = multiplier, a[l] = addend;     \
    for (int i = 0; i < CHAINS; i++) x[i] = a * (TYPE)(i + 1);                                       \
    for (uint64_t n = 0; n < iterations; n++)                                                        \
      for (int i = 0; i < CHAINS; i++) x[i] = x[i] * m + a;                                          \
    double sum = 0;                                                                                  \
    for (int i = 0; i < CHAINS; i++)                                                                 \
      for (unsigned l = 0; l < VECTOR_BYTES / sizeof(TYPE); l++) sum += x[i][l];                     \
    return sum;                                                                                      \
  }
FMA(fma_single, float)
FMA(fma_double, double)

static volatile double sink;

static double flops(double (*run)(uint64_t), int lanes) {
  const uint64_t iterations = 4000000;
  double best = 0;
  for (int r = 0; r < REPETITIONS; r++) {
    double start = omp_get_wtime(), sum = 0;
#pragma omp parallel reduction(+ : sum)
    sum += run(iterations);
    double time = omp_get_wtime() - start;
    sink = sum;
    double rate = 2.0 * (double)iterations * CHAINS * lanes * omp_get_max_threads() / time;
    if (rate > best) best = rate;
  }
  return best;
}
// Not constants: the compiler would find the chain that starts at its fixed point and leave it out.
static volatile double multiplier = 0.5, addend = 1;
static double run_single(uint64_t n) { return fma_single(n, (float)multiplier, (float)addend); }
static double run_double(uint64_t n) { return fma_double(n, multiplier, addend); }

int main(int argc, char **argv) {
  size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1 << 24;
  printf("flops.f32 %.6g\n", flops(run_single, VECTOR_BYTES / 4));
  printf("flops.f64 %.6g\n", flops(run_double, VECTOR_BYTES / 8));
  double *a = aligned_alloc(4096, count * 8), *b = aligned_alloc(4096, count * 8), *c = aligned_alloc(4096, count * 8);
  if (!a || !b || !c) return 1;
  // As Kiviat asks for: with pages of 4 KiB a part of the time goes to page tables.
  madvise(a, count * 8, MADV_HUGEPAGE), madvise(b, count * 8, MADV_HUGEPAGE), madvise(c, count * 8, MADV_HUGEPAGE);
#pragma omp parallel for
  for (size_t i = 0; i < count; i++) a[i] = 0, b[i] = 1, c[i] = 1;
  double best = 0;
  for (int r = 0; r < REPETITIONS; r++) {
    double start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < count; i++) a[i] = b[i] + 3 * c[i];
    double time = omp_get_wtime() - start;
    if (a[count / 2] != 4) return 2;
    if (3.0 * 8 * (double)count / time > best) best = 3.0 * 8 * (double)count / time;
  }
  // STREAM's way of counting: three arrays, though a plain store reads its line first.
  printf("triad.3 %.6g\n", best);
#if defined(__SSE2__)
  best = 0;
  const __m128d scale = _mm_set1_pd(3);
  for (int r = 0; r < REPETITIONS; r++) {
    double start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < count; i += 2)
      _mm_stream_pd(a + i, _mm_add_pd(_mm_load_pd(b + i), _mm_mul_pd(scale, _mm_load_pd(c + i))));
    double time = omp_get_wtime() - start;
    if (a[count / 2] != 4) return 2;
    if (3.0 * 8 * (double)count / time > best) best = 3.0 * 8 * (double)count / time;
  }
  printf("triad.streaming %.6g\n", best);
#endif
  return 0;
}

// Reading a trace that is being written.
#include "kiviat_kernel_trace.h"

#include <string.h>

_Static_assert(sizeof(kiviat_trace_entry) == 104, "layout of entries");
_Static_assert(sizeof(kiviat_trace_thread) == 64, "layout of threads");
_Static_assert(sizeof(kiviat_trace_header) <= KIVIAT_TRACE_HEADER_BYTES, "the header's page");
_Static_assert(sizeof(kiviat_trace_counts) == 64 && sizeof(kiviat_trace_count) == 48, "layout of counts");
_Static_assert(KIVIAT_TRACE_REGION_BYTES % 4096 == 0, "counts begin at a page");
_Static_assert(KIVIAT_TRACE_ENTRIES <= KIVIAT_TRACE_IDLE, "a transition's 20 bits");

// A store takes nanoseconds: a writer that is seen inside one this often is not running.
enum { TRIES = 1000 };

static bool copy(const void *from, void *to, size_t size, const uint32_t *sequence) {
  for (int i = 0; i < TRIES; i++) {
    uint32_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
    memcpy(to, from, size);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (before % 2 == 0 && __atomic_load_n(sequence, __ATOMIC_RELAXED) == before) return true;
  }
  return false;
}

bool kiviat_trace_copy_entry(const kiviat_trace_entry *from, kiviat_trace_entry *to) {
  return copy(from, to, sizeof *to, &from->sequence);
}

bool kiviat_trace_copy_counts(const kiviat_trace_counts *from, kiviat_trace_counts *to, uint32_t events) {
  return copy(from, to, kiviat_trace_counts_bytes(events), &from->sequence);
}

bool kiviat_trace_copy_header(const kiviat_trace_header *from, kiviat_trace_header *to) {
  return copy(from, to, sizeof *to, &from->phase_sequence);
}

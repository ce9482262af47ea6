// The layout of a kernel trace file, which a traced workload writes through a shared mapping while kiviat reads it.
//
//   header | strings | region of thread 0 | region of thread 1 | …
//   region: kiviat_trace_thread | ring of transitions | entries
//
// The reader may look at any time, also after the writer was killed: numbers are whole 64-bit words, entries become
// visible only when complete (`entry_count` is stored last), and an entry's totals are guarded by a sequence number
// which is odd while they change. A writer never waits for a reader. Everything is in the machine's own byte order.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// "KIVIATKT" read as a little-endian number.
#define KIVIAT_TRACE_MAGIC 0x544b54414956494bULL
#define KIVIAT_TRACE_VERSION 1u
#define KIVIAT_TRACE_MAX_THREADS 64u
#define KIVIAT_TRACE_STRING_BYTES (8u << 20)
/// Entries of one thread; what does not fit is added up in entry 0.
#define KIVIAT_TRACE_ENTRIES (1u << 15)
/// Transitions kept of one thread: some 260 000 operations, a quarter of a second in the worst case.
#define KIVIAT_TRACE_RING (1u << 19)

/// What part of training runs. The values are KernelRecord.Phase's order.
typedef enum {
  KIVIAT_PHASE_FORWARD,
  KIVIAT_PHASE_BACKWARD,
  KIVIAT_PHASE_OPTIMIZER,
  KIVIAT_PHASE_DATA,
  KIVIAT_PHASE_EVALUATION,
  KIVIAT_PHASE_OTHER,
} kiviat_trace_phase;
#define KIVIAT_TRACE_PHASES 6

/// Whose formula an entry's FLOPs come from.
typedef enum {
  /// No formula covers the operation.
  KIVIAT_FLOPS_NONE,
  /// torch.utils.flop_counter's: matrix products, convolutions, attention; 2 a multiply-accumulate.
  KIVIAT_FLOPS_COUNTER,
  /// Kiviat's own: element-wise, normalization, pooling, loss, optimizer.
  KIVIAT_FLOPS_FORMULA,
} kiviat_trace_flops;

/// One operation with its shapes, phase and module. Everything before `sequence` is written once.
typedef struct {
  /// Offsets of NUL-terminated strings from the file's start.
  uint32_t name;
  uint32_t shapes;
  uint32_t types;
  uint32_t module;
  uint16_t phase;
  uint16_t flops_source;
  /// Whether `bytes_per_call` means something.
  uint32_t has_bytes;
  double flops_per_call;
  double bytes_per_call;
  /// Odd while the words below change.
  uint32_t sequence;
  /// Whether FLOPs and bytes count also when an operation inside counted some.
  uint32_t always_counts;
  uint64_t calls;
  /// Calls that count FLOPs and bytes: not those whose work an operation inside counted already.
  uint64_t counted_calls;
  uint64_t total_ns;
  uint64_t self_ns;
  /// Of the calls whose CPU time was read: how many, their self wall time, their self CPU time.
  uint64_t cpu_calls;
  uint64_t cpu_wall_ns;
  uint64_t cpu_ns;
} kiviat_trace_entry;

/// One thread. `position` is the number of transitions ever written; the newest is ring[(position − 1) % size].
typedef struct {
  /// The kernel's thread id.
  int32_t tid;
  uint32_t reserved;
  /// Offset of the thread's name.
  uint32_t name;
  uint32_t entry_count;
  uint64_t position;
  /// Operations that found no room for an entry of their own.
  uint64_t overflowed;
  uint64_t padding[4];
} kiviat_trace_thread;

typedef struct {
  uint64_t magic;
  uint32_t version;
  int32_t pid;
  /// CLOCK_MONOTONIC.
  uint64_t opened_ns;
  /// 0 while the trace is open.
  uint64_t closed_ns;
  uint32_t thread_count;
  /// The phase of the main thread, since when, and what has been added up before.
  uint32_t phase;
  uint64_t phase_since_ns;
  uint64_t phase_ns[KIVIAT_TRACE_PHASES];
  /// Odd while the phase changes.
  uint32_t phase_sequence;
  uint32_t string_used;
  /// Operations on threads beyond KIVIAT_TRACE_MAX_THREADS.
  uint64_t untraced_ops;
  /// What one traced operation costs, from a calibration at start; 0 when there was none.
  double cost_per_op_ns;
  /// Time that went into reading CPU clocks.
  uint64_t overhead_ns;
  /// Where each thread's region begins.
  uint64_t thread_offset[KIVIAT_TRACE_MAX_THREADS];
} kiviat_trace_header;

#define KIVIAT_TRACE_HEADER_BYTES 4096u
#define KIVIAT_TRACE_THREAD_BYTES 4096u
#define KIVIAT_TRACE_RING_BYTES ((uint64_t)KIVIAT_TRACE_RING * 8)
#define KIVIAT_TRACE_ENTRY_BYTES ((uint64_t)KIVIAT_TRACE_ENTRIES * sizeof(kiviat_trace_entry))
#define KIVIAT_TRACE_FIRST_REGION (KIVIAT_TRACE_HEADER_BYTES + (uint64_t)KIVIAT_TRACE_STRING_BYTES)
#define KIVIAT_TRACE_REGION_BYTES (KIVIAT_TRACE_THREAD_BYTES + KIVIAT_TRACE_RING_BYTES + KIVIAT_TRACE_ENTRY_BYTES)

/// A transition says which entry runs from a time on (`KIVIAT_TRACE_IDLE` for none), in one word: the upper 44 bits
/// are (time − opened_ns) / 16 ns, enough for 78 hours before it wraps, the lower 20 bits the entry.
#define KIVIAT_TRACE_IDLE 0xfffffu
/// Idle in a phase: of the main thread the ring tells the phase outside operations too. The first of
/// KIVIAT_TRACE_PHASES numbers; a reader that does not know them takes them for idle, as any beyond the entries.
#define KIVIAT_TRACE_IDLE_IN_PHASE 0xffff0u
static inline uint64_t kiviat_trace_transition(uint64_t since_opened_ns, uint32_t entry) {
  return (since_opened_ns >> 4) << 20 | entry;
}

// What Swift cannot say: a macro with a suffix, and loads that another process's stores race with.
static inline uint64_t kiviat_trace_magic(void) { return KIVIAT_TRACE_MAGIC; }
static inline uint64_t kiviat_trace_load64(const void *p) { return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE); }
static inline uint32_t kiviat_trace_load32(const void *p) { return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE); }

/// Copies an entry whose totals belong together. After a few tries (the writer died between two stores) it takes what
/// is there: the totals then differ by at most one call. False then.
bool kiviat_trace_copy_entry(const kiviat_trace_entry *from, kiviat_trace_entry *to);
/// Copies the header, phase times belonging together, likewise.
bool kiviat_trace_copy_header(const kiviat_trace_header *from, kiviat_trace_header *to);

#ifdef __cplusplus
}
#endif

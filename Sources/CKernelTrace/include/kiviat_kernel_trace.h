// The layout of a kernel trace file, which a traced workload writes through a shared mapping while kiviat reads it.
//
//   header | strings | region of thread 0 | region of thread 1 | …
//   region: kiviat_trace_thread | ring of transitions | entries | counts of the entries, where events are counted
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
#define KIVIAT_TRACE_VERSION 2u
#define KIVIAT_TRACE_MAX_THREADS 64u
#define KIVIAT_TRACE_STRING_BYTES (8u << 20)
/// Entries of one thread; what does not fit is added up in entry 0.
#define KIVIAT_TRACE_ENTRIES (1u << 15)
/// Perf events that can be counted by kernel.
#define KIVIAT_TRACE_EVENTS 8
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

/// What was counted of one event in an entry's calls, self only, the cost of reading it subtracted.
typedef struct {
  /// Sums over the calls that were read, each with its weight.
  double value;
  double enabled_ns;
  double running_ns;
  /// Of earlier draws with a weight w: the sums of w (w − 1) x² and of w (w − 1) x n, where x is what the draw's calls
  /// of this entry counted without weight, and n how many there were.
  double squared;
  double by_calls;
  /// x of the last draw.
  double in_root;
} kiviat_trace_count;

/// The counts of one entry, at the place in their array that the entry has in its own. A call of a root operation is a
/// draw of the sample: it is read with some probability, with all operations inside, and stands for `weight` =
/// 1 / probability such calls.
typedef struct {
  /// Odd while the words below change.
  uint32_t sequence;
  uint32_t reserved;
  /// Calls that were read; with their weights; earlier draws that stand for more than themselves.
  uint64_t calls;
  double weighted_calls;
  uint64_t draws;
  /// Of earlier draws: the sum of w (w − 1) n².
  double calls_squared;
  /// The last draw: its number, its weight, n.
  uint64_t root;
  double root_weight;
  uint64_t root_calls;
  /// As many as the header has events.
  kiviat_trace_count count[];
} kiviat_trace_counts;

/// An event that is counted by kernel.
typedef struct {
  /// Offset of its name.
  uint32_t name;
  /// The errno of opening it on the main thread; 0 when it counts.
  int32_t failure;
  /// Whether it leaves out the kernel, which this user may not look into.
  uint32_t is_reduced;
  uint32_t reserved;
  /// What reading all events at an operation's two boundaries adds to it; subtracted already.
  double reading;
} kiviat_trace_event;

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
  /// Events that are counted by kernel; below, what reading them all once takes, from a calibration at start, and what
  /// readings took so far.
  uint32_t event_count;
  /// Traced threads on which no event could be opened: what they did is in the main thread's counts.
  uint32_t uncounted_threads;
  /// Threads that were there before counting began: what they did for a kernel is not in its counts.
  uint32_t earlier_threads;
  /// Whether threads that a traced one starts count, too.
  uint32_t inherits;
  double counter_reading_ns;
  uint64_t counter_overhead_ns;
  kiviat_trace_event event[KIVIAT_TRACE_EVENTS];
  /// Where each thread's region begins.
  uint64_t thread_offset[KIVIAT_TRACE_MAX_THREADS];
} kiviat_trace_header;

#define KIVIAT_TRACE_HEADER_BYTES 4096u
#define KIVIAT_TRACE_THREAD_BYTES 4096u
#define KIVIAT_TRACE_RING_BYTES ((uint64_t)KIVIAT_TRACE_RING * 8)
#define KIVIAT_TRACE_ENTRY_BYTES ((uint64_t)KIVIAT_TRACE_ENTRIES * sizeof(kiviat_trace_entry))
#define KIVIAT_TRACE_FIRST_REGION (KIVIAT_TRACE_HEADER_BYTES + (uint64_t)KIVIAT_TRACE_STRING_BYTES)
#define KIVIAT_TRACE_REGION_BYTES (KIVIAT_TRACE_THREAD_BYTES + KIVIAT_TRACE_RING_BYTES + KIVIAT_TRACE_ENTRY_BYTES)

/// Bytes of an entry's counts, and of a thread's region, where so many events are counted.
static inline uint64_t kiviat_trace_counts_bytes(uint32_t events) {
  return events == 0 ? 0 : sizeof(kiviat_trace_counts) + events * sizeof(kiviat_trace_count);
}
static inline uint64_t kiviat_trace_region_bytes(uint32_t events) {
  uint64_t bytes = KIVIAT_TRACE_REGION_BYTES + KIVIAT_TRACE_ENTRIES * kiviat_trace_counts_bytes(events);
  return (bytes + 4095) / 4096 * 4096;
}

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
/// Copies an entry's counts of so many events, likewise.
bool kiviat_trace_copy_counts(const kiviat_trace_counts *from, kiviat_trace_counts *to, uint32_t events);
/// Copies the header, phase times belonging together, likewise.
bool kiviat_trace_copy_header(const kiviat_trace_header *from, kiviat_trace_header *to);

#ifdef __cplusplus
}
#endif

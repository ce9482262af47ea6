// Perf events counted by kernel, self only: which calls are read, and how a reading becomes counts.
//
// Reading all events is a system call of about a microsecond, so of short operations only some calls are read. Each
// call of a root operation is drawn with a probability p of its own, and counts with the weight 1/p, as do the
// operations inside. The sums kept are those that a ratio estimator and its variance need (Särndal, Swensson, Wretman:
// Model Assisted Survey Sampling, 1992, sections 5.6 and 7.7); the reader of the trace makes the estimate.
//
// A reading adds counts of its own, which are known from a calibration and subtracted. Where other threads that this one
// started run meanwhile (OpenMP's workers spin for some time), a reading has to interrupt their processors: it takes
// longer, tens of microseconds in a virtual machine, and what they do meanwhile is counted, too. Then a second reading
// follows the first, and what lies between the two tells what one adds.
#include "trace_counters.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "kiviat_kernel_counters.h"

namespace kiviat {

/// One thread's events, and where it is with them.
struct ThreadCounters {
  kiviat_counters counters;
  uint32_t events;
  /// Whether what other traced threads count is in its own counts, too, because it started them.
  bool includes_others;
  kiviat_trace_header *header;
  /// What an empty operation sees of its own two readings, and what the operation around it sees beyond that.
  uint64_t cost_inside[KIVIAT_COUNTERS_MAX];
  uint64_t cost_outside[KIVIAT_COUNTERS_MAX];
  /// Of the root operation that is being read: its number, its weight, time that reading took, whether a reading failed.
  uint64_t root;
  double weight;
  uint64_t root_cost_ns;
  /// A reading that takes longer than this had to interrupt other processors.
  uint64_t interrupting_ns;
  bool is_damaged;
  uint64_t random;
  struct {
    /// The reading before it began, and the one from which on it counts: often the same.
    kiviat_counter_reading before;
    kiviat_counter_reading start;
    kiviat_counter_reading inner;
    /// What one reading added when it began.
    uint64_t added[KIVIAT_COUNTERS_MAX];
  } frames[max_depth];
  /// By entry of root operations: how often they were read, the time that it took, how many calls to let pass before the
  /// next is read, and what that one stands for (0 for the first).
  struct Root {
    uint64_t readings;
    uint64_t cost_ns;
    uint64_t skip;
    double weight;
  } roots[KIVIAT_TRACE_ENTRIES];
};

namespace {

std::vector<kiviat_counter_event> wanted;
double wanted_time_share = 0;
bool wants_inheritance = true;

/// Threads whose counts the main thread includes.
struct Others {
  std::mutex mutex;
  std::vector<ThreadCounters *> live;
  /// What those that ended counted.
  kiviat_counter_reading ended = {};
  std::atomic<bool> are_there{false};
  /// Threads that were there before the main one's events were opened: it does not include them.
  std::vector<long> earlier;
};
/// Never destroyed: a thread may end after the program's other objects did.
Others &others = *new Others;

inline uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

void add(kiviat_counter_reading &sum, const kiviat_counter_reading &reading, uint32_t events) {
  for (uint32_t i = 0; i < events; i++) {
    sum.value[i] += reading.value[i];
    sum.enabled[i] += reading.enabled[i];
    sum.running[i] += reading.running[i];
  }
}

void subtract(kiviat_counter_reading &from, const kiviat_counter_reading &reading, uint32_t events) {
  for (uint32_t i = 0; i < events; i++) {
    from.value[i] -= reading.value[i];
    from.enabled[i] -= reading.enabled[i];
    from.running[i] -= reading.running[i];
  }
}

inline bool read_counters(const ThreadCounters *counters, kiviat_counter_reading *reading) {
  bool is_whole = kiviat_counters_read(&counters->counters, reading);
  if (counters->includes_others && others.are_there.load(std::memory_order_relaxed)) {
    std::lock_guard<std::mutex> lock(others.mutex);
    for (const ThreadCounters *other : others.live) {
      kiviat_counter_reading its = {};
      is_whole &= kiviat_counters_read(&other->counters, &its);
      subtract(*reading, its, counters->events);
    }
    subtract(*reading, others.ended, counters->events);
  }
  return is_whole;
}

/// Reads at a boundary: what came before counts up to `first`, what comes after from `second` on. `added` is what a
/// reading adds by itself. Gives the time after it.
inline uint64_t read_boundary(
    ThreadCounters *counters, uint64_t now, kiviat_counter_reading *first, kiviat_counter_reading *second,
    uint64_t *added) {
  if (!read_counters(counters, first)) counters->is_damaged = true;
  uint64_t after = now_ns();
  *second = *first;
  if (__builtin_expect(after - now <= counters->interrupting_ns, 1)) {
    for (uint32_t i = 0; i < counters->events; i++) added[i] = counters->cost_inside[i];
    return after;
  }
  if (!read_counters(counters, second)) counters->is_damaged = true;
  for (uint32_t i = 0; i < counters->events; i++) added[i] = second->value[i] - first->value[i];
  return now_ns();
}

/// The calling thread's events, closed by the thread itself: nobody else knows when it is not reading.
struct Owner {
  ThreadCounters *counters = nullptr;

  void close() {
    if (!counters) return;
    {
      std::lock_guard<std::mutex> lock(others.mutex);
      auto found = std::find(others.live.begin(), others.live.end(), counters);
      if (found != others.live.end()) {
        kiviat_counter_reading last = {};
        kiviat_counters_read(&counters->counters, &last);
        add(others.ended, last, counters->events);
        others.live.erase(found);
      }
    }
    kiviat_counters_close(&counters->counters);
    munmap(counters, sizeof(ThreadCounters));
    counters = nullptr;
  }
  ~Owner() { close(); }
};
thread_local Owner mine;

void populate(void *start, size_t size) {
#ifdef MADV_POPULATE_WRITE
  auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  uintptr_t first = uintptr_t(start) / page * page;
  madvise(reinterpret_cast<void *>(first), uintptr_t(start) + size - first, MADV_POPULATE_WRITE);
#endif
}

std::vector<long> threads_of_this_process() {
  std::vector<long> result;
  DIR *directory = opendir("/proc/self/task");
  if (!directory) return result;
  while (const dirent *task = readdir(directory)) {
    long tid = atol(task->d_name);
    if (tid > 0) result.push_back(tid);
  }
  closedir(directory);
  return result;
}

kiviat_trace_counts *counts_of(TraceThread *thread, const kiviat_trace_entry *entry) {
  uint64_t index = uint64_t(entry - thread->entries);
  return reinterpret_cast<kiviat_trace_counts *>(thread->counts + index * thread->counts_stride);
}

/// Reads nothing between the readings: what is counted then is the reading itself.
void calibrate(TraceThread *thread) {
  ThreadCounters *counters = thread->counters;
  constexpr int pairs = 32, rounds = 5;
  // Into entry 0, which is nobody's; put back afterwards.
  thread->frames[0].entry = thread->frames[1].entry = &thread->entries[0];
  uint64_t time = UINT64_MAX;
  counters->interrupting_ns = UINT64_MAX;
  for (uint32_t i = 0; i < counters->events; i++) counters->cost_inside[i] = counters->cost_outside[i] = UINT64_MAX;
  for (int round = 0; round < rounds; round++) {
    kiviat_counter_reading before, after, sum = {};
    read_counters(counters, &before);
    uint64_t start = now_ns();
    for (int pair = 0; pair < pairs; pair++) {
      thread->frames[1].start_ns = now_ns();
      begin_counters(thread, 1);
      kiviat_counter_reading first = counters->frames[1].start;
      end_counters(thread, 1, now_ns());
      kiviat_counter_reading last = counters->frames[1].inner;
      subtract(last, first, counters->events);
      for (uint32_t i = 0; i < counters->events; i++) {
        counters->cost_inside[i] = std::min(counters->cost_inside[i], last.value[i]);
      }
      add(sum, last, counters->events);
    }
    time = std::min(time, (now_ns() - start) / (2 * pairs));
    read_counters(counters, &after);
    subtract(after, before, counters->events);
    for (uint32_t i = 0; i < counters->events; i++) {
      uint64_t beyond = after.value[i] - std::min(after.value[i], sum.value[i]);
      counters->cost_outside[i] = std::min(counters->cost_outside[i], beyond / pairs);
    }
  }
  memset(counts_of(thread, &thread->entries[0]), 0, thread->counts_stride);
  counters->root_cost_ns = 0;
  // A context switch in between looks the same, and costs a second reading.
  counters->interrupting_ns = 3 * time;
  if (!thread->is_main) return;
  kiviat_trace_header *header = counters->header;
  header->counter_reading_ns = double(time);
  for (uint32_t i = 0; i < counters->events; i++) {
    header->event[i].reading = double(counters->cost_inside[i] + counters->cost_outside[i]);
  }
}

}  // namespace

void set_counter_events(const char *lines, double time_share) {
  std::vector<kiviat_counter_event> events(KIVIAT_COUNTERS_MAX);
  int count = kiviat_counters_parse(lines, events.data());
  if (count < 0) {
    throw std::runtime_error(
        "line " + std::to_string(-count) + " of the kernels' events is not an event, or there are more than "
        + std::to_string(KIVIAT_COUNTERS_MAX) + ": kiviat profile --kernel-events writes them");
  }
  events.resize(size_t(count));
  wanted = events;
  wanted_time_share = time_share;
}

void set_counters_inherit(bool inherit) { wants_inheritance = inherit; }

uint32_t counter_event_count() { return uint32_t(wanted.size()); }

void open_counters(TraceFile &file, TraceThread *thread) {
  mine.close();
  kiviat_trace_header *header = file.header;
  if (header->event_count == 0) return;
  auto count = int(header->event_count);
  void *memory = mmap(
      nullptr, sizeof(ThreadCounters), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto counters = static_cast<ThreadCounters *>(memory);
  counters->events = header->event_count;
  counters->header = header;
  // An open trace keeps to what it began with.
  if (thread->is_main) header->inherits = wants_inheritance;
  const bool inherits = header->inherits != 0;
  counters->includes_others = thread->is_main && inherits;
  counters->random = uint64_t(thread->region->tid) * 0x9e3779b97f4a7c15u | 1;
  counters->weight = 1;
  if (thread->is_main) {
    std::lock_guard<std::mutex> lock(others.mutex);
    others.live.clear();
    others.ended = {};
    others.are_there = false;
    others.earlier = threads_of_this_process();
    header->earlier_threads = uint32_t(std::max<size_t>(others.earlier.size(), 1) - 1);
  }
  int opened = kiviat_counters_open(&counters->counters, wanted.data(), count, inherits);
  if (thread->is_main) {
    for (int i = 0; i < count; i++) {
      header->event[i].name = file.add_string(wanted[size_t(i)].name);
      header->event[i].failure = counters->counters.failure[i];
      header->event[i].is_reduced = counters->counters.is_reduced[i];
    }
  }
  if (opened == 0) {
    if (!thread->is_main) header->uncounted_threads++;
    munmap(memory, sizeof(ThreadCounters));
    return;
  }
  populate(counters, offsetof(ThreadCounters, roots));
  populate(thread, sizeof(TraceThread));
  mine.counters = counters;
  thread->counters = counters;
  make_room_for_counts(thread);
  calibrate(thread);
  if (thread->is_main) return;
  long tid = thread->region->tid;
  if (std::find(others.earlier.begin(), others.earlier.end(), tid) != others.earlier.end()) return;
  std::lock_guard<std::mutex> lock(others.mutex);
  others.live.push_back(counters);
  others.are_there = true;
}

void close_counters() { mine.close(); }

void make_room_for_counts(TraceThread *thread) {
  constexpr uint32_t chunk = 64;
  if (!thread->counters || (thread->entry_count > 1 && thread->entry_count % chunk != 0)) return;
  uint32_t first = thread->entry_count / chunk * chunk;
  uint32_t count = std::min(chunk, KIVIAT_TRACE_ENTRIES - first);
  populate(thread->entries + first, count * sizeof(kiviat_trace_entry));
  populate(thread->counts + first * thread->counts_stride, count * thread->counts_stride);
  populate(thread->counters->roots + first, count * sizeof(ThreadCounters::Root));
}

bool wants_counters(TraceThread *thread, const kiviat_trace_entry *entry, bool *is_drawn) {
  ThreadCounters *counters = thread->counters;
  ThreadCounters::Root &root = counters->roots[entry - thread->entries];
  if (__builtin_expect(root.skip > 0, 1)) {
    root.skip--;
    return false;
  }
  counters->root++;
  counters->is_damaged = false;
  counters->weight = root.weight > 0 ? root.weight : 1;
  *is_drawn = root.weight > 1;
  return true;
}

namespace {

/// Draws which call of a root operation is read next: each of the coming ones with the same probability.
void draw_next(ThreadCounters *counters, ThreadCounters::Root &root, double mean_time_ns) {
  double cost = double(root.cost_ns) / double(root.readings);
  double chance = std::max(wanted_time_share * mean_time_ns / std::max(cost, 1.0), 1e-5);
  root.weight = 1;
  root.skip = 0;
  if (chance >= 1) return;
  // xorshift64*: 53 random bits are plenty.
  counters->random ^= counters->random >> 12;
  counters->random ^= counters->random << 25;
  counters->random ^= counters->random >> 27;
  double drawn = (double(counters->random * 0x2545f4914f6cdd1du >> 11) + 0.5) * 0x1p-53;
  root.weight = 1 / chance;
  // How many times in a row a draw of that chance fails.
  root.skip = uint64_t(std::log(drawn) / std::log1p(-chance));
}

}  // namespace

uint64_t begin_counters(TraceThread *thread, uint32_t depth) {
  ThreadCounters *counters = thread->counters;
  TraceFrame *frame = &thread->frames[depth];
  auto &own = counters->frames[depth];
  for (uint32_t i = 0; i < counters->events; i++) {
    own.inner.value[i] = own.inner.enabled[i] = own.inner.running[i] = 0;
  }
  uint64_t after = read_boundary(counters, frame->start_ns, &own.before, &own.start, own.added);
  uint64_t cost = after - frame->start_ns;
  counters->root_cost_ns += cost;
  if (depth > 0) thread->frames[depth - 1].inner_ns += cost;
  frame->cpu_inner_ns += cost;
  return after;
}

uint64_t end_counters(TraceThread *thread, uint32_t depth, uint64_t now) {
  ThreadCounters *counters = thread->counters;
  auto &own = counters->frames[depth];
  TraceFrame *frame = &thread->frames[depth];
  kiviat_counter_reading total, behind;
  uint64_t added[KIVIAT_COUNTERS_MAX];
  read_boundary(counters, now, &total, &behind, added);
  kiviat_counter_reading inner = own.inner;
  // Calibration wants to see it.
  own.inner = total;
  subtract(total, own.start, counters->events);
  // The mean of what the readings at both ends added.
  for (uint32_t i = 0; i < counters->events; i++) added[i] = uint64_t(int64_t(added[i] + own.added[i]) / 2);

  if (depth > 0) {
    kiviat_counter_reading &outer = counters->frames[depth - 1].inner;
    subtract(behind, own.before, counters->events);
    add(outer, behind, counters->events);
    for (uint32_t i = 0; i < counters->events; i++) {
      outer.value[i] += added[i] + counters->cost_outside[i] - counters->cost_inside[i];
    }
  }
  if (!counters->is_damaged) {
    subtract(total, inner, counters->events);
    kiviat_trace_counts *counts = counts_of(thread, frame->entry);
    auto set = [](auto &word, auto value) { __atomic_store(&word, &value, __ATOMIC_RELAXED); };
    const double weight = counters->weight;
    uint32_t sequence = counts->sequence;
    set(counts->sequence, sequence + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (counts->root != counters->root) {
      // The calls within the former root operation are one draw of the sample: only their sums are independent.
      double factor = counts->root_weight * (counts->root_weight - 1), calls = double(counts->root_calls);
      set(counts->draws, counts->draws + (factor > 0 ? 1 : 0));
      set(counts->calls_squared, counts->calls_squared + factor * calls * calls);
      set(counts->root, counters->root);
      set(counts->root_weight, weight);
      set(counts->root_calls, uint64_t(0));
      for (uint32_t i = 0; i < counters->events; i++) {
        kiviat_trace_count &count = counts->count[i];
        set(count.squared, count.squared + factor * count.in_root * count.in_root);
        set(count.by_calls, count.by_calls + factor * count.in_root * calls);
        set(count.in_root, 0.0);
      }
    }
    set(counts->calls, counts->calls + 1);
    set(counts->weighted_calls, counts->weighted_calls + weight);
    set(counts->root_calls, counts->root_calls + 1);
    for (uint32_t i = 0; i < counters->events; i++) {
      kiviat_trace_count &count = counts->count[i];
      // Signed: readings of several threads are not of one moment.
      double value = double(int64_t(total.value[i] - added[i]));
      set(count.value, count.value + weight * value);
      set(count.enabled_ns, count.enabled_ns + weight * double(int64_t(total.enabled[i])));
      set(count.running_ns, count.running_ns + weight * double(int64_t(total.running[i])));
      set(count.in_root, count.in_root + value);
    }
    __atomic_store_n(&counts->sequence, sequence + 2, __ATOMIC_RELEASE);
  }

  uint64_t cost = now_ns() - now;
  counters->root_cost_ns += cost;
  frame->cpu_inner_ns += cost;
  if (depth == 0) {
    const kiviat_trace_entry *entry = frame->entry;
    ThreadCounters::Root &root = counters->roots[entry - thread->entries];
    root.readings++;
    root.cost_ns += counters->root_cost_ns;
    __atomic_fetch_add(&counters->header->counter_overhead_ns, counters->root_cost_ns, __ATOMIC_RELAXED);
    counters->root_cost_ns = 0;
    // The entry does not have this call yet.
    draw_next(counters, root, double(entry->total_ns + (now - frame->start_ns)) / double(entry->calls + 1));
  }
  return cost;
}

}  // namespace kiviat

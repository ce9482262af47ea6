// How does a program count events of its own threads, cheaply enough to do it at every operation?
//
// Groups of perf events opened by a thread for itself, read whole by one `read` each; or, where the events are not
// inherited and the kernel allows it, by the processor's own instruction in user mode (rdpmc), with the help of a page
// that the kernel maps.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KIVIAT_COUNTERS_MAX 8
#define KIVIAT_COUNTER_NAME_BYTES 128

/// What of an event is left out, and what it is: bits of `kiviat_counter_event.flags`.
enum {
  KIVIAT_COUNTER_EXCLUDES_USER = 1,
  KIVIAT_COUNTER_EXCLUDES_KERNEL = 2,
  /// It happens in the kernel only: to leave the kernel out would give a false zero.
  KIVIAT_COUNTER_KERNEL_ONLY = 4,
};

/// An event to open: the fields of `perf_event_attr` that tell events apart.
typedef struct {
  uint32_t type;
  uint32_t flags;
  uint64_t config;
  /// Of a breakpoint its address and length.
  uint64_t config1;
  uint64_t config2;
  uint32_t breakpoint_type;
  uint32_t precision;
  /// Events of one group are scheduled and read together.
  uint32_t group;
  char name[KIVIAT_COUNTER_NAME_BYTES];
} kiviat_counter_event;

/// Reads a list of events, one a line: `type:config:config1:config2:breakpoint type:flags:precision:group:name`, numbers
/// as C writes them. Returns how many; −(number of the line), counted from 1, for one that is malformed or too many.
int kiviat_counters_parse(const char *text, kiviat_counter_event events[KIVIAT_COUNTERS_MAX]);

/// What was counted since the events were opened. Times are in nanoseconds, as perf events have them.
typedef struct {
  uint64_t value[KIVIAT_COUNTERS_MAX];
  uint64_t enabled[KIVIAT_COUNTERS_MAX];
  uint64_t running[KIVIAT_COUNTERS_MAX];
} kiviat_counter_reading;

/// Open events of one thread. By position in the list that was opened; those of failed ones are unused.
typedef struct {
  int count;
  /// -1 where opening failed; `failure` is the errno then.
  int descriptor[KIVIAT_COUNTERS_MAX];
  int failure[KIVIAT_COUNTERS_MAX];
  /// Whether the kernel's part is left out because the caller may not look into it.
  bool is_reduced[KIVIAT_COUNTERS_MAX];
  /// The pages for reading in user mode; NULL where an event has none.
  void *page[KIVIAT_COUNTERS_MAX];
  int group_count;
  struct {
    int size;
    /// The first is the leader.
    int member[KIVIAT_COUNTERS_MAX];
    /// Whether all its members can be tried in user mode.
    bool is_mapped;
  } group[KIVIAT_COUNTERS_MAX];
} kiviat_counters;

/// Opens events on the calling thread, and starts them. An event that can't be opened has its reason in `failure`; the
/// others count.
///
/// With `inherit`, threads that this one starts from now on count too, and there is no reading in user mode: the kernel
/// does not offer both. Returns how many were opened.
int kiviat_counters_open(
    kiviat_counters *counters, const kiviat_counter_event *events, int count, bool inherit);
/// Reads all events. False when a read failed: what it was to give is 0 then.
bool kiviat_counters_read(const kiviat_counters *counters, kiviat_counter_reading *reading);
/// Reads one event in user mode. False when it is on no counter just now, or when user mode may not.
bool kiviat_counters_read_page(const void *page, uint64_t *value, uint64_t *enabled, uint64_t *running);
void kiviat_counters_close(kiviat_counters *counters);

#ifdef __cplusplus
}
#endif

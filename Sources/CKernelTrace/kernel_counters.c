// Opening and reading the events of a thread, from that thread.
#include "kiviat_kernel_counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// --- the list --------------------------------------------------------------------------------------------------

int kiviat_counters_parse(const char *text, kiviat_counter_event events[KIVIAT_COUNTERS_MAX]) {
  int count = 0;
  for (int line = 1; *text != 0; line++) {
    const char *end = strchrnul(text, '\n');
    if (end == text) {
      text++;
      continue;
    }
    if (count == KIVIAT_COUNTERS_MAX) return -line;
    uint64_t field[8];
    for (int i = 0; i < 8; i++) {
      char *after;
      errno = 0;
      // strtoull would take a sign or the next line.
      if (*text < '0' || *text > '9') return -line;
      field[i] = strtoull(text, &after, 0);
      if (errno != 0 || after >= end || *after != ':') return -line;
      text = after + 1;
    }
    size_t length = (size_t)(end - text);
    if (length == 0 || length >= KIVIAT_COUNTER_NAME_BYTES) return -line;
    kiviat_counter_event *event = &events[count++];
    memset(event, 0, sizeof *event);
    event->type = (uint32_t)field[0];
    event->config = field[1];
    event->config1 = field[2];
    event->config2 = field[3];
    event->breakpoint_type = (uint32_t)field[4];
    event->flags = (uint32_t)field[5];
    event->precision = (uint32_t)field[6];
    event->group = (uint32_t)field[7];
    memcpy(event->name, text, length);
    text = *end != 0 ? end + 1 : end;
  }
  return count;
}

// --- opening ---------------------------------------------------------------------------------------------------

static int open_event(const kiviat_counter_event *event, int leader, bool inherit, bool without_kernel) {
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.size = sizeof attr;
  attr.type = event->type;
  attr.config = event->config;
  if (event->type == PERF_TYPE_BREAKPOINT) {
    attr.bp_type = event->breakpoint_type;
    attr.bp_addr = event->config1;
    attr.bp_len = event->config2;
  } else {
    attr.config1 = event->config1;
    attr.config2 = event->config2;
  }
#ifdef __aarch64__
  // Bit 1 asks for access from user mode (Linux 5.17, kernel.perf_user_access); what has no such bit refuses it below.
  bool is_processor =
      event->type == PERF_TYPE_HARDWARE || event->type == PERF_TYPE_HW_CACHE || event->type == PERF_TYPE_RAW;
  if (!inherit && is_processor) attr.config1 |= 2;
#endif
  attr.exclude_user = (event->flags & KIVIAT_COUNTER_EXCLUDES_USER) != 0;
  attr.exclude_kernel = without_kernel || (event->flags & KIVIAT_COUNTER_EXCLUDES_KERNEL) != 0;
  attr.exclude_hv = attr.exclude_kernel || attr.exclude_user;
  attr.precise_ip = event->precision & 3;
  // The leader starts the group when it is complete.
  attr.disabled = leader < 0;
  attr.inherit = inherit;
  attr.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  int descriptor = (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
#ifdef __aarch64__
  if (descriptor < 0 && !inherit && is_processor && attr.config1 != event->config1) {
    attr.config1 = event->config1;
    descriptor = (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
  }
#endif
  return descriptor;
}

int kiviat_counters_open(
    kiviat_counters *counters, const kiviat_counter_event *events, int count, bool inherit) {
  memset(counters, 0, sizeof *counters);
  counters->count = count < KIVIAT_COUNTERS_MAX ? count : KIVIAT_COUNTERS_MAX;
  uint32_t group_number[KIVIAT_COUNTERS_MAX];
  int opened = 0;
  for (int i = 0; i < counters->count; i++) {
    const kiviat_counter_event *event = &events[i];
    int group = 0;
    while (group < counters->group_count && group_number[group] != event->group) group++;
    int leader = group < counters->group_count ? counters->descriptor[counters->group[group].member[0]] : -1;
    int descriptor = open_event(event, leader, inherit, false);
    int failure = errno;
    // Each flag says which side to count, or that there is but one.
    bool may_reduce = event->flags == 0;
    if (descriptor < 0 && may_reduce && (failure == EACCES || failure == EPERM)) {
      descriptor = open_event(event, leader, inherit, true);
      counters->is_reduced[i] = descriptor >= 0;
    }
    counters->descriptor[i] = descriptor;
    if (descriptor < 0) {
      counters->failure[i] = failure;
      continue;
    }
    opened++;
    if (group == counters->group_count) {
      group_number[group] = event->group;
      counters->group[group].is_mapped = !inherit;
      counters->group_count++;
    }
    counters->group[group].member[counters->group[group].size++] = i;
    if (!inherit) {
      void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, descriptor, 0);
      counters->page[i] = page == MAP_FAILED ? NULL : page;
    }
    if (counters->page[i] == NULL) counters->group[group].is_mapped = false;
  }
  for (int group = 0; group < counters->group_count; group++) {
    ioctl(counters->descriptor[counters->group[group].member[0]], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
  }
  // Software events have a page, and never a counter: a look at each would be for nothing.
  for (int group = 0; group < counters->group_count; group++) {
    for (int i = 0; i < counters->group[group].size; i++) {
      const struct perf_event_mmap_page *page = counters->page[counters->group[group].member[i]];
      if (page == NULL || !page->cap_user_rdpmc || page->pmc_width == 0) counters->group[group].is_mapped = false;
    }
  }
  return opened;
}

void kiviat_counters_close(kiviat_counters *counters) {
  for (int i = 0; i < counters->count; i++) {
    if (counters->page[i] != NULL) munmap(counters->page[i], (size_t)sysconf(_SC_PAGESIZE));
    if (counters->descriptor[i] >= 0) close(counters->descriptor[i]);
    counters->page[i] = NULL;
    counters->descriptor[i] = -1;
  }
  counters->group_count = 0;
}

// --- reading ---------------------------------------------------------------------------------------------------

#if defined(__x86_64__)

static inline bool can_read_counters(void) { return true; }
static inline uint64_t read_counter(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index));
  return (uint64_t)high << 32 | low;
}
static inline uint64_t read_cycles(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

#elif defined(__aarch64__)

static inline bool can_read_counters(void) { return true; }
static inline uint64_t read_counter(uint32_t index) {
  uint64_t value = 0;
  // A register's number is part of the instruction.
#define CASE(n)                                                      \
  case n:                                                            \
    __asm__ volatile("mrs %0, pmevcntr" #n "_el0" : "=r"(value)); \
    break;
  switch (index) {
    CASE(0) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13)
    CASE(14) CASE(15) CASE(16) CASE(17) CASE(18) CASE(19) CASE(20) CASE(21) CASE(22) CASE(23) CASE(24) CASE(25) CASE(26)
    CASE(27) CASE(28) CASE(29) CASE(30)
    case 31: __asm__ volatile("mrs %0, pmccntr_el0" : "=r"(value)); break;
    default: break;
  }
#undef CASE
  return value;
}
static inline uint64_t read_cycles(void) {
  uint64_t value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
}

#else

static inline bool can_read_counters(void) { return false; }
static inline uint64_t read_counter(uint32_t index) { return index; }
static inline uint64_t read_cycles(void) { return 0; }

#endif

// The protocol is that of <linux/perf_event.h>: everything between two equal readings of `lock` belongs together.
bool kiviat_counters_read_page(const void *memory, uint64_t *value, uint64_t *enabled, uint64_t *running) {
  const volatile struct perf_event_mmap_page *page = memory;
  if (!can_read_counters()) return false;
  uint32_t lock;
  do {
    lock = page->lock;
    __asm__ volatile("" ::: "memory");
    uint32_t index = page->index;
    // 0: it is on no counter just now.
    if (index == 0 || !page->cap_user_rdpmc) return false;
    *enabled = page->time_enabled;
    *running = page->time_running;
    if (page->cap_user_time) {
      // The times are those of when it got onto the counter, where it has been since.
      uint64_t cycles = read_cycles();
      if (page->cap_user_time_short) cycles = page->time_cycles + ((cycles - page->time_cycles) & page->time_mask);
      uint64_t whole = cycles >> page->time_shift;
      uint64_t rest = cycles & (((uint64_t)1 << page->time_shift) - 1);
      uint64_t delta = page->time_offset + whole * page->time_mult + ((rest * page->time_mult) >> page->time_shift);
      *enabled += delta;
      *running += delta;
    } else if (*enabled != *running) {
      // It took turns, and how long its last turn lasts can't be told.
      return false;
    }
    uint16_t width = page->pmc_width;
    if (width == 0 || width > 64) return false;
    uint64_t count = read_counter(index - 1) << (64 - width);
    *value = (uint64_t)page->offset + (uint64_t)((int64_t)count >> (64 - width));
    __asm__ volatile("" ::: "memory");
  } while (page->lock != lock);
  return true;
}

bool kiviat_counters_read(const kiviat_counters *counters, kiviat_counter_reading *reading) {
  bool is_whole = true;
  for (int g = 0; g < counters->group_count; g++) {
    const int size = counters->group[g].size;
    const int *member = counters->group[g].member;
    bool is_read = counters->group[g].is_mapped;
    for (int i = 0; i < size && is_read; i++) {
      int n = member[i];
      is_read = kiviat_counters_read_page(
          counters->page[n], &reading->value[n], &reading->enabled[n], &reading->running[n]);
    }
    if (is_read) continue;
    // How many, time enabled, time running, values.
    uint64_t words[3 + KIVIAT_COUNTERS_MAX];
    ssize_t wanted = (ssize_t)sizeof(uint64_t) * (3 + size);
    if (read(counters->descriptor[member[0]], words, (size_t)wanted) != wanted) {
      memset(words, 0, sizeof words);
      is_whole = false;
    }
    for (int i = 0; i < size; i++) {
      reading->value[member[i]] = words[3 + i];
      reading->enabled[member[i]] = words[1];
      reading->running[member[i]] = words[2];
    }
  }
  return is_whole;
}

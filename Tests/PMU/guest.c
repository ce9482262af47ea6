// What do Kiviat's C shims count on a processor with counters? The first process of an emulated Arm machine.
//
// Prints a line `pmu: TEST KEY=VALUE …` a finding; Scripts/test-pmu holds them against what is known of the program.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kiviat_kernel_counters.h"
#include "kiviat_perf_event.h"

// Two instructions a round, whatever the compiler.
static void __attribute__((noinline)) loop(uint64_t rounds) {
  __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(rounds)::"cc");
}

static const char list[] =
    "0:0:0:0:0:2:0:1:cycles\n"
    "0:1:0:0:0:2:0:1:instructions\n";

// --- counted from inside: kernel_counters.c -----------------------------------------------------------------------

static void count_loops(const char *test, bool inherit) {
  kiviat_counter_event events[KIVIAT_COUNTERS_MAX];
  int count = kiviat_counters_parse(list, events);
  kiviat_counters counters;
  int opened = kiviat_counters_open(&counters, events, count, inherit);
  printf("pmu: %s opened=%d groups=%d mapped=%d\n", test, opened, counters.group_count, counters.group[0].is_mapped);
  for (uint64_t rounds = 1000; rounds <= 10000000; rounds *= 10) {
    kiviat_counter_reading before, after;
    if (!kiviat_counters_read(&counters, &before)) printf("pmu: %s failed=%d\n", test, errno);
    loop(rounds);
    if (!kiviat_counters_read(&counters, &after)) printf("pmu: %s failed=%d\n", test, errno);
    printf(
        "pmu: %s rounds=%lu cycles=%lu instructions=%lu enabled=%lu running=%lu\n", test, rounds,
        after.value[0] - before.value[0], after.value[1] - before.value[1], after.enabled[1] - before.enabled[1],
        after.running[1] - before.running[1]);
  }
  kiviat_counters_close(&counters);
}

static void read_page(void) {
  kiviat_counter_event events[KIVIAT_COUNTERS_MAX];
  int count = kiviat_counters_parse(list, events);
  kiviat_counters counters;
  kiviat_counters_open(&counters, events, count, false);
  uint64_t page = 0, enabled = 0, running = 0, again = 0;
  bool is_read = counters.page[1] && kiviat_counters_read_page(counters.page[1], &page, &enabled, &running);
  // Between two readings in user mode there are some instructions, and no system call.
  if (is_read) kiviat_counters_read_page(counters.page[1], &again, &enabled, &running);
  kiviat_counters whole = counters;
  for (int group = 0; group < whole.group_count; group++) whole.group[group].is_mapped = false;
  kiviat_counter_reading reading;
  kiviat_counters_read(&whole, &reading);
  printf(
      "pmu: page read=%d between=%lu until_read=%lu enabled=%lu running=%lu enabled_read=%lu\n", is_read, again - page,
      reading.value[1] - again, enabled, running, reading.enabled[1]);
  kiviat_counters_close(&counters);
}

static void count_child(void) {
  kiviat_counter_event events[KIVIAT_COUNTERS_MAX];
  int count = kiviat_counters_parse(list, events);
  kiviat_counters counters;
  kiviat_counters_open(&counters, events, count, true);
  kiviat_counter_reading before, after;
  for (uint64_t rounds = 1000000; rounds <= 2000000; rounds += 1000000) {
    kiviat_counters_read(&counters, &before);
    pid_t child = fork();
    if (child == 0) {
      loop(rounds);
      _exit(0);
    }
    waitpid(child, NULL, 0);
    kiviat_counters_read(&counters, &after);
    printf("pmu: inherit rounds=%lu instructions=%lu\n", rounds, after.value[1] - before.value[1]);
  }
  kiviat_counters_close(&counters);
}

// --- counted from outside: perf_event.c ---------------------------------------------------------------------------

static int open_instructions(pid_t pid, bool on_exec) {
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.size = KIVIAT_ATTR_SIZE;
  attr.type = PERF_TYPE_HARDWARE;
  attr.config = PERF_COUNT_HW_INSTRUCTIONS;
  attr.exclude_kernel = attr.exclude_hv = 1;
  attr.disabled = 1;
  attr.enable_on_exec = on_exec;
  attr.inherit = on_exec;
  attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return kiviat_perf_event_open(&attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void multiplex(void) {
  enum { EVENTS = 12 };
  int descriptor[EVENTS];
  for (int i = 0; i < EVENTS; i++) descriptor[i] = open_instructions(0, false);
  for (int i = 0; i < EVENTS; i++) kiviat_perf_enable(descriptor[i]);
  const uint64_t rounds = 200000000;
  loop(rounds);
  for (int i = 0; i < EVENTS; i++) kiviat_perf_disable(descriptor[i]);
  for (int i = 0; i < EVENTS; i++) {
    uint64_t words[3] = {0, 0, 0};
    ssize_t got = read(descriptor[i], words, sizeof words);
    printf(
        "pmu: multiplexed event=%d bytes=%zd rounds=%lu instructions=%lu enabled=%lu running=%lu\n", i, got, rounds,
        words[0], words[1], words[2]);
    close(descriptor[i]);
  }
}

static void launch(void) {
  for (uint64_t rounds = 1000000; rounds <= 3000000; rounds += 1000000) {
    char text[32];
    snprintf(text, sizeof text, "%lu", rounds);
    char *arguments[] = {"/init", "loop", text, NULL}, *environment[] = {NULL};
    struct kiviat_launch target;
    if (kiviat_launch_suspended("/init", arguments, environment, NULL, -1, &target) != 0) {
      printf("pmu: launch failed=%d\n", errno);
      return;
    }
    int descriptor = open_instructions(target.pid, true);
    ssize_t released = write(target.release_fd, "", 1);
    waitpid(target.pid, NULL, 0);
    uint64_t words[3] = {0, 0, 0};
    ssize_t got = read(descriptor, words, sizeof words);
    printf(
        "pmu: launch released=%zd bytes=%zd rounds=%lu instructions=%lu enabled=%lu running=%lu\n", released, got,
        rounds, words[0], words[1], words[2]);
    close(descriptor);
    close(target.release_fd);
    close(target.failure_fd);
  }
}

static bool write_file(const char *path, const char *text) {
  int descriptor = open(path, O_WRONLY);
  if (descriptor < 0) return false;
  bool is_written = write(descriptor, text, strlen(text)) > 0;
  close(descriptor);
  return is_written;
}

int main(int count, char **arguments) {
  if (count == 3) {
    loop(strtoull(arguments[2], NULL, 10));
    return 0;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  mount("proc", "/proc", "proc", 0, NULL);
  count_loops("group", false);
  count_loops("inheriting", true);
  bool is_open = write_file("/proc/sys/kernel/perf_user_access", "1");
  printf("pmu: access user=%d\n", is_open);
  read_page();
  count_loops("user", false);
  count_child();
  multiplex();
  launch();
  printf("pmu: end\n");
  reboot(RB_POWER_OFF);
  return 0;
}

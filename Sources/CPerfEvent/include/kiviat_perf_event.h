// What does Swift need from C to open perf events, read their rings, launch a target and hear signals?
// Only what it can't do itself: variadic calls, macros, atomics on shared memory, fork, and signal handlers.
#pragma once

#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// --- perf events -----------------------------------------------------------------------------------------------

// glibc has no wrapper, and `syscall` is variadic.
static inline int kiviat_perf_event_open(struct perf_event_attr *attr, pid_t pid, int cpu, int group,
                                         unsigned long flags) {
  return (int)syscall(SYS_perf_event_open, attr, pid, cpu, group, flags);
}

// The `_IO` macros don't reach Swift, and `ioctl` is variadic.
static inline int kiviat_perf_enable(int fd) { return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0); }
static inline int kiviat_perf_disable(int fd) { return ioctl(fd, PERF_EVENT_IOC_DISABLE, 0); }
static inline int kiviat_perf_set_output(int fd, int ring) { return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring); }
static inline int kiviat_perf_set_filter(int fd, const char *filter) {
  return ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter);
}
static inline int kiviat_perf_id(int fd, uint64_t *id) { return ioctl(fd, PERF_EVENT_IOC_ID, id); }

// The size that this header knows; a kernel that knows less says so with E2BIG.
enum { KIVIAT_ATTR_SIZE = sizeof(struct perf_event_attr) };

// PERF_FORMAT_LOST, Linux 6.0: older headers lack it.
enum { KIVIAT_FORMAT_LOST = 1 << 4 };

// Ring protocol (perf_event.h): acquire data_head before reading records, release data_tail after. Swift's atomics
// can't be laid over memory which the kernel shares.
static inline uint64_t kiviat_ring_head(const struct perf_event_mmap_page *page) {
  return __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
}
static inline void kiviat_ring_release(struct perf_event_mmap_page *page, uint64_t tail) {
  __atomic_store_n(&page->data_tail, tail, __ATOMIC_RELEASE);
}

// --- the target ------------------------------------------------------------------------------------------------

// A child that is forked and waits before its exec.
struct kiviat_launch {
  pid_t pid;
  // Write one byte to let it exec; close it to let it vanish.
  int release_fd;
  // Reads an `int` errno when exec failed, end of file when it succeeded.
  int failure_fd;
};

// Forks; fork is not available to Swift. The child runs only async-signal-safe code until its exec, which happens in
// `directory` where it is not NULL, with standard output and error going to the descriptor `output` where it is not -1.
// Returns 0, or -1 with errno.
int kiviat_launch_suspended(const char *file, char *const argv[], char *const envp[], const char *directory, int output,
                            struct kiviat_launch *out);

// 1 when the child ended (it is left to be reaped), 0 when it runs, -1 with errno. `siginfo_t` is unions and macros.
int kiviat_child_ended(pid_t pid);

// A descriptor that polls readable when the process ends (Linux 5.3), or -1.
int kiviat_pidfd_open(pid_t pid);

// Orphaned descendants become our children (`prctl` is variadic). Returns 0 or -1.
int kiviat_set_subreaper(int on);

/// Ends the process without waiting for the kernel to take down its tracepoints, which takes some 45 ms after the last
/// descriptor of one is closed: a forked copy holds the descriptors a moment longer, and nothing else.
void kiviat_leave(int status) __attribute__((noreturn));

// The environment as `char **`: Swift takes the global `environ` for a data race.
char **kiviat_environment(void);

// Mounts tracefs, as perf does. Returns 0 or -1 with errno.
int kiviat_mount_tracefs(const char *path);

// --- signals ---------------------------------------------------------------------------------------------------

// What the handler writes into the pipe: which signal, and who sent it.
struct kiviat_signal {
  int32_t number;
  // 1 when the kernel sent it (the terminal: the target got it too), 0 when a process did.
  int32_t from_kernel;
};

// Catches SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 unless they are ignored already (nohup), ignores
// SIGPIPE, and has children wait to be reaped. Returns the read end of a non-blocking pipe of `kiviat_signal`, or -1 with errno (EBUSY: already caught).
int kiviat_signals_begin(void);

// Puts back what was there before.
void kiviat_signals_end(void);

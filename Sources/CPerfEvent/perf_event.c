// How is a target launched suspended, and how do signals reach the event loop?
#include "kiviat_perf_event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

extern char **environ;

char **kiviat_environment(void) { return environ; }

int kiviat_pidfd_open(pid_t pid) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, pid, 0);
#else
  (void)pid;
  errno = ENOSYS;
  return -1;
#endif
}

int kiviat_set_subreaper(int on) { return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); }

void kiviat_leave(int status) {
  fflush(NULL);
  pid_t original = getpid();
  if (fork() == 0) {
    // Whoever reads from us must not wait for the copy.
    for (int descriptor = 0; descriptor <= 2; descriptor++) close(descriptor);
    // It has to hold them longer than the original does. A second is plenty to die in.
    struct pollfd end = {.fd = kiviat_pidfd_open(original), .events = POLLIN};
    if (end.fd >= 0 && getppid() == original) poll(&end, 1, 1000);
    _exit(0);
  }
  _exit(status);
}

int kiviat_mount_tracefs(const char *path) { return mount("tracefs", path, "tracefs", 0, NULL); }

int kiviat_child_ended(pid_t pid) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return -1;
  return info.si_pid == pid;
}

// --- signals ---------------------------------------------------------------------------------------------------

static const int caught[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
enum { CAUGHT = sizeof caught / sizeof caught[0] };

static struct sigaction previous[CAUGHT];
static struct sigaction previous_child;
// The write end; -1 when nothing is caught.
static volatile sig_atomic_t signal_fd = -1;
static int signal_read_fd = -1;
static int signal_claimed;

static void note_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  int saved = errno;
  struct kiviat_signal note = {number, info != NULL && info->si_code == SI_KERNEL};
  // Atomic below PIPE_BUF; when the pipe is full there are thousands of signals in it already.
  ssize_t written = write(signal_fd, &note, sizeof note);
  (void)written;
  errno = saved;
}

int kiviat_signals_begin(void) {
  if (__atomic_exchange_n(&signal_claimed, 1, __ATOMIC_ACQ_REL)) {
    errno = EBUSY;
    return -1;
  }
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    __atomic_store_n(&signal_claimed, 0, __ATOMIC_RELEASE);
    return -1;
  }
  signal_read_fd = fds[0];
  signal_fd = fds[1];
  for (int i = 0; i < CAUGHT; i++) {
    sigaction(caught[i], NULL, &previous[i]);
    if (previous[i].sa_handler == SIG_IGN) continue;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    if (caught[i] == SIGPIPE) {
      action.sa_handler = SIG_IGN;
    } else {
      action.sa_sigaction = note_signal;
      action.sa_flags = SA_SIGINFO | SA_RESTART;
    }
    sigaction(caught[i], &action, NULL);
  }
  // Whoever started us may have had its children reaped by the kernel; that is inherited, and would take the target's
  // exit status away.
  sigaction(SIGCHLD, NULL, &previous_child);
  if (previous_child.sa_handler == SIG_IGN || (previous_child.sa_flags & SA_NOCLDWAIT)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, NULL);
  }
  return signal_read_fd;
}

// Also runs in the forked child: sigaction is async-signal-safe.
static void restore_signals(void) {
  if (signal_fd < 0) return;
  for (int i = 0; i < CAUGHT; i++) sigaction(caught[i], &previous[i], NULL);
  if (previous_child.sa_handler == SIG_IGN || (previous_child.sa_flags & SA_NOCLDWAIT))
    sigaction(SIGCHLD, &previous_child, NULL);
}

void kiviat_signals_end(void) {
  if (signal_fd < 0) return;
  restore_signals();
  close(signal_read_fd);
  close(signal_fd);
  signal_fd = -1;
  __atomic_store_n(&signal_claimed, 0, __ATOMIC_RELEASE);
}

// --- the target ------------------------------------------------------------------------------------------------

static void __attribute__((noreturn)) run_child(const char *file, char *const argv[], char *const envp[],
                                                const char *directory, int output, int release, int failure,
                                                const sigset_t *mask) {
  // Our handlers would write into our pipe: what the user presses now is meant for the target's default action.
  restore_signals();
  sigprocmask(SIG_SETMASK, mask, NULL);
  char go;
  ssize_t got;
  do {
    got = read(release, &go, 1);
  } while (got < 0 && errno == EINTR);
  // End of file: the profiler gave up or died.
  if (got != 1) _exit(127);
  // execvp looks in the PATH of `environ`, which is to be the target's own.
  environ = (char **)envp;
  if ((output < 0 || (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)) &&
      (directory == NULL || chdir(directory) == 0))
    execvp(file, argv);
  int code = errno;
  ssize_t written = write(failure, &code, sizeof code);
  (void)written;
  _exit(code == ENOENT ? 127 : 126);
}

int kiviat_launch_suspended(const char *file, char *const argv[], char *const envp[], const char *directory, int output,
                            struct kiviat_launch *out) {
  int release[2], failure[2];
  if (pipe2(release, O_CLOEXEC) != 0) return -1;
  if (pipe2(failure, O_CLOEXEC) != 0) {
    int code = errno;
    close(release[0]);
    close(release[1]);
    errno = code;
    return -1;
  }
  // No handler may run in the child before it has put the old ones back.
  sigset_t all, mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  pid_t pid = fork();
  if (pid == 0) {
    close(release[1]);
    close(failure[0]);
    run_child(file, argv, envp, directory, output, release[0], failure[1], &mask);
  }
  int code = errno;
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  close(release[0]);
  close(failure[1]);
  if (pid < 0) {
    close(release[1]);
    close(failure[0]);
    errno = code;
    return -1;
  }
  out->pid = pid;
  out->release_fd = release[1];
  out->failure_fd = failure[0];
  return 0;
}

// A program whose events are known: what the tests of counting, sampling and launching run.
//
//   TestVictim address            prints the run-time address of the marked function
//   TestVictim calls N            calls it N times
//   TestVictim threads T N M      calls it N times on each of T threads, then M times on the main one
//   TestVictim fork N G           calls it N times in a child and G times in that child's child
//   TestVictim tree T N M F G     threads, main, child and grandchild in one
//   TestVictim threadonly N M     N times on a thread, M times on the main one
//   TestVictim writes N           writes N single bytes to /dev/null, each with its own system call
//   TestVictim busy T S           T threads compute for S seconds each (wall)
//   TestVictim work T N           T threads do the same computation N times each
//   TestVictim mix S              spends 3 parts of its time in heavy(), 1 in light(), S seconds in all (CPU)
//   TestVictim sleep S            sleeps
//   TestVictim touch MB           touches MB mebibytes of fresh memory
//   TestVictim exit CODE          exits so
//   TestVictim signal NUMBER      kills itself so
//   TestVictim crash              dereferences a null pointer
//   TestVictim daemonize S        forks, the parent exits 0, the child sleeps S seconds in a session of its own
//   TestVictim orphan S           exits while its grandchild still sleeps S seconds
//   TestVictim exec ARG...        execs ARG...
//   TestVictim catch S            prints a line for every SIGINT, SIGTERM and SIGHUP that it gets for S seconds, exits 7
//   TestVictim stubborn S         ignores SIGINT and SIGTERM for S seconds
//   TestVictim terminal N ARG...  runs ARG... in a terminal of its own, presses Ctrl-C N times once it prints something
//   TestVictim environment NAME   prints a variable
//   TestVictim cat                copies stdin to stdout
//
// It turns off address randomization for itself, so that an address printed by one run is valid in the next.
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long calls;

__attribute__((noinline)) void marked_function(void) { calls++; }

static void call(long times) {
  for (long i = 0; i < times; i++) marked_function();
}

static void *call_on_thread(void *times) {
  call((long)times);
  return NULL;
}

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

__attribute__((noinline)) unsigned long heavy(unsigned long n) {
  unsigned long x = n | 1;
  for (unsigned long i = 0; i < 3 * 20000; i++) x = x * 6364136223846793005ul + 1442695040888963407ul;
  return x;
}

__attribute__((noinline)) unsigned long light(unsigned long n) {
  unsigned long x = n | 1;
  for (unsigned long i = 0; i < 20000; i++) x = x * 6364136223846793005ul + 1442695040888963407ul;
  return x;
}

static volatile unsigned long sink;

static void *compute(void *until) {
  while (seconds(CLOCK_MONOTONIC) < *(double *)until) sink += heavy(sink);
  return NULL;
}

static void *work(void *times) {
  for (long i = 0; i < (long)times; i++) sink += heavy(sink);
  return NULL;
}

static void run_threads(int count, void *(*body)(void *), void *argument) {
  pthread_t threads[64];
  if (count > 64) count = 64;
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, body, argument);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void call_in_children(long in_child, long in_grandchild) {
  pid_t child = fork();
  if (child == 0) {
    call(in_child);
    pid_t grandchild = fork();
    if (grandchild == 0) {
      call(in_grandchild);
      _exit(0);
    }
    waitpid(grandchild, NULL, 0);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void sleep_for(double time) {
  double end = seconds(CLOCK_MONOTONIC) + time;
  double left;
  while ((left = end - seconds(CLOCK_MONOTONIC)) > 0) {
    struct timespec rest = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&rest, NULL);
  }
}

static void print_signal(int number) {
  char line[] = "signal 00\n";
  line[7] = (char)('0' + number / 10);
  line[8] = (char)('0' + number % 10);
  ssize_t written = write(1, line, sizeof line - 1);
  (void)written;
}

// Prints what the command prints, and returns its exit code as a shell gives it.
static int run_in_terminal(long presses, char **command) {
  int terminal;
  pid_t child = forkpty(&terminal, NULL, NULL, NULL);
  if (child < 0) return 1;
  if (child == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  char buffer[4096];
  ssize_t bytes;
  // Reading fails with EIO when the last process of the terminal has closed it.
  while ((bytes = read(terminal, buffer, sizeof buffer)) > 0) {
    fwrite(buffer, 1, (size_t)bytes, stdout);
    for (; presses > 0; presses--) {
      if (write(terminal, "\003", 1) != 1) break;
      sleep_for(0.4);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
  unsigned long persona = (unsigned long)personality(0xffffffff);
  // Where it is forbidden (some containers), go on at a random address rather than try for ever.
  if (!(persona & ADDR_NO_RANDOMIZE) && personality(persona | ADDR_NO_RANDOMIZE) != -1 &&
      (personality(0xffffffff) & ADDR_NO_RANDOMIZE))
    execv("/proc/self/exe", argv);
  const char *mode = argc > 1 ? argv[1] : "";
  long n[5] = {0};
  double time = argc > 2 ? atof(argv[argc - 1]) : 0;
  for (int i = 0; i < 5 && i + 2 < argc; i++) n[i] = atol(argv[i + 2]);

  if (!strcmp(mode, "address")) {
    printf("%p\n", (void *)marked_function);
  } else if (!strcmp(mode, "calls")) {
    call(n[0]);
  } else if (!strcmp(mode, "threads")) {
    run_threads((int)n[0], call_on_thread, (void *)n[1]);
    call(n[2]);
  } else if (!strcmp(mode, "fork")) {
    call_in_children(n[0], n[1]);
  } else if (!strcmp(mode, "tree")) {
    run_threads((int)n[0], call_on_thread, (void *)n[1]);
    call(n[2]);
    call_in_children(n[3], n[4]);
  } else if (!strcmp(mode, "threadonly")) {
    run_threads(1, call_on_thread, (void *)n[0]);
    call(n[1]);
  } else if (!strcmp(mode, "writes")) {
    FILE *null = fopen("/dev/null", "w");
    for (long i = 0; i < n[0]; i++) {
      if (write(fileno(null), "x", 1) != 1) return 1;
    }
  } else if (!strcmp(mode, "busy")) {
    double until = seconds(CLOCK_MONOTONIC) + time;
    run_threads((int)n[0], compute, &until);
  } else if (!strcmp(mode, "work")) {
    run_threads((int)n[0], work, (void *)n[1]);
  } else if (!strcmp(mode, "mix")) {
    while (seconds(CLOCK_PROCESS_CPUTIME_ID) < time) {
      sink += heavy(sink);
      sink += light(sink);
    }
  } else if (!strcmp(mode, "sleep")) {
    sleep_for(time);
  } else if (!strcmp(mode, "touch")) {
    size_t bytes = (size_t)n[0] << 20;
    char *memory = malloc(bytes);
    if (memory == NULL) return 1;
    for (size_t i = 0; i < bytes; i += 512) ((volatile char *)memory)[i] = 1;
  } else if (!strcmp(mode, "exit")) {
    return (int)n[0];
  } else if (!strcmp(mode, "signal")) {
    kill(getpid(), (int)n[0]);
    sleep_for(1);
  } else if (!strcmp(mode, "crash")) {
    *(volatile int *)8 = 1;
  } else if (!strcmp(mode, "daemonize")) {
    if (fork() == 0) {
      setsid();
      for (int fd = 0; fd < 256; fd++) close(fd);
      sleep_for(time);
      _exit(0);
    }
  } else if (!strcmp(mode, "orphan")) {
    pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) {
        for (int fd = 0; fd < 256; fd++) close(fd);
        sleep_for(time);
      }
      _exit(0);
    }
    waitpid(child, NULL, 0);
  } else if (!strcmp(mode, "exec")) {
    execvp(argv[2], argv + 2);
    return 127;
  } else if (!strcmp(mode, "catch")) {
    signal(SIGINT, print_signal);
    signal(SIGTERM, print_signal);
    signal(SIGHUP, print_signal);
    puts("ready");
    fflush(stdout);
    sleep_for(time);
    return 7;
  } else if (!strcmp(mode, "stubborn")) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    puts("ready");
    fflush(stdout);
    sleep_for(time);
  } else if (!strcmp(mode, "terminal")) {
    return run_in_terminal(n[0], argv + 3);
  } else if (!strcmp(mode, "environment")) {
    const char *value = argc > 2 ? getenv(argv[2]) : NULL;
    puts(value ? value : "(unset)");
  } else if (!strcmp(mode, "cat")) {
    char buffer[4096];
    ssize_t bytes;
    while ((bytes = read(0, buffer, sizeof buffer)) > 0) {
      if (write(1, buffer, (size_t)bytes) != bytes) return 1;
    }
  } else {
    fprintf(stderr, "TestVictim: unknown mode '%s'\n", mode);
    return 64;
  }
  return 0;
}

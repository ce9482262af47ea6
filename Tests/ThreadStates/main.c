// A program whose threads spend known times in known states: what the tests of series, memory and off-CPU time run.
//
//   ThreadStates sleep MS        the main thread sleeps
//   ThreadStates pipe MS         the main thread reads from a pipe into which a thread writes after MS
//   ThreadStates lock MS         a thread waits for a mutex which the main thread keeps for MS while it sleeps
//   ThreadStates spin T MS       T threads compute until each has used MS of CPU time
//   ThreadStates child MS        waits for a child that sleeps
//   ThreadStates mixed MS        sleeps, reads from a pipe and waits for a mutex, MS each, then computes MS
//   ThreadStates pingpong N      two threads hand a byte to and fro N times
//   ThreadStates threads N       starts and joins N threads, one after the other
//   ThreadStates hold N MB MS    N children touch MB mebibytes each and keep them for MS
//   ThreadStates write MB FILE   a child writes MB mebibytes into FILE and syncs it
//   ThreadStates exec MS         a thread execs `ThreadStates sleep MS`
//   ThreadStates barrier MS      a thread spins at a barrier while another computes, sleeps, waits for a mutex and touches
//                                fresh pages, MS each
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&time, &time)) {
  }
}

static double thread_cpu_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static long duration;
static int channel[2], back[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long sink;
static char **own_arguments;

static void put(int fd) {
  if (write(fd, "x", 1) != 1) exit(2);
}

static void get(int fd) {
  char byte;
  if (read(fd, &byte, 1) != 1) exit(2);
}

static void *spin(void *unused) {
  while (thread_cpu_ms() < (double)duration)
    for (int i = 0; i < 10000; i++) sink++;
  return unused;
}

static void *write_later(void *unused) {
  sleep_ms(duration);
  put(channel[1]);
  return unused;
}

static void *take_mutex(void *unused) {
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void *keep_mutex(void *unused) {
  pthread_mutex_lock(&mutex);
  put(channel[1]);
  sleep_ms(duration);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void *answer(void *count) {
  for (long i = 0; i < (long)count; i++) {
    get(channel[0]);
    put(back[1]);
  }
  return NULL;
}

/// Named as libgomp's: the loop in which a thread waits for its team.
static volatile int others_are_there;
__attribute__((noinline)) static void gomp_team_barrier_wait_end(void) {
  while (!others_are_there) __asm__ volatile("" : : : "memory");
}

static void *wait_at_barrier(void *unused) {
  gomp_team_barrier_wait_end();
  return unused;
}

/// Pages that were never touched, for MS of CPU time.
static void *touch_fresh_pages(void *unused) {
  double until = thread_cpu_ms() + (double)duration;
  while (thread_cpu_ms() < until) {
    size_t size = 4 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) exit(2);
    for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
    munmap(memory, size);
  }
  return unused;
}

static void *nothing(void *unused) { return unused; }

static void *exec_sleep(void *unused) {
  char text[32];
  snprintf(text, sizeof text, "%ld", duration);
  execl(own_arguments[0], own_arguments[0], "sleep", text, (char *)NULL);
  exit(2);
  return unused;
}

static pthread_t start(void *(*body)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, argument)) exit(2);
  return thread;
}

static void touch(long mebibytes) {
  char *memory = malloc((size_t)mebibytes << 20);
  if (!memory) exit(2);
  memset(memory, 1, (size_t)mebibytes << 20);
  __asm__ volatile("" : : "r"(memory) : "memory");
}

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  const char *mode = argv[1];
  long first = atol(argv[2]);
  own_arguments = argv;
  duration = first;
  if (pipe(channel) || pipe(back)) return 2;
  if (!strcmp(mode, "sleep")) {
    sleep_ms(first);
  } else if (!strcmp(mode, "pipe")) {
    pthread_t thread = start(write_later, NULL);
    get(channel[0]);
    pthread_join(thread, NULL);
  } else if (!strcmp(mode, "lock")) {
    pthread_mutex_lock(&mutex);
    pthread_t thread = start(take_mutex, NULL);
    sleep_ms(first);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
  } else if (!strcmp(mode, "spin") && argc > 3) {
    pthread_t threads[64];
    if (first > 64) return 64;
    duration = atol(argv[3]);
    for (long i = 0; i < first; i++) threads[i] = start(spin, NULL);
    for (long i = 0; i < first; i++) pthread_join(threads[i], NULL);
  } else if (!strcmp(mode, "child")) {
    pid_t child = fork();
    if (!child) {
      sleep_ms(first);
      _exit(3);
    }
    waitpid(child, NULL, 0);
  } else if (!strcmp(mode, "mixed")) {
    sleep_ms(first);
    pthread_t writer = start(write_later, NULL);
    get(channel[0]);
    pthread_join(writer, NULL);
    pthread_t keeper = start(keep_mutex, NULL);
    get(channel[0]);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_join(keeper, NULL);
    duration += (long)thread_cpu_ms();
    spin(NULL);
  } else if (!strcmp(mode, "pingpong")) {
    pthread_t thread = start(answer, (void *)first);
    for (long i = 0; i < first; i++) {
      put(channel[1]);
      get(back[0]);
    }
    pthread_join(thread, NULL);
  } else if (!strcmp(mode, "threads")) {
    for (long i = 0; i < first; i++) pthread_join(start(nothing, NULL), NULL);
  } else if (!strcmp(mode, "hold") && argc > 4) {
    for (long i = 0; i < first; i++)
      if (!fork()) {
        touch(atol(argv[3]));
        sleep_ms(atol(argv[4]));
        _exit(0);
      }
    while (wait(NULL) > 0) {
    }
  } else if (!strcmp(mode, "write") && argc > 3) {
    pid_t child = fork();
    if (!child) {
      int fd = open(argv[3], O_CREAT | O_WRONLY | O_TRUNC, 0600);
      static char block[1 << 20];
      for (long i = 0; i < first; i++)
        if (write(fd, block, sizeof block) != sizeof block) _exit(2);
      fsync(fd);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  } else if (!strcmp(mode, "barrier")) {
    pthread_t waiter = start(wait_at_barrier, NULL);
    sleep_ms(first);
    pthread_t keeper = start(keep_mutex, NULL);
    get(channel[0]);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_join(keeper, NULL);
    duration = first + (long)thread_cpu_ms();
    spin(NULL);
    duration = first;
    touch_fresh_pages(NULL);
    others_are_there = 1;
    pthread_join(waiter, NULL);
  } else if (!strcmp(mode, "exec")) {
    pthread_join(start(exec_sleep, NULL), NULL);
  } else {
    return 64;
  }
  return 0;
}

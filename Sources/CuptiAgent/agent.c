// What does a CUDA process do on its GPUs? The agent that the driver loads into it, by CUPTI's activity records.
//
// The process is somebody else's. So nothing here may block it for long, end it, print, or take memory without bound:
//   - CUPTI's buffers come from a pool; when all are in use CUPTI drops records, which are counted.
//   - A thread of ours writes the file; another asks CUPTI for what is complete, twice a second, so that a process
//     which is killed or leaves by _exit loses half a second.
//   - Whatever fails leaves a status record with its reason, and the agent steps aside.
// docs/gpu-recording.md. Not yet run on a GPU: tried with Tests/FakeCupti.
#include "kiviat_cupti_agent.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { NEW, ON, OFF };
enum { MAX_BUFFERS = 256, NOTES = 64, NOTE_TEXT = 400, MAX_NOTES_EVER = 1000, CLOCK_TRIES = 5 };

typedef struct {
  uint64_t time_ns;
  kiviat_cupti_stage stage;
  kiviat_cupti_severity severity;
  int code;
  char text[NOTE_TEXT];
} note_entry;

typedef struct {
  uint8_t *data;
  size_t valid;
  cuda_context context;
  uint32_t stream;
} full_buffer;

static struct {
  atomic_int state;
  pid_t pid;
  cupti_library library;
  cupti_subscriber subscriber;
  size_t buffer_bytes, buffer_limit;
  unsigned flush_ms, exit_ms;

  // Under the lock: held for a few instructions each time, never while CUPTI or the kernel is called.
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint8_t *buffers[MAX_BUFFERS];
  size_t buffer_count;
  uint8_t *free[MAX_BUFFERS];
  size_t free_count;
  full_buffer full[MAX_BUFFERS];
  size_t full_first, full_count;
  note_entry notes[NOTES];
  size_t note_count;
  uint64_t notes_ever;
  kiviat_cupti_clock clock;
  bool has_clock;
  // The process ends; the last records are here; nothing more is noted; the recording is closed.
  bool is_ending, is_flushed, may_close, is_finished;
  uint64_t declined, delivered, delivered_bytes, outstanding;

  atomic_ullong forks;
  // The writing thread's.
  record_counts counts;
  kiviat_cupti_counts written;
} agent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const int kinds[] = {
    CUPTI_KIND_DEVICE, CUPTI_KIND_CONTEXT, CUPTI_KIND_EXTERNAL_CORRELATION, CUPTI_KIND_RUNTIME,
    CUPTI_KIND_OVERHEAD, CUPTI_KIND_SYNCHRONIZATION, CUPTI_KIND_MEMCPY, CUPTI_KIND_MEMCPY2, CUPTI_KIND_MEMSET,
    CUPTI_KIND_CONCURRENT_KERNEL,
};
static const char *const kind_names[] = {
    "devices", "contexts", "external correlation", "runtime calls", "overheads", "synchronizations", "copies",
    "copies between devices", "fills", "kernels",
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/// Whether this process is the one that the agent began in, and the agent works. A child has its parent's memory.
static bool is_on(void) { return atomic_load(&agent.state) == ON && agent.pid == getpid(); }

static unsigned long setting(const char *name, unsigned long usual, unsigned long least, unsigned long most) {
  const char *text = getenv(name);
  if (text == NULL || text[0] == 0) return usual;
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);
  if (*end != 0) return usual;
  return value < least ? least : value > most ? most : value;
}

static const char *result_name(cupti_result result) {
  const char *name = NULL;
  if (agent.library.call.cuptiGetResultString == NULL ||
      agent.library.call.cuptiGetResultString(result, &name) != CUPTI_OK || name == NULL)
    return "unknown result";
  return name;
}

/// Keeps what happened for the writing thread. From any thread.
static void note(kiviat_cupti_stage stage, kiviat_cupti_severity severity, int code, const char *text) {
  uint64_t now = monotonic_ns();
  pthread_mutex_lock(&agent.lock);
  if (agent.note_count < NOTES && agent.notes_ever < MAX_NOTES_EVER) {
    note_entry *entry = &agent.notes[agent.note_count++];
    *entry = (note_entry){.time_ns = now, .stage = stage, .severity = severity, .code = code};
    snprintf(entry->text, sizeof entry->text, "%s", text);
    agent.notes_ever += 1;
  }
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
}

static void note_result(kiviat_cupti_stage stage, kiviat_cupti_severity severity, cupti_result result, const char *call) {
  char text[NOTE_TEXT];
  snprintf(text, sizeof text, "%s: %s", call, result_name(result));
  note(stage, severity, result, text);
}

static void append_notes(void) {
  note_entry entries[8];
  for (;;) {
    pthread_mutex_lock(&agent.lock);
    size_t count = agent.note_count < 8 ? agent.note_count : 8;
    memcpy(entries, agent.notes, count * sizeof entries[0]);
    agent.note_count -= count;
    memmove(agent.notes, agent.notes + count, agent.note_count * sizeof entries[0]);
    pthread_mutex_unlock(&agent.lock);
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
      kiviat_cupti_status status = {
          .time_ns = entries[i].time_ns,
          .stage = entries[i].stage,
          .severity = entries[i].severity,
          .code = entries[i].code,
          .text = recorder_string(entries[i].text),
      };
      recorder_append(&status, KIVIAT_CUPTI_STATUS, sizeof status);
    }
  }
}

// The clock.

/// Reads CUPTI's clock between two readings of ours; of a few tries the closest.
static bool read_clock(kiviat_cupti_clock *clock) {
  bool has = false;
  for (int i = 0; i < CLOCK_TRIES; i++) {
    uint64_t cupti = 0, before = monotonic_ns();
    if (agent.library.call.cuptiGetTimestamp(&cupti) != CUPTI_OK || cupti == 0) return false;
    uint64_t width = monotonic_ns() - before;
    if (!has || width < clock->width_ns)
      *clock = (kiviat_cupti_clock){.cupti_ns = cupti, .monotonic_ns = before + width / 2, .width_ns = width};
    has = true;
  }
  return has;
}

static void take_clock(void) {
  kiviat_cupti_clock clock;
  if (!read_clock(&clock)) return;
  pthread_mutex_lock(&agent.lock);
  agent.clock = clock;
  agent.has_clock = true;
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
}

// Buffers: CUPTI takes them from the pool and gives them back full, from threads of the process or of its own.

static void buffer_requested(uint8_t **buffer, size_t *size, size_t *max_records) {
  *buffer = NULL;
  *size = 0;
  *max_records = 0;
  if (!is_on()) return;
  pthread_mutex_lock(&agent.lock);
  if (agent.free_count == 0 && agent.buffer_count < agent.buffer_limit) {
    void *memory = mmap(NULL, agent.buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
      agent.buffers[agent.buffer_count++] = memory;
      agent.free[agent.free_count++] = memory;
    }
  }
  if (agent.free_count > 0) {
    *buffer = agent.free[--agent.free_count];
    *size = agent.buffer_bytes;
    agent.outstanding += 1;
  } else {
    agent.declined += 1;
  }
  pthread_mutex_unlock(&agent.lock);
}

static void buffer_completed(cuda_context context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
  (void)size;
  if (buffer == NULL || !is_on()) return;
  pthread_mutex_lock(&agent.lock);
  bool is_ours = false;
  for (size_t i = 0; i < agent.buffer_count && !is_ours; i++) is_ours = agent.buffers[i] == buffer;
  // Another tool's, which registered its own functions after it had taken ours: not to be touched.
  if (is_ours && agent.full_count < MAX_BUFFERS) {
    agent.outstanding -= agent.outstanding > 0;
    agent.delivered += 1;
    agent.delivered_bytes += valid;
    size_t at = (agent.full_first + agent.full_count++) % MAX_BUFFERS;
    if (valid > agent.buffer_bytes) valid = agent.buffer_bytes;
    agent.full[at] = (full_buffer){.data = buffer, .valid = valid, .context = context, .stream = stream};
    pthread_cond_broadcast(&agent.changed);
  }
  pthread_mutex_unlock(&agent.lock);
}

static void give_back(uint8_t *buffer) {
  pthread_mutex_lock(&agent.lock);
  agent.free[agent.free_count++] = buffer;
  pthread_mutex_unlock(&agent.lock);
}

// The callback: what must be fetched before it is gone, and errors inside CUPTI.

static void flush_now(uint32_t flag) {
  static atomic_int last;
  cupti_result result = agent.library.call.cuptiActivityFlushAll(flag);
  if (atomic_exchange(&last, result) != result && result != CUPTI_OK)
    note_result(KIVIAT_CUPTI_STAGE_FLUSH, KIVIAT_CUPTI_WARNING, result, "cuptiActivityFlushAll");
}

static void called_back(void *user, int domain, uint32_t cbid, const void *data) {
  (void)user;
  if (!is_on() || data == NULL) return;
  if (domain == CUPTI_DOMAIN_STATE) {
    const cupti_state_data *state = data;
    char text[NOTE_TEXT];
    snprintf(text, sizeof text, "CUPTI: %s: %s", result_name(state->result), state->message ? state->message : "");
    note(KIVIAT_CUPTI_STAGE_INTERNAL, KIVIAT_CUPTI_WARNING, state->result, text);
    return;
  }
  const cupti_api_data *call = data;
  if (call->site != CUPTI_SITE_ENTER) return;
  bool resets = domain == CUPTI_DOMAIN_DRIVER
                    ? cbid == CUPTI_CBID_PRIMARY_CONTEXT_RESET || cbid == CUPTI_CBID_PRIMARY_CONTEXT_RESET_V2
                    : cbid == CUPTI_CBID_RUNTIME_DEVICE_RESET;
  if (resets)
    note(KIVIAT_CUPTI_STAGE_RESET, KIVIAT_CUPTI_INFO, 0, call->function_name ? call->function_name : "device reset");
  // The contexts take their records with them. CUPTI's own examples fetch them at this place, too.
  flush_now(0);
}

// The threads.

static void wait_until(uint64_t deadline_ns) {
  struct timespec t = {.tv_sec = (time_t)(deadline_ns / 1000000000u), .tv_nsec = (long)(deadline_ns % 1000000000u)};
  pthread_cond_timedwait(&agent.changed, &agent.lock, &t);
}

static void *flusher(void *unused) {
  (void)unused;
  for (;;) {
    uint64_t deadline = monotonic_ns() + (uint64_t)agent.flush_ms * 1000000u;
    pthread_mutex_lock(&agent.lock);
    while (!agent.is_ending && monotonic_ns() < deadline) wait_until(deadline);
    bool is_ending = agent.is_ending;
    pthread_mutex_unlock(&agent.lock);
    take_clock();
    flush_now(is_ending ? CUPTI_FLUSH_FORCED : 0);
    if (is_ending) break;
  }
  pthread_mutex_lock(&agent.lock);
  agent.is_flushed = true;
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
  return NULL;
}

/// Appends the counts when they changed.
static void append_counts(void) {
  kiviat_cupti_counts now = {0};
  pthread_mutex_lock(&agent.lock);
  now.buffers = agent.delivered;
  now.buffer_bytes = agent.delivered_bytes;
  now.declined = agent.declined;
  now.outstanding = agent.outstanding;
  pthread_mutex_unlock(&agent.lock);
  now.records = agent.counts.records;
  now.dropped = agent.counts.dropped;
  now.untimed = agent.counts.untimed;
  now.unknown = agent.counts.unknown;
  now.left_out = agent.counts.left_out;
  now.damaged = agent.counts.damaged;
  now.unnamed = recorder_unnamed();
  now.forks = atomic_load(&agent.forks);
  if (memcmp(&now, &agent.written, sizeof now) == 0) return;
  agent.written = now;
  now.time_ns = monotonic_ns();
  recorder_append(&now, KIVIAT_CUPTI_COUNTS, sizeof now);
}

static void append_buffer(const full_buffer *full) {
  cupti_result result = records_append(&agent.library, full->data, full->valid, &agent.counts);
  if (result != CUPTI_OK && agent.counts.damaged == 1)
    note_result(KIVIAT_CUPTI_STAGE_RECORDS, KIVIAT_CUPTI_WARNING, result, "cuptiActivityGetNextRecord");
  size_t dropped = 0;
  if (agent.library.call.cuptiActivityGetNumDroppedRecords(full->context, full->stream, &dropped) == CUPTI_OK)
    agent.counts.dropped += dropped;
  give_back(full->data);
}

static void *writer(void *unused) {
  (void)unused;
  bool is_well = true;
  for (;;) {
    uint64_t deadline = monotonic_ns() + (uint64_t)agent.flush_ms * 1000000u;
    pthread_mutex_lock(&agent.lock);
    while (agent.full_count == 0 && agent.note_count == 0 && !agent.has_clock && !agent.may_close &&
           monotonic_ns() < deadline)
      wait_until(deadline);
    full_buffer full = {0};
    if (agent.full_count > 0) {
      full = agent.full[agent.full_first];
      agent.full_first = (agent.full_first + 1) % MAX_BUFFERS;
      agent.full_count -= 1;
    }
    kiviat_cupti_clock clock = agent.clock;
    bool has_clock = agent.has_clock;
    agent.has_clock = false;
    bool is_last = agent.may_close && agent.full_count == 0;
    bool is_idle = agent.full_count == 0;
    pthread_mutex_unlock(&agent.lock);

    append_notes();
    if (has_clock) recorder_append(&clock, KIVIAT_CUPTI_CLOCK, sizeof clock);
    if (full.data != NULL) append_buffer(&full);
    if (is_idle) {
      append_counts();
      append_notes();
      recorder_flush();
    }
    if (is_well && !recorder_is_well()) {
      // Nothing more can be kept: the process need not pay for it.
      is_well = false;
      for (size_t i = 0; i < KINDS; i++) agent.library.call.cuptiActivityDisable(kinds[i]);
      agent.library.call.cuptiActivityDisable(CUPTI_KIND_DRIVER);
    }
    if (is_last) break;
  }
  recorder_close();
  pthread_mutex_lock(&agent.lock);
  agent.is_finished = true;
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
  return NULL;
}

static int start_thread(void *(*function)(void *)) {
  // No signal of the process is ours to handle.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int code = pthread_create(&thread, &attributes, function, NULL);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

// The end.

/// Waits until `*condition`, `ms` at most. With the lock held.
static bool wait_for(const bool *condition, unsigned ms) {
  uint64_t deadline = monotonic_ns() + (uint64_t)ms * 1000000u;
  while (!*condition && monotonic_ns() < deadline) wait_until(deadline);
  return *condition;
}

static void at_end(void) {
  if (!is_on()) return;
  pthread_mutex_lock(&agent.lock);
  agent.is_ending = true;
  pthread_cond_broadcast(&agent.changed);
  bool is_flushed = wait_for(&agent.is_flushed, agent.exit_ms);
  pthread_mutex_unlock(&agent.lock);
  // A driver that does not answer any more must not keep the process from ending.
  if (!is_flushed) {
    char text[NOTE_TEXT];
    snprintf(text, sizeof text, "cuptiActivityFlushAll did not return within %u ms", agent.exit_ms);
    note(KIVIAT_CUPTI_STAGE_EXIT, KIVIAT_CUPTI_WARNING, 0, text);
  }
  pthread_mutex_lock(&agent.lock);
  bool gave_none = is_flushed && agent.delivered == 0 && agent.outstanding > 0;
  pthread_mutex_unlock(&agent.lock);
  if (gave_none)
    note(KIVIAT_CUPTI_STAGE_EXIT, KIVIAT_CUPTI_WARNING, 0,
         "CUPTI took buffers and gave none back: another profiler in this process may have taken over");
  pthread_mutex_lock(&agent.lock);
  agent.may_close = true;
  pthread_cond_broadcast(&agent.changed);
  wait_for(&agent.is_finished, agent.exit_ms);
  atomic_store(&agent.state, OFF);
  pthread_mutex_unlock(&agent.lock);
}

// fork: the child has no thread of ours and no CUDA, and the file is its parent's.

static void forked_parent(void) { atomic_fetch_add(&agent.forks, 1); }

static void forked_child(void) {
  atomic_store(&agent.state, OFF);
  recorder_forget();
}

// The beginning.

static void append_process(void) {
  char executable[1024] = "", command[4096] = "";
  ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
  executable[length > 0 ? length : 0] = 0;
  FILE *file = fopen("/proc/self/cmdline", "re");
  if (file != NULL) {
    size_t n = fread(command, 1, sizeof command - 1, file);
    fclose(file);
    while (n > 0 && command[n - 1] == 0) n--;
    for (size_t i = 0; i < n; i++)
      if (command[i] == 0) command[i] = ' ';
    command[n] = 0;
  }
  kiviat_cupti_process process = {.executable = recorder_string(executable), .command = recorder_string(command)};
  recorder_append(&process, KIVIAT_CUPTI_PROCESS, sizeof process);
}

/// Steps aside: the recording says why and is closed.
static int step_aside(kiviat_cupti_stage stage, int code, const char *text) {
  note(stage, KIVIAT_CUPTI_OFF, code, text);
  append_notes();
  recorder_close();
  atomic_store(&agent.state, OFF);
  return 1;
}

static int step_aside_result(kiviat_cupti_stage stage, cupti_result result, const char *call) {
  char text[NOTE_TEXT];
  snprintf(text, sizeof text, "%s: %s", call, result_name(result));
  if (agent.subscriber != NULL) agent.library.call.cuptiUnsubscribe(agent.subscriber);
  return step_aside(stage, result, text);
}

/// Switches on the driver's calls that launch, copy, fill and wait: all of them where CUPTI can't choose.
static cupti_result enable_driver_calls(void) {
  const cupti_functions *call = &agent.library.call;
  if (call->cuptiActivityEnableDriverApi != NULL) {
    cupti_result last = CUPTI_OK;
    bool took = false;
    for (size_t i = 0; records_wanted_driver[i][0] != 0; i++)
      for (uint32_t cbid = records_wanted_driver[i][0]; cbid <= records_wanted_driver[i][1]; cbid++) {
        // An old CUPTI does not know the newest calls.
        cupti_result result = call->cuptiActivityEnableDriverApi(cbid, 1);
        if (result == CUPTI_OK) took = true; else last = result;
      }
    if (took) return CUPTI_OK;
    (void)last;
  }
  return call->cuptiActivityEnable(CUPTI_KIND_DRIVER);
}

static int begin(void) {
  char why[NOTE_TEXT - 100];
  kiviat_cupti_stage stage = KIVIAT_CUPTI_STAGE_LIBRARY;
  if (!library_find(&agent.library, why, sizeof why, &stage)) return step_aside(stage, 0, why);
  const cupti_functions *call = &agent.library.call;
  kiviat_cupti_library library = {
      .path = recorder_string(agent.library.path),
      .cupti_version = agent.library.version,
      .driver_version = agent.library.driver_version,
      .was_loaded = agent.library.was_loaded,
  };
  recorder_append(&library, KIVIAT_CUPTI_LIBRARY, sizeof library);

  // First: whoever else traces this process is there already, and keeps it.
  cupti_result result = call->cuptiSubscribe(&agent.subscriber, called_back, NULL);
  if (result != CUPTI_OK) {
    agent.subscriber = NULL;
    return step_aside_result(KIVIAT_CUPTI_STAGE_SUBSCRIBE, result, "cuptiSubscribe");
  }
  // Before any kind is enabled: the clock and the numbers of threads hold for what comes later.
  result = call->cuptiActivityRegisterTimestampCallback != NULL
               ? call->cuptiActivityRegisterTimestampCallback(monotonic_ns)
               : CUPTI_OK;
  if (result != CUPTI_OK)
    note_result(KIVIAT_CUPTI_STAGE_CLOCK, KIVIAT_CUPTI_INFO, result, "cuptiActivityRegisterTimestampCallback");
  result = call->cuptiSetThreadIdType != NULL ? call->cuptiSetThreadIdType(CUPTI_THREAD_ID_SYSTEM) : CUPTI_OK;
  if (result != CUPTI_OK) note_result(KIVIAT_CUPTI_STAGE_ENABLE, KIVIAT_CUPTI_WARNING, result, "cuptiSetThreadIdType");
  result = call->cuptiActivityRegisterCallbacks(buffer_requested, buffer_completed);
  if (result != CUPTI_OK)
    return step_aside_result(KIVIAT_CUPTI_STAGE_BUFFERS, result, "cuptiActivityRegisterCallbacks");

  static const uint32_t callbacks[][2] = {
      {CUPTI_DOMAIN_STATE, CUPTI_STATE_FATAL_ERROR},
      {CUPTI_DOMAIN_STATE, CUPTI_STATE_ERROR},
      {CUPTI_DOMAIN_DRIVER, CUPTI_CBID_PROFILER_STOP},
      {CUPTI_DOMAIN_DRIVER, CUPTI_CBID_PRIMARY_CONTEXT_RESET},
      {CUPTI_DOMAIN_DRIVER, CUPTI_CBID_PRIMARY_CONTEXT_RESET_V2},
      {CUPTI_DOMAIN_RUNTIME, CUPTI_CBID_RUNTIME_DEVICE_RESET},
      {CUPTI_DOMAIN_RUNTIME, CUPTI_CBID_RUNTIME_PROFILER_STOP},
  };
  for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++) {
    result = call->cuptiEnableCallback(1, agent.subscriber, (int)callbacks[i][0], callbacks[i][1]);
    // CUDA 12.0 has none for errors inside CUPTI.
    if (result != CUPTI_OK && callbacks[i][0] != CUPTI_DOMAIN_STATE)
      note_result(KIVIAT_CUPTI_STAGE_ENABLE, KIVIAT_CUPTI_INFO, result, "cuptiEnableCallback");
  }
  // CUPTI asks for buffers from the first enabled kind on.
  atomic_store(&agent.state, ON);
  for (size_t i = 0; i < KINDS; i++) {
    char what[100];
    snprintf(what, sizeof what, "cuptiActivityEnable of %s", kind_names[i]);
    result = call->cuptiActivityEnable(kinds[i]);
    if (result == CUPTI_OK) continue;
    if (kinds[i] == CUPTI_KIND_CONCURRENT_KERNEL) {
      atomic_store(&agent.state, OFF);
      for (size_t j = 0; j < i; j++) call->cuptiActivityDisable(kinds[j]);
      return step_aside_result(KIVIAT_CUPTI_STAGE_ENABLE, result, what);
    }
    note_result(KIVIAT_CUPTI_STAGE_ENABLE, KIVIAT_CUPTI_WARNING, result, what);
  }
  result = enable_driver_calls();
  if (result != CUPTI_OK)
    note_result(KIVIAT_CUPTI_STAGE_ENABLE, KIVIAT_CUPTI_WARNING, result, "cuptiActivityEnable of driver calls");
  if (call->cuptiActivityEnableRuntimeApi != NULL)
    for (size_t i = 0; records_unwanted_runtime[i] != 0; i++)
      // What is not switched off is left out when records are read.
      (void)call->cuptiActivityEnableRuntimeApi(records_unwanted_runtime[i], 0);

  kiviat_cupti_clock clock;
  if (read_clock(&clock))
    recorder_append(&clock, KIVIAT_CUPTI_CLOCK, sizeof clock);
  else
    note(KIVIAT_CUPTI_STAGE_CLOCK, KIVIAT_CUPTI_WARNING, 0, "cuptiGetTimestamp gives no time");
  append_notes();
  recorder_flush();

  int code = start_thread(writer);
  if (code == 0) {
    code = start_thread(flusher);
    if (code != 0) {
      // The writer runs already and closes the recording.
      note(KIVIAT_CUPTI_STAGE_THREAD, KIVIAT_CUPTI_OFF, code, "pthread_create");
      pthread_mutex_lock(&agent.lock);
      agent.may_close = true;
      pthread_cond_broadcast(&agent.changed);
      wait_for(&agent.is_finished, agent.exit_ms);
      pthread_mutex_unlock(&agent.lock);
    }
  }
  if (code != 0) {
    atomic_store(&agent.state, OFF);
    for (size_t i = 0; i < KINDS; i++) call->cuptiActivityDisable(kinds[i]);
    call->cuptiActivityDisable(CUPTI_KIND_DRIVER);
    call->cuptiUnsubscribe(agent.subscriber);
    // Without effect when the writer closed the recording.
    return recorder_is_well() ? step_aside(KIVIAT_CUPTI_STAGE_THREAD, code, "pthread_create") : 1;
  }
  atexit(at_end);
  at_quick_exit(at_end);
  return 1;
}

__attribute__((visibility("default"))) int InitializeInjection(void) {
  const char *directory = getenv("KIVIAT_RUN_DIRECTORY");
  if (directory == NULL || directory[0] == 0) return 1;
  static atomic_int began;
  static atomic_int began_pid;
  bool is_child = atomic_load(&began) != 0 && atomic_load(&began_pid) != getpid();
  if (!is_child && atomic_exchange(&began, 1) != 0) return 1;
  atomic_store(&began_pid, getpid());

  // CUPTI keeps the addresses of our functions: this library must stay, whoever closes it.
  Dl_info self;
  if (dladdr((void *)(size_t)InitializeInjection, &self) != 0 && self.dli_fname != NULL)
    (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);

  agent.pid = getpid();
  pthread_mutex_init(&agent.lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&agent.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  agent.buffer_bytes = setting("KIVIAT_CUPTI_BUFFER_BYTES", 2u << 20, 4096, 64u << 20) & ~(size_t)4095;
  agent.buffer_limit = setting("KIVIAT_CUPTI_BUFFERS", 16, 1, MAX_BUFFERS);
  agent.flush_ms = (unsigned)setting("KIVIAT_CUPTI_FLUSH_MS", 500, 1, 600000);
  agent.exit_ms = (unsigned)setting("KIVIAT_CUPTI_EXIT_MS", 5000, 1, 600000);

  // Nobody can be told: kiviat sees that there is no recording.
  if (!recorder_open(directory)) return 1;
  append_process();
  recorder_flush();
  if (is_child) {
    agent.note_count = 0;
    return step_aside(KIVIAT_CUPTI_STAGE_FORK, 0, "this process was forked from one that used CUDA already");
  }
  pthread_atfork(NULL, forked_parent, forked_child);
  return begin();
}

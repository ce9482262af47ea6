// How does the agent write a recording that survives what happens to its process?
//
// It lives in somebody else's process: it keeps to a fixed amount of memory, and never writes into a descriptor that
// the process has meanwhile closed and reused.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum {
  PENDING_BYTES = 256 << 10,
  /// Room for the names of kernels: templates make them a kilobyte long.
  ARENA_BYTES = 16 << 20,
  NAME_SLOTS = 1 << 16,
};
static const uint64_t default_limit = 16ULL << 30;

typedef struct {
  uint32_t hash;
  /// Where the text lies in the arena; 0 for a free slot.
  uint32_t offset;
  uint32_t id;
} name_slot;

static struct {
  int descriptor;
  dev_t device;
  ino_t inode;
  char path[1024];
  kiviat_cupti_header header;
  uint64_t size, limit;
  uint8_t *pending;
  uint32_t pending_bytes, pending_records;
  char *arena;
  uint32_t arena_used, names;
  name_slot *slots;
  uint64_t unnamed;
} file = {.descriptor = -1};

static void *reserve(size_t bytes) {
  // Pages cost nothing until they are touched.
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

uint64_t monotonic_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/// A process may close every descriptor it does not know (daemons do), and open its own at the same number.
static bool is_ours(void) {
  struct stat status;
  if (file.descriptor >= 0 && fstat(file.descriptor, &status) == 0 && status.st_dev == file.device &&
      status.st_ino == file.inode)
    return true;
  file.descriptor = open(file.path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file.descriptor < 0) return false;
  if (fstat(file.descriptor, &status) == 0 && status.st_dev == file.device && status.st_ino == file.inode) return true;
  close(file.descriptor);
  file.descriptor = -1;
  errno = ENOENT;
  return false;
}

static bool write_at(const void *data, size_t size, uint64_t offset) {
  // A file that may not grow sends SIGXFSZ, which would end the process.
  sigset_t only, before;
  sigemptyset(&only);
  sigaddset(&only, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &only, &before);
  bool wrote = true;
  int code = 0;
  for (size_t done = 0; done < size;) {
    ssize_t n = pwrite(file.descriptor, (const uint8_t *)data + done, size - done, (off_t)(offset + done));
    if (n > 0) {
      done += (size_t)n;
    } else if (n == 0 || errno != EINTR) {
      code = n == 0 ? EIO : errno;
      wrote = false;
      break;
    }
  }
  if (code == EFBIG && !sigismember(&before, SIGXFSZ)) {
    struct timespec none = {0, 0};
    sigtimedwait(&only, NULL, &none);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = code;
  return wrote;
}

static void write_header(void) {
  int code = errno;
  if (is_ours()) write_at(&file.header, sizeof file.header, 0);
  errno = code;
}

static void fail(int code) {
  if (file.header.write_errno == 0) file.header.write_errno = code == 0 ? EIO : code;
  // What was written of the last block is cut off again: the recording ends with a whole record.
  if (is_ours() && ftruncate(file.descriptor, (off_t)file.size) != 0) errno = 0;
}

bool recorder_open(const char *directory) {
  const char *limit = getenv("KIVIAT_CUPTI_LIMIT_BYTES");
  file.limit = limit != NULL && strtoull(limit, NULL, 10) > 0 ? strtoull(limit, NULL, 10) : default_limit;
  // A process that runs another program keeps its number, and containers have numbers of their own.
  for (int turn = 1; turn <= 99 && file.descriptor < 0; turn++) {
    char suffix[16] = "";
    if (turn > 1) snprintf(suffix, sizeof suffix, "-%d", turn);
    int length = snprintf(file.path, sizeof file.path, "%s/cupti-%d%s.bin", directory, (int)getpid(), suffix);
    if (length < 0 || (size_t)length >= sizeof file.path) return false;
    file.descriptor = open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file.descriptor < 0 && errno != EEXIST) return false;
  }
  if (file.descriptor < 0) return false;
  // Programs may count on the lowest free number.
  int high = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 200);
  if (high >= 0) {
    close(file.descriptor);
    file.descriptor = high;
  }
  struct stat status;
  file.pending = reserve(PENDING_BYTES);
  file.arena = reserve(ARENA_BYTES);
  file.slots = reserve(NAME_SLOTS * sizeof(name_slot));
  if (fstat(file.descriptor, &status) != 0 || !file.pending || !file.arena || !file.slots) {
    close(file.descriptor);
    file.descriptor = -1;
    unlink(file.path);
    return false;
  }
  file.device = status.st_dev;
  file.inode = status.st_ino;
  file.arena_used = 8;
  file.names = 0;
  file.unnamed = 0;
  file.pending_bytes = 0;
  file.pending_records = 0;
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  file.header = (kiviat_cupti_header){
      .magic = KIVIAT_CUPTI_MAGIC,
      .version = KIVIAT_CUPTI_VERSION,
      .header_bytes = KIVIAT_CUPTI_HEADER_BYTES,
      .pid = getpid(),
      .parent_pid = getppid(),
      .opened_ns = monotonic_ns(),
      .opened_unix_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec,
  };
  file.size = sizeof file.header;
  if (!write_at(&file.header, sizeof file.header, 0)) {
    unlink(file.path);
    recorder_forget();
    return false;
  }
  return true;
}

void recorder_flush(void) {
  if (file.pending_bytes == 0) return;
  bool wrote = recorder_is_well() && is_ours() && write_at(file.pending, file.pending_bytes, file.size);
  if (wrote) {
    file.size += file.pending_bytes;
  } else {
    if (recorder_is_well()) fail(errno);
    file.header.unwritten_records += file.pending_records;
    write_header();
  }
  file.pending_bytes = 0;
  file.pending_records = 0;
}

void recorder_append(void *record, uint16_t type, uint32_t bytes) {
  kiviat_cupti_frame *frame = record;
  frame->type = type;
  frame->bytes = bytes;
  if (recorder_is_well() && file.size + file.pending_bytes + bytes > file.limit) {
    recorder_flush();
    if (recorder_is_well()) file.header.write_errno = EFBIG;
    write_header();
  }
  if (!recorder_is_well()) {
    file.header.unwritten_records += 1;
    return;
  }
  if (file.pending_bytes + bytes > PENDING_BYTES) recorder_flush();
  // A string was put together in place.
  memmove(file.pending + file.pending_bytes, record, bytes);
  file.pending_bytes += bytes;
  file.pending_records += 1;
}

uint32_t recorder_string(const char *text) {
  if (text == NULL || text[0] == 0) return 0;
  enum { MAX_TEXT = KIVIAT_CUPTI_MAX_RECORD - sizeof(kiviat_cupti_string) - 8 };
  size_t length = strnlen(text, MAX_TEXT + 1);
  bool is_cut = length > MAX_TEXT;
  if (is_cut) length = MAX_TEXT;
  uint32_t hash = 2166136261u;  // FNV-1a
  for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)text[i]) * 16777619u;
  name_slot *slot = NULL;
  for (uint32_t i = hash;; i++) {
    slot = &file.slots[i % NAME_SLOTS];
    if (slot->offset == 0) break;
    if (slot->hash == hash && memcmp(file.arena + slot->offset, text, length) == 0 &&
        file.arena[slot->offset + length] == 0)
      return slot->id;
  }
  if (file.names >= NAME_SLOTS / 2 || file.arena_used + length + 1 > ARENA_BYTES) {
    file.unnamed += 1;
    return 0;
  }
  struct {
    kiviat_cupti_string head;
    char text[MAX_TEXT + 8];
  } *record = (void *)(file.pending + file.pending_bytes);
  uint32_t bytes = (uint32_t)((sizeof(kiviat_cupti_string) + length + 7) & ~(size_t)7);
  // Put together in place: it is too long for the stack of a callback.
  if (file.pending_bytes + bytes > PENDING_BYTES) {
    recorder_flush();
    record = (void *)file.pending;
  }
  *slot = (name_slot){.hash = hash, .offset = file.arena_used, .id = ++file.names};
  memcpy(file.arena + file.arena_used, text, length);
  file.arena[file.arena_used + length] = 0;
  file.arena_used += (uint32_t)length + 1;
  memset(record, 0, bytes);
  record->head.frame.flags = is_cut ? KIVIAT_CUPTI_FLAG_CUT : 0;
  record->head.id = slot->id;
  record->head.length = (uint32_t)length;
  memcpy(record->text, text, length);
  recorder_append(record, KIVIAT_CUPTI_STRING, bytes);
  return slot->id;
}

void recorder_close(void) {
  if (file.descriptor < 0) return;
  kiviat_cupti_end end = {.time_ns = monotonic_ns()};
  recorder_append(&end, KIVIAT_CUPTI_END, sizeof end);
  recorder_flush();
  file.header.closed_ns = end.time_ns;
  write_header();
  if (is_ours()) close(file.descriptor);
  file.descriptor = -1;
}

bool recorder_is_well(void) { return file.descriptor >= 0 && file.header.write_errno == 0; }

uint64_t recorder_unnamed(void) { return file.unnamed; }

void recorder_forget(void) {
  // Only if it is still ours: the number may be someone else's by now.
  struct stat status;
  if (file.descriptor >= 0 && fstat(file.descriptor, &status) == 0 && status.st_dev == file.device &&
      status.st_ino == file.inode)
    close(file.descriptor);
  file.descriptor = -1;
  file.pending_bytes = 0;
  file.pending_records = 0;
}

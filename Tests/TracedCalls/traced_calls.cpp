// Operations for the tracer's tests, made as libtorch makes its own: by at::RecordFunction.
#include "traced_calls.h"

#include <ATen/record_function.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <thread>

namespace {

__attribute__((noinline)) void marked() { __asm__ volatile("" ::: "memory"); }

void call(int times) {
  for (int i = 0; i < times; i++) marked();
}

template <typename Body>
void operation(const char *name, Body &&body) {
  at::RecordFunction guard(at::RecordScope::FUNCTION);
  if (guard.isActive()) guard.before(name, c10::ArrayRef<const c10::IValue>{});
  body();
}

char *pages_from_system(size_t size) {
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  // Small pages, so that each is a fault of its own.
  madvise(memory, size, MADV_NOHUGEPAGE);
  return static_cast<char *>(memory);
}

}  // namespace

extern "C" {

uint64_t traced_marked_address(void) { return reinterpret_cast<uint64_t>(&marked); }

void traced_calls(const char *name, int calls) {
  operation(name, [&] { call(calls); });
}

void traced_nest(const char *outer, int before, const char *inner, int times, int inside, int after) {
  operation(outer, [&] {
    call(before);
    for (int i = 0; i < times; i++) traced_calls(inner, inside);
    call(after);
  });
}

void traced_worker(const char *name, int there, int here) {
  operation(name, [&] {
    std::thread worker([&] { call(there); });
    call(here);
    worker.join();
  });
}

void traced_other_thread(const char *outer, const char *inner, int inside, int here) {
  operation(outer, [&] {
    std::thread other([&] { traced_calls(inner, inside); });
    call(here);
    other.join();
  });
}

void traced_touch(const char *name, int pages, int is_fresh) {
  const auto page = size_t(sysconf(_SC_PAGESIZE));
  const size_t size = page * size_t(pages);
  static char *kept = nullptr;
  static size_t kept_size = 0;
  char *memory;
  if (is_fresh) {
    memory = pages_from_system(size);
  } else {
    if (kept_size < size) {
      kept = pages_from_system(size);
      kept_size = size;
      for (size_t at = 0; at < size; at += page) kept[at] = 1;
    }
    memory = kept;
  }
  operation(name, [&] {
    for (size_t at = 0; at < size; at += page) static_cast<volatile char *>(memory)[at] = 1;
  });
  if (is_fresh) munmap(memory, size);
}

void traced_spin(const char *name, uint64_t nanoseconds) {
  operation(name, [&] {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t end = uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec) + nanoseconds;
    do {
      clock_gettime(CLOCK_MONOTONIC, &now);
    } while (uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec) < end);
  });
}

}  // extern "C"

// Operations for the tracer's tests that do something countable a known number of times.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The address of a function that is called for nothing else than to be counted, by an execute breakpoint.
uint64_t traced_marked_address(void);
/// An operation that calls the marked function so often.
void traced_calls(const char *name, int calls);
/// An operation `outer` that calls it `before` times, runs the operation `inner` so many `times` with `inside` calls each, and
/// calls it `after` times.
void traced_nest(const char *outer, int before, const char *inner, int times, int inside, int after);
/// An operation that starts a thread, which calls it `there` times, and calls it `here` times itself.
void traced_worker(const char *name, int there, int here);
/// An operation `outer` that starts a thread, on which an operation `inner` calls it `inside` times, and calls it `here` times
/// itself.
void traced_other_thread(const char *outer, const char *inner, int inside, int here);
/// An operation that writes to so many pages; fresh from the system, or the same ones each time.
void traced_touch(const char *name, int pages, int is_fresh);
/// An operation that computes for about so many nanoseconds.
void traced_spin(const char *name, uint64_t nanoseconds);

#ifdef __cplusplus
}
#endif

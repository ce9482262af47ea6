// Perf events counted by kernel: what the tracer asks for at an operation's begin and end.
#pragma once

#include <cstdint>

#include "trace_file.h"

namespace kiviat {

/// What to count in traces that are opened from now on: `kiviat_counters_parse`'s lines; none for an empty text.
/// Throws std::runtime_error for a line that is malformed.
///
/// `time_share`: of the time of each kind of root operation, the share that reading counters in it may take; only so
/// many of its calls are read. The first call of each kind is read always.
void set_counter_events(const char *lines, double time_share);
/// Whether operations have other threads compute for them: these count then, too, and each reading is a system call.
/// Else a thread reads its counters in user mode, where it may.
void set_counters_inherit(bool inherit);
/// How many events a new trace file has room for.
uint32_t counter_event_count();

/// Opens the events on the calling thread, whose state this is, as the file's first or next. The tracer's lock is held.
void open_counters(TraceFile &file, TraceThread *thread);
/// The trace ends: what the calling thread has opened is closed. Others close their own.
void close_counters();
/// Makes the pages of the next entries, so that writing them is no page fault of the traced program.
void make_room_for_counts(TraceThread *thread);

/// Whether to read counters in this call of a root operation and all inside.
/// `is_drawn` is set when the call stands for others, too.
bool wants_counters(TraceThread *thread, const kiviat_trace_entry *entry, bool *is_drawn);
/// The operation at `depth` begins; gives the time after reading.
uint64_t begin_counters(TraceThread *thread, uint32_t depth);
/// The operation at `depth` ended at a time; gives how long reading took.
uint64_t end_counters(TraceThread *thread, uint32_t depth, uint64_t now);

}  // namespace kiviat

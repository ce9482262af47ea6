// What the tracer tells a simulator (Valgrind's Callgrind) that it runs under: which kernels run, and in which iterations.
#pragma once

#include <cstdint>

namespace kiviat {

/// Whether this process runs under Callgrind and `kiviat` asked for a simulation. Elsewhere the tracer's hot path costs
/// the test of this one word more.
extern bool simulates;

/// Reads what `kiviat` asked for; called when a trace is opened.
void simulation_open();
/// The number of the group that an operation is counted in: its category when `kiviat` told it, else its name.
uint32_t simulation_group(const char *operation);
/// Nothing is counted from here to `simulation_resume`: the tracer's own instructions.
void simulation_pause();
/// Kernels of a group run from now on on the main thread; `simulation_outside` for none.
void simulation_resume(uint32_t group);
/// A phase of the main thread begins. An iteration is what runs from one forward pass after data to the next; when the
/// last that was asked for has ended, so does the process.
void simulation_phase(int phase);

constexpr uint32_t simulation_outside = 0;

}  // namespace kiviat

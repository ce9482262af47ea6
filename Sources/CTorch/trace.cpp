// The tracer. Only the names of modules so far.
#include "ops.h"

extern "C" {
uint32_t ct_trace_module(const char *) { return 0; }
uint32_t ct_trace_enter(uint32_t) { return 0; }
int ct_trace_phase(int) { return 5; }
}

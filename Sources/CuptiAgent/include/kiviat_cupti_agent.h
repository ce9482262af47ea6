// The agent that the CUDA driver loads into a process (CUDA_INJECTION64_PATH).
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Called by the driver in cuInit. Always 1: the process goes on whatever happens here.
int InitializeInjection(void);

/// From here to ``kiviat_cupti_pop`` what the calling thread launches belongs to `id`: an operation of a traced layer. The
/// calls are recorded with it (kiviat_cupti_external, kind 5). A tracer finds both in the process by dlsym, and so reaches the
/// CUPTI that records. 0 when the agent does not work; nothing is to be popped then.
int kiviat_cupti_push(uint64_t id);
void kiviat_cupti_pop(void);

#ifdef __cplusplus
}
#endif

// The agent that the CUDA driver loads into a process (CUDA_INJECTION64_PATH).
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Called by the driver in cuInit. Always 1: the process goes on whatever happens here.
int InitializeInjection(void);

#ifdef __cplusplus
}
#endif

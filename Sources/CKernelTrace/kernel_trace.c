#include "kiviat_kernel_trace.h"

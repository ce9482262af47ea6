#include "kiviat_perf_event.h"

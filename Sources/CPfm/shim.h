// The kernel's own header first: libpfm4's copy of it then stands back, so that Swift sees one perf_event_attr.
#include <linux/perf_event.h>
#include <perfmon/pfmlib_perf_event.h>

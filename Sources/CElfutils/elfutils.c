// A package target needs a source file; see the header for what this one offers.
#include "kiviat_elfutils.h"

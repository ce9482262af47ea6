#include "kiviat_elfutils.h"

#include "kiviat_ceilings.h"

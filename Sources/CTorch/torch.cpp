#include "kiviat_torch.h"

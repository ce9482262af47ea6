// What one call of an operation computes and moves, by its name and inputs.
#pragma once

#include <ATen/core/ivalue.h>

#include "kiviat_kernel_trace.h"

namespace kiviat {

struct Cost {
  double flops = 0;
  uint16_t flops_source = KIVIAT_FLOPS_NONE;
  double bytes = 0;
  bool has_bytes = false;
  /// Counts even when an operation inside counted something (zeroed its result, say).
  bool always_counts = false;
};

struct Rule;

/// The rule for an operation; nullptr when there is none.
const Rule *find_rule(const char *name);
/// Whether numbers among the inputs (strides, a mask) change the cost, beside the shapes.
bool parameters_matter(const Rule *rule);
/// The cost of one call. `has_out` when the last tensors are where the results go.
Cost cost_of(const Rule *rule, c10::ArrayRef<const c10::IValue> inputs, bool has_out);

}  // namespace kiviat

// Sequences of different lengths without their padding, and LSTM layers over them.
#include "ops.h"

#include <ATen/ops/_pack_padded_sequence.h>
#include <ATen/ops/_pad_packed_sequence.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/tensor.h>

using namespace kiviat;

namespace {
void give(ct_tensor **place, at::Tensor value) { *place = new ct_tensor{std::move(value)}; }
}  // namespace

CT_DO(
    pack_padded,
    (const ct_tensor *a, const ct_int *lengths, ct_int count, bool batch_first, ct_tensor **data, ct_tensor **sizes), {
      auto result = at::_pack_padded_sequence(T(a), at::tensor(ints(lengths, count), at::kLong), batch_first);
      give(data, std::get<0>(result));
      give(sizes, std::get<1>(result));
    })
CT_OP(
    pad_packed, (const ct_tensor *data, const ct_tensor *sizes, bool batch_first, ct_int total),
    std::get<0>(at::_pad_packed_sequence(T(data), T(sizes), batch_first, 0, total)))
CT_DO(
    lstm_packed,
    (const ct_tensor *data, const ct_tensor *sizes, ct_tensor *const *states, ct_tensor *const *parameters,
     ct_int count, bool has_biases, ct_int layers, double dropout, bool training, bool bidirectional,
     ct_tensor **output, ct_tensor **hidden, ct_tensor **cell),
    {
      auto result = at::lstm(
          T(data), T(sizes), list(states, 2), list(parameters, count), has_biases, layers, dropout, training,
          bidirectional);
      give(output, std::get<0>(result));
      give(hidden, std::get<1>(result));
      give(cell, std::get<2>(result));
    })

// Recurrent layers and cells.
#include "ops.h"

#include <ATen/ops/gru.h>
#include <ATen/ops/gru_cell.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/lstm_cell.h>

using namespace kiviat;

namespace {
void give(ct_tensor **place, at::Tensor value) { *place = new ct_tensor{std::move(value)}; }
}  // namespace

CT_DO(
    lstm,
    (const ct_tensor *a, ct_tensor *const *states, ct_tensor *const *parameters, ct_int count, bool has_biases,
     ct_int layers, double dropout, bool training, bool bidirectional, bool batch_first, ct_tensor **output,
     ct_tensor **hidden, ct_tensor **cell),
    {
      auto result = at::lstm(
          T(a), list(states, 2), list(parameters, count), has_biases, layers, dropout, training, bidirectional,
          batch_first);
      give(output, std::get<0>(result));
      give(hidden, std::get<1>(result));
      give(cell, std::get<2>(result));
    })
CT_DO(
    gru,
    (const ct_tensor *a, const ct_tensor *state, ct_tensor *const *parameters, ct_int count, bool has_biases,
     ct_int layers, double dropout, bool training, bool bidirectional, bool batch_first, ct_tensor **output,
     ct_tensor **hidden),
    {
      auto result = at::gru(
          T(a), T(state), list(parameters, count), has_biases, layers, dropout, training, bidirectional, batch_first);
      give(output, std::get<0>(result));
      give(hidden, std::get<1>(result));
    })
CT_DO(
    lstm_cell,
    (const ct_tensor *a, ct_tensor *const *states, const ct_tensor *input_weight, const ct_tensor *hidden_weight,
     const ct_tensor *input_bias, const ct_tensor *hidden_bias, ct_tensor **hidden, ct_tensor **cell),
    {
      auto result = at::lstm_cell(
          T(a), list(states, 2), T(input_weight), T(hidden_weight), maybe(input_bias), maybe(hidden_bias));
      give(hidden, std::get<0>(result));
      give(cell, std::get<1>(result));
    })
CT_OP(
    gru_cell,
    (const ct_tensor *a, const ct_tensor *state, const ct_tensor *input_weight, const ct_tensor *hidden_weight,
     const ct_tensor *input_bias, const ct_tensor *hidden_bias),
    at::gru_cell(T(a), T(state), T(input_weight), T(hidden_weight), maybe(input_bias), maybe(hidden_bias)))

// Which formula counts an operation's FLOPs and bytes. Matrix products, convolutions and attention follow
// torch.utils.flop_counter (a multiply-accumulate is 2); the others are Kiviat's own, with these conventions: an
// addition, multiplication, division, comparison in a maximum, and a call of exp, log, sqrt, tanh … are 1 each; what
// only moves data is 0. Bytes: each input and output tensor once; an operation in place reads and writes its tensor.
#include "trace_rules.h"

#include <ATen/core/Tensor.h>
#include <c10/util/SmallVector.h>

#include <algorithm>
#include <string>
#include <unordered_map>

namespace kiviat {

using c10::IValue;
using Inputs = c10::ArrayRef<const IValue>;

enum class Kind {
  /// Neither computes nor moves: views, allocation.
  view,
  /// `factor` FLOPs for every element of the inputs' common shape, which the result has too.
  elementwise,
  /// The same with a bool result.
  comparison,
  /// Writes the first tensor only.
  fill,
  /// Reads the second tensor and writes the first.
  copy,
  /// `factor` FLOPs for every element of the first tensor; the result is what is left of it.
  reduction,
  /// The first tensors are read, and the result has their joint size.
  concatenation,
  /// Reads indices and as many values as it writes.
  gathering,
  /// Adds its last tensor into places of the first.
  scattering,
  embedding,
  embedding_backward,
  /// Rows are read, and summed by bags.
  embedding_bag,
  /// Sorted values and i64 places, of the first tensor's size or, with k, its part.
  sort,
  mm,
  mv,
  dot,
  linear,
  convolution,
  convolution_backward,
  attention,
  batch_norm,
  batch_norm_backward,
  /// `factor` FLOPs for every element, statistics negligible.
  normalization,
  max_pool,
  avg_pool,
  /// `factor` FLOPs for every element of the larger of the first two tensors.
  pool_backward,
  grid_sampler,
  grid_sampler_backward,
  /// Samples of the first tensor for every value of the result; how many a value says the input `factor`.
  roi_align,
  nms,
  sgd,
  /// Rows of a table follow the rows of a gradient.
  sparse_sgd,
  adam,
  rmsprop,
  clip,
  /// `factor` FLOPs for every number of the first tensor, the gates; the products count for themselves.
  gru_scan,
  gru_scan_backward,
};

/// Where the parameters of a convolution stand among the inputs; −1 for none.
struct ConvolutionLayout {
  int stride, padding, dilation, transposed, output_padding, groups;
};

struct Rule {
  Kind kind;
  double factor;
  ConvolutionLayout layout;
  bool always_transposed;
};

namespace {

constexpr ConvolutionLayout none = {-1, -1, -1, -1, -1, -1};

Rule simple(Kind kind, double factor = 0) { return {kind, factor, none, false}; }
Rule conv(ConvolutionLayout layout, bool transposed = false) { return {Kind::convolution, 0, layout, transposed}; }

const std::unordered_map<std::string, Rule> &rules() {
  static const auto *table = [] {
    auto *t = new std::unordered_map<std::string, Rule>;
    auto add = [&](Rule rule, std::initializer_list<const char *> names) {
      for (auto name : names) t->emplace(name, rule);
    };
    add(simple(Kind::view),
        {"aten::view", "aten::_unsafe_view", "aten::_reshape_alias", "aten::as_strided", "aten::as_strided_",
         "aten::expand", "aten::t", "aten::t_", "aten::transpose", "aten::transpose_", "aten::permute", "aten::select",
         "aten::slice", "aten::narrow", "aten::squeeze", "aten::squeeze_", "aten::unsqueeze", "aten::unsqueeze_",
         "aten::detach", "aten::detach_", "aten::alias", "aten::lift", "aten::split", "aten::split_with_sizes",
         "aten::unbind", "aten::unfold", "aten::diagonal", "aten::empty", "aten::empty_like", "aten::empty_strided",
         "aten::resize_", "aten::resize_as_", "aten::set_", "aten::result_type", "aten::numel", "aten::size",
         "aten::is_nonzero", "aten::item", "aten::_local_scalar_dense", "aten::is_same_size", "aten::view_as_real",
         "aten::view_as_complex", "aten::movedim", "aten::chunk", "aten::_version", "aten::output_nr",
         "aten::requires_grad_", "aten::retain_grad", "aten::is_leaf", "aten::expand_as", "aten::view_as"});
    for (const char *name : {"add", "sub", "rsub", "mul", "div", "neg", "exp", "exp2", "expm1", "log", "log1p", "log2",
                             "log10", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tan", "tanh", "erf", "pow",
                             "maximum", "minimum", "relu", "threshold", "clamp_min", "clamp_max", "fmod", "remainder",
                             "floor_divide", "true_divide", "atan", "atan2", "square"}) {
      // Their in-place forms cost the same: the tensor is read, and written.
      for (const char *suffix : {"", "_"}) {
        t->emplace("aten::" + std::string(name) + suffix, simple(Kind::elementwise, 1));
      }
    }
    add(simple(Kind::elementwise, 0),
        {"aten::abs", "aten::abs_", "aten::sign", "aten::sgn", "aten::floor", "aten::floor_", "aten::ceil",
         "aten::round", "aten::round_", "aten::trunc", "aten::where", "aten::masked_fill", "aten::masked_fill_",
         "aten::clone", "aten::_to_copy", "aten::flip", "aten::roll", "aten::constant_pad_nd",
         "aten::bitwise_and", "aten::bitwise_or", "aten::bitwise_not", "aten::tril", "aten::triu", "aten::cumprod",
         "aten::pixel_shuffle", "aten::mkldnn_reorder_conv2d_weight", "aten::repeat"});
    add(simple(Kind::elementwise, 1), {"aten::threshold_backward", "aten::cumsum", "aten::leaky_relu_backward",
                                       "aten::hardtanh_backward", "aten::native_dropout_backward"});
    add(simple(Kind::elementwise, 2),
        {"aten::clamp", "aten::clamp_", "aten::hardtanh", "aten::hardtanh_", "aten::leaky_relu", "aten::leaky_relu_",
         "aten::addcmul", "aten::addcmul_", "aten::native_dropout", "aten::prelu", "aten::_prelu_kernel"});
    add(simple(Kind::elementwise, 3),
        {"aten::addcdiv", "aten::addcdiv_", "aten::softplus", "aten::elu", "aten::elu_", "aten::lerp", "aten::lerp_",
         "aten::sigmoid_backward", "aten::tanh_backward", "aten::log_sigmoid_forward", "aten::log_sigmoid",
         "aten::elu_backward", "aten::mse_loss_backward", "aten::smooth_l1_loss_backward", "aten::softplus_backward",
         "aten::hardsigmoid"});
    add(simple(Kind::elementwise, 4),
        {"aten::sigmoid", "aten::sigmoid_", "aten::_softmax_backward_data", "aten::_log_softmax_backward_data",
         "aten::log_sigmoid_backward", "aten::hardswish"});
    add(simple(Kind::elementwise, 5), {"aten::silu", "aten::gelu", "aten::_softmax", "aten::_log_softmax"});
    add(simple(Kind::elementwise, 8), {"aten::silu_backward", "aten::gelu_backward", "aten::binary_cross_entropy"});
    add(simple(Kind::comparison, 0),
        {"aten::eq", "aten::ne", "aten::lt", "aten::le", "aten::gt", "aten::ge", "aten::logical_and",
         "aten::logical_or", "aten::logical_not", "aten::isnan", "aten::isinf", "aten::isfinite", "aten::isin"});
    add(simple(Kind::fill),
        {"aten::fill_", "aten::zero_", "aten::bernoulli_", "aten::uniform_", "aten::normal_", "aten::random_",
         "aten::exponential_", "aten::arange", "aten::randperm", "aten::eye", "aten::linspace"});
    add(simple(Kind::copy), {"aten::copy_"});
    add(simple(Kind::reduction, 1),
        {"aten::sum", "aten::mean", "aten::prod", "aten::max", "aten::min", "aten::amax", "aten::amin", "aten::argmax",
         "aten::argmin", "aten::any", "aten::all"});
    add(simple(Kind::reduction, 2), {"aten::norm", "aten::linalg_vector_norm", "aten::logsumexp"});
    add(simple(Kind::reduction, 4), {"aten::var", "aten::std", "aten::var_mean", "aten::std_mean"});
    add(simple(Kind::reduction, 3), {"aten::mse_loss", "aten::smooth_l1_loss"});
    add(simple(Kind::reduction, 0), {"aten::nll_loss_forward", "aten::nll_loss2d_forward", "aten::nonzero"});
    add(simple(Kind::fill), {"aten::nll_loss_backward", "aten::nll_loss2d_backward"});
    add(simple(Kind::concatenation), {"aten::cat", "aten::_cat", "aten::stack", "aten::_stack"});
    add(simple(Kind::gathering), {"aten::gather", "aten::index_select", "aten::index", "aten::take"});
    add(simple(Kind::scattering),
        {"aten::scatter_add", "aten::scatter_add_", "aten::index_add_", "aten::index_put_", "aten::_index_put_impl_",
         "aten::scatter", "aten::scatter_", "aten::index_copy_"});
    add(simple(Kind::embedding), {"aten::embedding"});
    add(simple(Kind::embedding_bag), {"aten::_embedding_bag", "aten::_embedding_bag_forward_only"});
    add(simple(Kind::embedding_backward), {"aten::embedding_dense_backward"});
    add(simple(Kind::sort), {"aten::sort", "aten::topk", "aten::argsort", "aten::kthvalue"});
    add(simple(Kind::mm, 0), {"aten::mm", "aten::bmm", "aten::_scaled_mm"});
    // The product's operands come second.
    add(simple(Kind::mm, 1), {"aten::addmm", "aten::addmm_", "aten::baddbmm", "aten::baddbmm_", "aten::_addmm_activation"});
    add(simple(Kind::mv, 0), {"aten::mv"});
    add(simple(Kind::mv, 1), {"aten::addmv", "aten::addmv_"});
    add(simple(Kind::dot), {"aten::dot", "aten::vdot"});
    add(simple(Kind::linear), {"aten::mkldnn_linear", "mkl::_mkl_linear", "mkldnn::_linear_pointwise"});
    add(conv({3, 4, 5, 6, 7, 8}),
        {"aten::convolution", "aten::_convolution", "aten::convolution_overrideable"});
    add(conv({4, 3, 5, -1, -1, 6}), {"aten::mkldnn_convolution", "aten::miopen_convolution"});
    add(conv({4, 3, -1, -1, -1, -1}), {"aten::_nnpack_spatial_convolution"});
    add(conv({4, 5, -1, -1, -1, -1}), {"aten::_slow_conv2d_forward", "aten::thnn_conv2d", "aten::slow_conv3d_forward",
                                       "aten::slow_conv3d"});
    add(conv({4, 5, 6, -1, -1, -1}), {"aten::slow_conv_dilated2d", "aten::slow_conv_dilated3d",
                                      "aten::_conv_depthwise2d", "aten::conv_depthwise3d"});
    add(conv({4, 5, 7, -1, 6, -1}, true), {"aten::slow_conv_transpose2d", "aten::slow_conv_transpose3d"});
    add({Kind::convolution_backward, 0, {4, 5, 6, 7, 8, 9}, false}, {"aten::convolution_backward"});
    add(simple(Kind::attention),
        {"aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_scaled_dot_product_flash_attention",
         "aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_cudnn_attention"});
    add(simple(Kind::batch_norm), {"aten::native_batch_norm", "aten::_native_batch_norm_legit"});
    add(simple(Kind::batch_norm_backward), {"aten::native_batch_norm_backward"});
    add(simple(Kind::normalization, 8), {"aten::native_layer_norm", "aten::native_group_norm"});
    add(simple(Kind::normalization, 11),
        {"aten::native_layer_norm_backward", "aten::native_group_norm_backward"});
    add(simple(Kind::max_pool), {"aten::max_pool2d_with_indices", "aten::mkldnn_max_pool2d"});
    add(simple(Kind::avg_pool), {"aten::avg_pool2d", "aten::_adaptive_avg_pool2d"});
    add(simple(Kind::pool_backward, 1),
        {"aten::max_pool2d_with_indices_backward", "aten::avg_pool2d_backward", "aten::_adaptive_avg_pool2d_backward"});
    add(simple(Kind::grid_sampler), {"aten::grid_sampler_2d", "aten::_grid_sampler_2d_cpu_fallback",
                                      "aten::grid_sampler_3d"});
    add(simple(Kind::grid_sampler_backward), {"aten::grid_sampler_2d_backward", "aten::grid_sampler_3d_backward"});
    add(simple(Kind::roi_align, 5), {"kiviat::roi_align"});
    add(simple(Kind::roi_align, 6), {"kiviat::roi_align_backward"});
    add(simple(Kind::nms), {"kiviat::nms"});
    add(simple(Kind::sgd), {"kiviat::sgd_"});
    add(simple(Kind::sparse_sgd), {"kiviat::sparse_sgd_"});
    add(simple(Kind::adam), {"kiviat::adam_"});
    add(simple(Kind::rmsprop), {"kiviat::rmsprop_"});
    add(simple(Kind::clip), {"kiviat::clip_"});
    // Of a unit: two σ with two additions each (6), tanh of a product's sum (3), the bias's sum, the mixture (3); back 22.
    add(simple(Kind::gru_scan, 19.0 / 3), {"kiviat::gru_scan"});
    add(simple(Kind::gru_scan_backward, 22), {"kiviat::gru_scan_backward"});
    return t;
  }();
  return *table;
}

using Shape = c10::SmallVector<int64_t, 8>;

double product(at::IntArrayRef sizes) {
  double result = 1;
  for (auto size : sizes) result *= double(size);
  return result;
}

double bytes_of(const at::Tensor &tensor) { return double(tensor.numel()) * double(tensor.element_size()); }

/// All tensors among the inputs, those of lists too.
struct Tensors {
  c10::SmallVector<const at::Tensor *, 8> all;

  explicit Tensors(Inputs inputs) {
    for (const IValue &input : inputs) {
      if (input.isTensor()) {
        if (input.toTensor().defined()) all.push_back(&input.toTensor());
      } else if (input.isTensorList() || input.isOptionalTensorList()) {
        for (const IValue &element : input.toListRef()) {
          if (element.isTensor() && element.toTensor().defined()) all.push_back(&element.toTensor());
        }
      }
    }
  }

  double bytes() const {
    double sum = 0;
    for (auto tensor : all) sum += bytes_of(*tensor);
    return sum;
  }
};

/// Elements of the shape that all shapes broadcast to.
double broadcast_count(const Tensors &tensors) {
  Shape shape;
  for (auto tensor : tensors.all) {
    auto sizes = tensor->sizes();
    if (sizes.size() > shape.size()) shape.insert(shape.begin(), sizes.size() - shape.size(), 1);
    for (size_t i = 0; i < sizes.size(); i++) {
      auto &size = shape[shape.size() - sizes.size() + i];
      size = std::max(size, sizes[i]);
    }
  }
  return product(shape);
}

double list_count(const IValue &input) {
  double sum = 0;
  if (input.isTensorList()) {
    for (const IValue &element : input.toListRef()) sum += double(element.toTensor().numel());
  }
  return sum;
}

/// The i-th of a list of integers, of which one stands for all dimensions.
int64_t integer(Inputs inputs, int position, size_t i, int64_t otherwise) {
  if (position < 0 || size_t(position) >= inputs.size() || !inputs[size_t(position)].isList()) return otherwise;
  auto list = inputs[size_t(position)].toListRef();
  if (list.empty()) return otherwise;
  const IValue &value = list[std::min(i, list.size() - 1)];
  return value.isInt() ? value.toInt() : otherwise;
}

bool flag(Inputs inputs, int position) {
  return position >= 0 && size_t(position) < inputs.size() && inputs[size_t(position)].isBool() &&
      inputs[size_t(position)].toBool();
}

const at::Tensor *tensor_at(Inputs inputs, size_t position) {
  if (position >= inputs.size() || !inputs[position].isTensor()) return nullptr;
  const at::Tensor &tensor = inputs[position].toTensor();
  return tensor.defined() ? &tensor : nullptr;
}

/// Elements left of the first tensor after the dimensions in the second input are reduced.
double reduced_count(Inputs inputs, const at::Tensor &a) {
  if (inputs.size() < 2) return 1;
  double result = double(a.numel());
  auto remove = [&](int64_t dimension) {
    if (dimension < 0) dimension += a.dim();
    if (dimension >= 0 && dimension < a.dim() && a.size(dimension) > 0) result /= double(a.size(dimension));
  };
  if (inputs[1].isInt()) {
    remove(inputs[1].toInt());
  } else if (inputs[1].isList() && !inputs[1].toListRef().empty()) {
    for (const IValue &dimension : inputs[1].toListRef()) {
      if (dimension.isInt()) remove(dimension.toInt());
    }
  } else {
    return 1;
  }
  return result;
}

Cost counted(double flops, double bytes) { return {flops, KIVIAT_FLOPS_COUNTER, bytes, true}; }
Cost formula(double flops, double bytes) { return {flops, KIVIAT_FLOPS_FORMULA, bytes, true}; }

Cost matrix_product(const at::Tensor &a, const at::Tensor &b, const Tensors &tensors, bool has_out) {
  if (a.dim() < 2 || b.dim() < 2) return {};
  double rows = product(a.sizes().slice(0, size_t(a.dim()) - 1));
  double result = rows * double(b.size(-1));
  return counted(
      2 * result * double(a.size(-1)), tensors.bytes() + (has_out ? 0 : result * double(a.element_size())));
}

Cost convolution(const Rule &rule, Inputs inputs, const Tensors &tensors, bool has_out) {
  const at::Tensor *x = tensor_at(inputs, 0), *w = tensor_at(inputs, 1);
  if (!x || !w || x->dim() < 3 || w->dim() != x->dim()) return {};
  const auto &at = rule.layout;
  bool transposed = rule.always_transposed || flag(inputs, at.transposed);
  int64_t groups = 1;
  if (at.groups >= 0 && size_t(at.groups) < inputs.size() && inputs[size_t(at.groups)].isInt()) {
    groups = inputs[size_t(at.groups)].toInt();
  }
  double in = 1, out = 1;
  for (int64_t d = 2; d < x->dim(); d++) {
    auto i = size_t(d - 2);
    int64_t stride = integer(inputs, at.stride, i, 1), padding = integer(inputs, at.padding, i, 0);
    int64_t dilation = integer(inputs, at.dilation, i, 1);
    int64_t reach = dilation * (w->size(d) - 1) + 1;
    in *= double(x->size(d));
    out *= transposed
        ? double((x->size(d) - 1) * stride - 2 * padding + reach + integer(inputs, at.output_padding, i, 0))
        : double((x->size(d) + 2 * padding - reach) / stride + 1);
  }
  double batch = double(x->size(0));
  double channels = transposed ? double(w->size(1) * groups) : double(w->size(0));
  double weights = product(w->sizes());
  double result = batch * channels * out * double(x->element_size());
  return counted(2 * batch * (transposed ? in : out) * weights, tensors.bytes() + (has_out ? 0 : result));
}

Cost convolution_backward(const Rule &rule, Inputs inputs) {
  const at::Tensor *dy = tensor_at(inputs, 0), *x = tensor_at(inputs, 1), *w = tensor_at(inputs, 2);
  if (!dy || !x || !w || x->dim() < 3 || inputs.size() < 11 || !inputs[10].isList()) return {};
  auto mask = inputs[10].toListRef();
  if (mask.size() < 3) return {};
  bool wants_x = mask[0].toBool(), wants_w = mask[1].toBool(), wants_bias = mask[2].toBool();
  // One direction costs as much as the forward pass: its places are the output's, or the input's when transposed.
  const at::Tensor &places = flag(inputs, rule.layout.transposed) ? *x : *dy;
  double one = 2 * double(x->size(0)) * product(places.sizes().slice(2)) * product(w->sizes());
  double bytes = bytes_of(*dy);
  if (wants_x) bytes += bytes_of(*w) + bytes_of(*x);
  if (wants_w) bytes += bytes_of(*x) + bytes_of(*w);
  if (wants_bias) bytes += double(dy->size(1)) * double(dy->element_size());
  return counted((wants_x ? one : 0) + (wants_w ? one : 0), bytes);
}

}  // namespace

const Rule *find_rule(const char *name) {
  auto found = rules().find(name);
  return found == rules().end() ? nullptr : &found->second;
}

bool parameters_matter(const Rule *rule) {
  if (!rule) return false;
  switch (rule->kind) {
    case Kind::convolution:
    case Kind::convolution_backward:
    case Kind::batch_norm:
    case Kind::max_pool:
    case Kind::avg_pool:
    case Kind::reduction:
    case Kind::sort:
    case Kind::roi_align:
      return true;
    default:
      return false;
  }
}

namespace {

/// Operations that do their own work, whatever small ones they call for zeros and copies. The others may be layers
/// around the one that works.
bool works_itself(Kind kind) {
  switch (kind) {
    case Kind::scattering:
    case Kind::embedding_backward:
    case Kind::embedding_bag:
    case Kind::sort:
    case Kind::batch_norm:
    case Kind::batch_norm_backward:
    case Kind::normalization:
    case Kind::max_pool:
    case Kind::avg_pool:
    case Kind::pool_backward:
    case Kind::grid_sampler:
    case Kind::grid_sampler_backward:
    case Kind::roi_align:
    case Kind::nms:
    case Kind::sgd:
    case Kind::sparse_sgd:
    case Kind::adam:
    case Kind::rmsprop:
    case Kind::clip:
    case Kind::gru_scan:
    case Kind::gru_scan_backward:
      return true;
    default:
      return false;
  }
}

Cost formula_cost(const Rule *rule, Inputs inputs, bool has_out) {
  Tensors tensors(inputs);
  if (rule->kind == Kind::view) return formula(0, 0);
  if (tensors.all.empty()) return {};
  const at::Tensor &first = *tensors.all.front();
  double n = double(first.numel()), in = tensors.bytes();
  auto size = double(first.element_size());
  auto out = [&](double bytes) { return has_out ? 0 : bytes; };
  switch (rule->kind) {
    case Kind::view:
      break;
    case Kind::elementwise: {
      double count = broadcast_count(tensors);
      return formula(rule->factor * count, in + out(count * size));
    }
    case Kind::comparison:
      return formula(0, in + out(broadcast_count(tensors)));
    case Kind::fill:
      return formula(0, bytes_of(first));
    case Kind::copy:
      return formula(0, in);
    case Kind::reduction:
      return formula(rule->factor * n, in + out(reduced_count(inputs, first) * size));
    case Kind::concatenation:
      return formula(0, has_out ? in : 2 * in);
    case Kind::gathering: {
      // All tensors but the first are indices: index_select's name rows, gather's single values.
      double indices = 0, values = 1;
      for (size_t i = 1; i < tensors.all.size(); i++) {
        indices += bytes_of(*tensors.all[i]);
        values = std::max(values, double(tensors.all[i]->numel()));
      }
      if (inputs.size() > 1 && inputs[1].isInt() && tensors.all.size() > 1 && tensors.all[1]->dim() < first.dim()) {
        auto dimension = inputs[1].toInt() < 0 ? inputs[1].toInt() + first.dim() : inputs[1].toInt();
        if (dimension < first.dim() && first.size(dimension) > 0) values *= n / double(first.size(dimension));
      }
      return formula(0, indices + 2 * values * size);
    }
    case Kind::scattering: {
      const at::Tensor &source = *tensors.all.back();
      double indices = 0;
      for (size_t i = 1; i + 1 < tensors.all.size(); i++) indices += bytes_of(*tensors.all[i]);
      return formula(double(source.numel()), indices + 3 * bytes_of(source));
    }
    case Kind::embedding: {
      if (tensors.all.size() < 2 || first.dim() != 2) return {};
      return formula(
          0, bytes_of(*tensors.all[1]) + 2 * double(tensors.all[1]->numel()) * double(first.size(1)) * size);
    }
    case Kind::embedding_bag: {
      if (tensors.all.size() < 3 || first.dim() != 2) return {};
      const at::Tensor &rows = *tensors.all[1], &bags = *tensors.all[2];
      // A bag of k rows takes k - 1 additions of a row.
      double width = double(first.size(1)), read = double(rows.numel()), written = double(bags.numel());
      return formula(
          std::max(read - written, 0.0) * width, bytes_of(rows) + bytes_of(bags) + (read + written) * width * size);
    }
    case Kind::embedding_backward:
      // Reads the gradient, adds it into rows that it reads and writes.
      return formula(n, in + 2 * n * size);
    case Kind::sort: {
      double kept = n;
      if (inputs.size() > 1 && inputs[1].isInt() && first.dim() > 0 && first.size(-1) > 0) {
        kept = n / double(first.size(-1)) * double(inputs[1].toInt());
      }
      return {0, KIVIAT_FLOPS_NONE, bytes_of(first) + kept * (size + 8), true};
    }
    case Kind::mm: {
      auto offset = size_t(rule->factor);
      if (tensors.all.size() < offset + 2) return {};
      return matrix_product(*tensors.all[offset], *tensors.all[offset + 1], tensors, has_out);
    }
    case Kind::mv: {
      auto offset = size_t(rule->factor);
      if (tensors.all.size() < offset + 2 || tensors.all[offset]->dim() != 2) return {};
      const at::Tensor &a = *tensors.all[offset];
      return formula(2 * double(a.numel()), in + out(double(a.size(0)) * size));
    }
    case Kind::dot:
      return formula(2 * n, in + size);
    case Kind::linear: {
      if (tensors.all.size() < 2 || tensors.all[1]->dim() != 2 || first.dim() < 1) return {};
      double result = n / std::max<double>(double(first.size(-1)), 1) * double(tensors.all[1]->size(0));
      return counted(2 * result * double(first.size(-1)), in + result * size);
    }
    case Kind::convolution:
      return convolution(*rule, inputs, tensors, has_out);
    case Kind::convolution_backward:
      return convolution_backward(*rule, inputs);
    case Kind::attention: {
      if (tensors.all.size() < 3 || first.dim() != 4) return {};
      const at::Tensor &key = *tensors.all[1], &value = *tensors.all[2];
      double heads = double(first.size(0) * first.size(1)), queries = double(first.size(2));
      double keys = double(key.size(2));
      double flops = 2 * heads * queries * keys * double(first.size(3) + value.size(3));
      return counted(flops, in + heads * queries * double(value.size(3)) * size);
    }
    case Kind::batch_norm: {
      // Training: sum; difference, square, sum; scale and shift. Else only the last two.
      bool training = flag(inputs, 5);
      return formula((training ? 6 : 2) * n, in + bytes_of(first));
    }
    case Kind::batch_norm_backward:
      // Two sums (1 and 3 an element); the input's gradient from both, 5.
      return formula(9 * n, in + bytes_of(first));
    case Kind::normalization:
      return formula(rule->factor * n, in + bytes_of(first));
    case Kind::max_pool:
    case Kind::avg_pool: {
      if (first.dim() < 3) return {};
      double result = 1, window = 1;
      for (int64_t d = 0; d < first.dim() - 2; d++) result *= double(first.size(d));
      bool adaptive = inputs.size() == 2;
      for (size_t i = 0; i < 2; i++) {
        int64_t length = first.size(first.dim() - 2 + int64_t(i));
        int64_t kernel = integer(inputs, 1, i, 1);
        if (adaptive) {
          result *= double(kernel);
          window *= double(length) / double(std::max<int64_t>(kernel, 1));
          continue;
        }
        int64_t stride = integer(inputs, 2, i, kernel), padding = integer(inputs, 3, i, 0);
        int64_t dilation = rule->kind == Kind::max_pool ? integer(inputs, 4, i, 1) : 1;
        bool ceil_mode = flag(inputs, rule->kind == Kind::max_pool ? 5 : 4);
        int64_t span = length + 2 * padding - dilation * (kernel - 1) - 1;
        int64_t places = (span + (ceil_mode ? stride - 1 : 0)) / stride + 1;
        if (ceil_mode && (places - 1) * stride >= length + padding) places--;
        result *= double(places);
        window *= double(kernel);
      }
      double index = rule->kind == Kind::max_pool ? 8 : 0;
      return formula(result * window, bytes_of(first) + out(result * (size + index)));
    }
    case Kind::pool_backward: {
      double largest = n;
      if (tensors.all.size() > 1) largest = std::max(largest, double(tensors.all[1]->numel()));
      double indices = tensors.all.size() > 2 ? bytes_of(*tensors.all[2]) : 0;
      return formula(largest, bytes_of(first) + indices + largest * size);
    }
    case Kind::grid_sampler:
    case Kind::grid_sampler_backward: {
      bool backward = rule->kind == Kind::grid_sampler_backward;
      size_t offset = backward ? 1 : 0;
      if (tensors.all.size() < offset + 2 || tensors.all[offset]->dim() < 4) return {};
      const at::Tensor &image = *tensors.all[offset], &grid = *tensors.all[offset + 1];
      // In two dimensions four weights a place (14 operations), four products and three sums a value; in three eight
      // weights (34), eight products and seven sums. Back: both gradients.
      bool is_volume = image.dim() == 5;
      double places = double(grid.numel()) / (is_volume ? 3 : 2), values = places * double(image.size(1));
      double forward = is_volume ? 34 * places + 15 * values : 14 * places + 7 * values;
      double result = backward ? bytes_of(image) + bytes_of(grid) : values * size;
      return formula(backward ? 2 * forward : forward, in + result);
    }
    case Kind::roi_align: {
      auto sampling = size_t(rule->factor);
      if (tensors.all.size() < 2 || inputs.size() <= sampling || !inputs[sampling].isInt()) return {};
      // Four products and sums a sample. The gradient runs the same way back and writes the features' size.
      double samples = double(inputs[sampling].toInt()) * double(inputs[sampling].toInt());
      bool backward = sampling == 6;
      double values = n, other = 0;
      if (backward) {
        other = 1;
        for (const IValue &length : inputs[2].toListRef()) other *= double(length.toInt());
      } else {
        if (first.dim() != 4) return {};
        values = double(tensors.all[1]->size(0) * first.size(1) * inputs[3].toInt() * inputs[4].toInt());
        other = values;
      }
      return formula(8 * samples * values, in + other * size);
    }
    case Kind::nms:
      // How many pairs are compared depends on the boxes.
      return {0, KIVIAT_FLOPS_NONE, in, true};
    case Kind::sgd: {
      double count = list_count(inputs[0]);
      bool momentum = list_count(inputs[2]) > 0, nesterov = flag(inputs, 7);
      return formula(count * (momentum ? (nesterov ? 9 : 7) : 4), count * 4 * (momentum ? 5 : 3));
    }
    case Kind::sparse_sgd: {
      if (tensors.all.size() < 3) return {};
      const at::Tensor &rows = *tensors.all[1], &values = *tensors.all[2];
      // As SGD of the dense table: the gradient and the weight are read, the weight is written.
      return formula(4 * double(values.numel()), bytes_of(rows) + 3 * bytes_of(values));
    }
    case Kind::adam: {
      double count = list_count(inputs[0]);
      return formula(count * 15, count * 4 * 7);
    }
    case Kind::rmsprop: {
      double count = list_count(inputs[0]);
      return formula(count * 13, count * 4 * 7);
    }
    case Kind::gru_scan:
      // Writes the state and four numbers for each of three gates.
      return formula(rule->factor * n, in + 5.0 / 3 * bytes_of(first));
    case Kind::gru_scan_backward:
      // Writes the gates' gradients twice.
      return formula(rule->factor * n, in + 6 * bytes_of(first));
    case Kind::clip: {
      double count = list_count(inputs[0]);
      return formula(count * 2, count * 4);
    }
  }
  return {};
}

}  // namespace

Cost cost_of(const Rule *rule, Inputs inputs, bool has_out) {
  if (!rule) return {};
  Cost cost = formula_cost(rule, inputs, has_out);
  cost.always_counts = works_itself(rule->kind);
  return cost;
}

}  // namespace kiviat

// Where tensors come from.
import CTorch

extension Tensor {
  /// f32 values in row-major order. Their number must fit the shape.
  public convenience init(_ values: [Float], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
    self.init(owning: Tensor.valid(ct_from_memory(values, shape, shape.count, ElementType.float32.rawValue)))
  }

  /// Numbers in double precision in row-major order.
  public convenience init(doubles values: [Double], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
    self.init(owning: Tensor.valid(ct_from_memory(values, shape, shape.count, ElementType.float64.rawValue)))
  }
  /// i64 values (class numbers, indices) in row-major order. Their number must fit the shape.
  public convenience init(integers values: [Int], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
    self.init(owning: Tensor.valid(ct_from_memory(values, shape, shape.count, ElementType.int64.rawValue)))
  }

  /// u8 values (pixels) in row-major order. Their number must fit the shape.
  public convenience init(bytes values: [UInt8], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
    self.init(owning: Tensor.valid(ct_from_memory(values, shape, shape.count, ElementType.uint8.rawValue)))
  }

  /// A scalar.
  public convenience init(_ value: Float) { self.init([value], shape: []) }

  /// Zeros of the shape.
  public static func zeros(_ shape: [Int], type: ElementType = .float32) -> Tensor {
    checked(ct_zeros(shape, shape.count, type.rawValue))
  }
  /// Ones of the shape.
  public static func ones(_ shape: [Int], type: ElementType = .float32) -> Tensor {
    checked(ct_ones(shape, shape.count, type.rawValue))
  }
  /// One value everywhere.
  public static func full(_ shape: [Int], _ value: Double, type: ElementType = .float32) -> Tensor {
    checked(ct_full(shape, shape.count, value, type.rawValue))
  }
  /// 0, 1 … `end` − 1: shape [end].
  public static func range(_ end: Int, type: ElementType = .int64) -> Tensor { checked(ct_arange(end, type.rawValue)) }
  /// The unit matrix [n, n].
  public static func identity(_ n: Int) -> Tensor { checked(ct_eye(n, ElementType.float32.rawValue)) }
  /// Uniform in [0, 1).
  public static func random(_ shape: [Int]) -> Tensor { checked(ct_rand(shape, shape.count)) }
  /// Standard normal.
  public static func randomNormal(_ shape: [Int]) -> Tensor { checked(ct_randn(shape, shape.count)) }
  /// i64, uniform in the range.
  public static func random(in range: Range<Int>, _ shape: [Int]) -> Tensor {
    checked(ct_randint(range.lowerBound, range.upperBound, shape, shape.count))
  }
  /// A random order of 0 … n − 1.
  public static func randomPermutation(_ n: Int) -> Tensor { checked(ct_randperm(n)) }

  /// Zeros of the same shape, type and layout.
  public func zerosLike() -> Tensor { .checked(ct_zeros_like(handle)) }
  /// Ones of the same shape, type and layout.
  public func onesLike() -> Tensor { .checked(ct_ones_like(handle)) }
  /// A copy; gradients flow through it.
  public func clone() -> Tensor { .checked(ct_clone(handle)) }
  /// Converted elements; the tensor itself when it has the type.
  public func to(_ type: ElementType) -> Tensor { .checked(ct_to_type(handle, type.rawValue)) }
  /// In row-major order; the tensor itself when it is.
  public func contiguous() -> Tensor { .checked(ct_contiguous(handle)) }
  /// A [N, C, H, W] tensor in NHWC order in memory; the tensor itself when it is.
  public func channelsLast() -> Tensor { .checked(ct_channels_last(handle)) }

  // In place, not recorded for gradients.

  /// Overwrites with uniform numbers in [low, high).
  public func fillUniform(_ low: Double, _ high: Double) { Tensor.check(ct_fill_uniform(handle, low, high)) }
  /// Overwrites with normal numbers.
  public func fillNormal(mean: Double = 0, deviation: Double = 1) {
    Tensor.check(ct_fill_normal(handle, mean, deviation))
  }
  /// Overwrites with one value.
  public func fill(_ value: Double) { Tensor.check(ct_fill(handle, value)) }
  /// Overwrites with another tensor's values, which must have the shape or broadcast to it.
  public func copy(from source: Tensor) { Tensor.check(ct_copy_into(handle, source.handle)) }
}

// What goes from the data thread to the computing thread: plain arrays with shapes.

/// Numbers with a shape that may cross threads. ``Tensor`` may not.
public struct HostTensor: Sendable, Equatable {
  /// The numbers, in row-major order.
  public enum Storage: Sendable, Equatable {
    case floats([Float])
    case integers([Int])
    case bytes([UInt8])
  }
  /// The numbers.
  public let storage: Storage
  /// The size of each dimension.
  public let shape: [Int]

  /// f32. The number of values must fit the shape.
  public init(_ values: [Float], shape: [Int]) { self.init(.floats(values), shape, values.count) }
  /// i64. The number of values must fit the shape.
  public init(integers values: [Int], shape: [Int]) { self.init(.integers(values), shape, values.count) }
  /// u8. The number of values must fit the shape.
  public init(bytes values: [UInt8], shape: [Int]) { self.init(.bytes(values), shape, values.count) }

  private init(_ storage: Storage, _ shape: [Int], _ count: Int) {
    precondition(count == shape.reduce(1, *), "\(count) values for shape \(shape)")
    self.storage = storage
    self.shape = shape
  }

  /// A tensor with a copy of the numbers.
  public func tensor() -> Tensor {
    switch storage {
    case .floats(let values): Tensor(values, shape: shape)
    case .integers(let values): Tensor(integers: values, shape: shape)
    case .bytes(let values): Tensor(bytes: values, shape: shape)
    }
  }
}

/// Some samples, as a data set gives them.
public struct Batch: Sendable, Equatable {
  /// The number of samples.
  public var samples: Int
  /// What the model reads, samples in the first dimension.
  public var inputs: [HostTensor]
  /// What the loss compares with.
  public var targets: [HostTensor]

  /// Makes a batch.
  public init(samples: Int, inputs: [HostTensor], targets: [HostTensor] = []) {
    self.samples = samples
    self.inputs = inputs
    self.targets = targets
  }

  /// The same on the computing thread.
  public func tensors() -> TensorBatch {
    TensorBatch(samples: samples, inputs: inputs.map { $0.tensor() }, targets: targets.map { $0.tensor() })
  }
}

/// Some samples on the computing thread.
public struct TensorBatch {
  /// The number of samples.
  public var samples: Int
  /// What the model reads, samples in the first dimension.
  public var inputs: [Tensor]
  /// What the loss compares with.
  public var targets: [Tensor]

  /// Makes a batch.
  public init(samples: Int, inputs: [Tensor], targets: [Tensor] = []) {
    self.samples = samples
    self.inputs = inputs
    self.targets = targets
  }
}

// What is a part of a model: parameters, children and a place in the tracer's module paths.
import CTorch

/// A tensor that training changes.
public final class Parameter: Tensor {
  /// Takes over the values and requires gradients from now on.
  public convenience init(_ values: Tensor) {
    self.init(sharing: values.detached())
    requiresGradient = true
  }
  /// Zeros, to be initialized; see `Initialization`.
  public convenience init(_ shape: [Int]) { self.init(Tensor.zeros(shape)) }
}

/// A tensor that belongs to a model's state but is not trained, such as running statistics.
public final class Buffer: Tensor {
  /// Takes over the values.
  public convenience init(_ values: Tensor) { self.init(sharing: values.detached()) }
}

/// A part of a model. Stored properties that are a ``Parameter``, a ``Buffer`` or a ``Module`` (or optionals or arrays
/// of them) are its own, under their property's name, so that paths are PyTorch's: `layer1.0.conv2.weight`.
///
///     final class Block: Module, Layer {
///       let conv = Conv2d(3, 8, kernel: 3)
///       let norm = BatchNorm2d(8)
///       func forward(_ x: Tensor) -> Tensor { norm(conv(x)).relu() }
///     }
open class Module {
  /// Whether dropout drops and batch normalization uses the batch.
  public private(set) final var isTraining = true
  /// The number of this module's path in the trace; `nil` until the root's ``assignPaths()``.
  private final var traceNumber: UInt32?
  /// Where in the model it is; empty for the root.
  public private(set) final var path = ""
  /// Called after each forward pass with input and output.
  final var observer: ((Module, Tensor, Tensor) -> Void)?
  private final lazy var members = Members(of: self)

  /// A module without members.
  public init() {}

  /// Parameters whose names are not a property's, such as `weight_ih_l0`.
  var namedOwnParameters: [(name: String, tensor: Parameter)] { [] }

  /// The modules directly inside, in the order of their properties.
  public final var children: [(name: String, module: Module)] { members.modules }

  /// This module and all inside, with their paths, in order.
  public final func namedModules(_ prefix: String = "") -> [(path: String, module: Module)] {
    [(prefix, self)] + children.flatMap { $0.module.namedModules(Self.join(prefix, $0.name)) }
  }

  /// All parameters with their paths. One that is used twice appears once.
  public final func namedParameters() -> [(path: String, parameter: Parameter)] {
    var seen = Set<ObjectIdentifier>()
    return namedModules().flatMap { path, module in
      module.members.parameters.filter { seen.insert(ObjectIdentifier($0.tensor)).inserted }
        .map { (Self.join(path, $0.name), $0.tensor) }
    }
  }

  /// All buffers with their paths.
  public final func namedBuffers() -> [(path: String, buffer: Buffer)] {
    namedModules().flatMap { path, module in
      module.members.buffers.map { (Self.join(path, $0.name), $0.tensor) }
    }
  }

  /// All parameters.
  public final func parameters() -> [Parameter] { namedParameters().map(\.parameter) }

  /// The number of trainable numbers.
  public final var parameterCount: Int { parameters().reduce(0) { $0 + $1.count } }

  /// Switches between training and evaluation, here and inside.
  public final func train(_ isTraining: Bool = true) {
    self.isTraining = isTraining
    for child in children { child.module.train(isTraining) }
  }

  /// Excludes all parameters here and inside from training: no gradient is computed for them, and optimizers leave
  /// parameters without gradient alone.
  public final func freeze() {
    for parameter in parameters() { parameter.requiresGradient = false }
  }

  /// Gives every module inside its path, so that the tracer knows where a kernel was called. For the root, once the
  /// model is complete; `prefix` tells several models apart (`teacher`, `student`).
  public final func assignPaths(_ prefix: String = "") {
    for (path, module) in namedModules(prefix) {
      module.path = path
      module.traceNumber = ct_trace_module(path)
    }
  }

  /// Runs `body` with this module as the current one of the trace.
  @inline(__always)
  public final func scoped<Result>(_ body: () throws -> Result) rethrows -> Result {
    guard let traceNumber else { return try body() }
    let before = ct_trace_enter(traceNumber)
    defer { _ = ct_trace_enter(before) }
    return try body()
  }

  private static func join(_ prefix: String, _ name: String) -> String { prefix.isEmpty ? name : "\(prefix).\(name)" }
}

/// A module from one tensor to one tensor.
public protocol Layer: Module {
  /// The output for an input. Call the layer itself instead, so that the trace knows its path.
  func forward(_ x: Tensor) -> Tensor
}

extension Layer {
  /// The output for an input.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let y = scoped { forward(x) }
    observer?(self, x, y)
    return y
  }
}

/// What a module's stored properties hold.
private struct Members {
  var parameters: [(name: String, tensor: Parameter)] = []
  var buffers: [(name: String, tensor: Buffer)] = []
  var modules: [(name: String, module: Module)] = []

  init(of module: Module) {
    if let sequential = module as? Sequential {
      modules = sequential.layers.enumerated().map { (String($0.offset), $0.element) }
      return
    }
    parameters = module.namedOwnParameters
    // Properties of a superclass come first, as they do in memory.
    var mirrors: [Mirror] = []
    var mirror: Mirror? = Mirror(reflecting: module)
    while let current = mirror, current.subjectType != Module.self {
      mirrors.insert(current, at: 0)
      mirror = current.superclassMirror
    }
    for mirror in mirrors {
      for child in mirror.children { add(child.label ?? "", child.value) }
    }
  }

  private mutating func add(_ name: String, _ value: Any) {
    switch value {
    case let parameter as Parameter: parameters.append((name, parameter))
    case let buffer as Buffer: buffers.append((name, buffer))
    case let module as Module: modules.append((name, module))
    default:
      let mirror = Mirror(reflecting: value)
      if mirror.displayStyle == .optional, let some = mirror.children.first {
        add(name, some.value)
      } else if mirror.displayStyle == .collection {
        for (index, element) in mirror.children.enumerated() where element.value is Module || element.value is Parameter
        {
          add("\(name).\(index)", element.value)
        }
      }
    }
  }
}

/// Layers one after another; their names are their numbers.
public final class Sequential: Module, Layer {
  /// The layers in order.
  public let layers: [any Layer]

  /// Layers in order.
  public init(_ layers: [any Layer]) { self.layers = layers }
  /// Layers in order.
  public convenience init(_ layers: any Layer...) { self.init(layers) }

  /// The last layer's output.
  public func forward(_ x: Tensor) -> Tensor { layers.reduce(x) { $1($0) } }
}

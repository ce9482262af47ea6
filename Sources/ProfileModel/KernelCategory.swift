// The categories of kernels: the technical report's eight, and named ones for what fits none.

/// What a kernel does, by its computation logic (AIBench technical report, section 5.5.1).
public enum KernelCategory: String, Hashable, Codable, Sendable, CaseIterable {
  // The report's eight.
  case dataArrangement = "data arrangement"
  case convolution
  case gemm = "GEMM"
  case batchNormalization = "batch normalization"
  case elementWise = "element-wise"
  case relu = "ReLU"
  case pooling
  case memoryCopy = "memory copy"
  // What fits none of them, each under its name.
  case normalization = "other normalization"
  case softmax
  case attention
  case reduction
  case recurrent = "recurrent cell"
  case embedding
  case loss
  case optimizer
  case random = "random numbers"
  case sort = "sort and select"
  case fourier = "Fourier transform"
  case factorization = "factorization and solve"
  case decoding = "decoding and compression"
  case communication
  case allocation = "allocation and views"
  case framework = "framework overhead"
  /// No rule matches: a report prints how much time this is.
  case uncategorized

  /// Whether it is one of the technical report's eight.
  public var isTechnicalReport: Bool { Self.technicalReport.contains(self) }

  /// The eight of the technical report's Figure 5, in its order.
  public static let technicalReport: [KernelCategory] = [
    .dataArrangement, .convolution, .gemm, .batchNormalization, .elementWise, .relu, .pooling, .memoryCopy,
  ]
}

// DC-AI-C18: will somebody click this advertisement? The deep learning recommendation model on Criteo's click log.

/// A table of which every bag of rows is summed: indices i64 [n], where each bag begins i64 [bags] → [bags, width]. Its
/// gradient is sparse: a step reads and writes only the rows that a batch names, whatever the size of the table.
final class EmbeddingBag: Module {
  /// [rows, width].
  let weight: Parameter

  /// Uniform in ±1/√rows, as the DLRM reference begins.
  init(_ rows: Int, _ width: Int) {
    weight = Parameter([rows, width])
    let bound = 1 / Double(rows).squareRoot()
    Initialization.uniform(-bound, bound)(weight)
  }

  func callAsFunction(_ indices: Tensor, offsets: Tensor) -> Tensor {
    scoped { weight.embeddingBag(indices, offsets: offsets, isSparse: true) }
  }
}

/// The deep learning recommendation model (Naumov et al., arXiv 1906.00091): a perceptron brings the counts to a vector
/// as long as an embedding; all pairs of this vector and the 26 embeddings interact by their inner products, which a
/// second perceptron reads beside the first one's output.
///
/// Dense f32 [n, 13], categories i64 [26, n] → logits [n].
final class DLRM: Module {
  /// Sizes of the model.
  struct Shape: Sendable {
    /// Widths of the bottom perceptron's layers; the last is the embeddings' width.
    var bottom: [Int]
    /// Widths of the top perceptron's layers but the last, which has one output.
    var top: [Int]
    /// Rows of a table at most (the reference's `max-ind-range`).
    var maximumRows: Int?

    /// The reference's for the Kaggle log: 475 985 parameters beside the tables' 540 201 232.
    static let paper = Shape(bottom: [512, 256, 64, 16], top: [512, 256], maximumRows: nil)
    /// 30 657 parameters with the synthetic log's 429 categories.
    static let small = Shape(bottom: [64, 16, 8], top: [64, 32], maximumRows: 10_000)

    var width: Int { bottom[bottom.count - 1] }
    /// Vectors that interact: the embeddings and the bottom perceptron's output.
    static let vectors = Impression.categoryFields + 1
    static let pairs = vectors * (vectors - 1) / 2
  }

  let emb_l: [EmbeddingBag]
  let bot_l, top_l: [Linear]
  /// Where the 351 places below the diagonal are in a matrix of 27 × 27.
  private let lowerTriangle: Tensor

  init(_ shape: Shape, tableRows: [Int]) {
    emb_l = tableRows.map { EmbeddingBag(min($0, shape.maximumRows ?? .max), shape.width) }
    func perceptron(_ widths: [Int]) -> [Linear] { zip(widths, widths.dropFirst()).map { Linear($0, $1) } }
    bot_l = perceptron([Impression.countFields] + shape.bottom)
    top_l = perceptron([Shape.pairs + shape.width] + shape.top + [1])
    let places = (0..<Shape.vectors).flatMap { row in (0..<row).map { row * Shape.vectors + $0 } }
    lowerTriangle = Tensor(integers: places, shape: [Shape.pairs])
    super.init()
    for layer in bot_l + top_l {
      Initialization.xavierNormal()(layer.weight)
      if let bias = layer.bias { Initialization.normal(deviation: 1 / Double(bias.count).squareRoot())(bias) }
    }
  }

  func callAsFunction(_ dense: Tensor, _ categories: Tensor) -> Tensor {
    scoped {
      let n = dense.size(0)
      var x = dense
      for layer in bot_l { x = layer(x).relu() }
      // One category a field: bag i begins at index i.
      let offsets = Tensor.range(n)
      let embedded = emb_l.enumerated().map { field, table in table(categories.select(0, field), offsets: offsets) }
      let vectors = Tensor.stacked([x] + embedded, dimension: 1)
      let products = vectors.bmm(vectors.transposed(1, 2)).view([n, -1]).select(1, indices: lowerTriangle)
      var y = Tensor.concatenated([x, products], dimension: 1)
      for layer in top_l.dropLast() { y = layer(y).relu() }
      return top_l[top_l.count - 1](y).squeezed(1)
    }
  }
}

/// Advertising: DLRM on Criteo's click log, or on planted clicks.
public final class Advertising: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C18", name: "advertising", task: "Advertising",
    model: "Deep learning recommendation model (DLRM)", dataSet: "Criteo Display Advertising Challenge (Kaggle)",
    dataFormat: "train.txt: lines of 0 or 1, 13 integers and 26 categories of 8 hexadecimal digits, tabs between",
    small: ScaleInfo(
      target: QualityTarget(metric: "ROC AUC", value: 0.86), batchSize: 128, maximumEpochs: 30, parameters: 30_657,
      forwardFLOPs: 65_744, optimizer: "SGD 0.2"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "accuracy", value: 0.789), batchSize: 128, maximumEpochs: 1,
      parameters: 540_677_217, forwardFLOPs: 972_064, optimizer: "SGD 0.1"),
    published: PublishedSize(
      parameters: 540_677_217, forwardFLOPs: 972_064,
      source: "facebookresearch/dlrm, bench/dlrm_s_criteo_kaggle.sh: layers 13-512-256-64-16 and 512-256-1, "
        + "embeddings of 16, and the categories of its Kaggle log"))

  private let configuration: BenchmarkConfiguration
  private let shape: DLRM.Shape
  private let train, held: any ImpressionSource
  /// Where the impressions are from.
  public let dataDescription: String
  /// What the last evaluation found.
  private(set) var quality = BinaryClassification()

  /// Reads a click log, or plants one: 40 960 impressions, at paper scale with as many categories as Criteo's.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .paper
    let origin: String
    if let directory = configuration.dataDirectory {
      let criteo = try Criteo(directory: directory)
      train = try criteo.part(isTraining: true, seed: configuration.seed)
      held = try criteo.part(isTraining: false, seed: configuration.seed)
      origin = directory
    } else {
      let rows = isSmall ? SyntheticClicks.smallRows : SyntheticClicks.criteoRows
      let (count, heldCount) = isSmall ? (40_960, 8000) : (128_000, 12_800)
      let clicks = SyntheticClicks(tableRows: rows, count: count, first: 0, seed: 1)
      train = clicks
      held = SyntheticClicks(tableRows: rows, count: heldCount, first: count, seed: 1)
      origin = clicks.origin
    }
    dataDescription = "\(origin) (\(train.count) impressions for training, \(held.count) held out)"
  }

  func model() -> DLRM { DLRM(shape, tableRows: train.tableRows) }

  private func loader(_ source: any ImpressionSource, batchSize: Int, isTraining: Bool) -> DataLoader {
    DataLoader(
      ImpressionBatches(source: source, maximumRows: shape.maximumRows), batchSize: batchSize,
      isShuffled: isTraining && source.isShuffledByLoader, seed: configuration.seed)
  }

  /// Binary cross entropy of clicks by stochastic gradient descent.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let target = Self.info.scale(configuration.scale).target
    let validation = loader(held, batchSize: 1000, isTraining: false)
    var stage = TrainingStage(
      model: model, optimizer: SGD(model.parameters(), learningRate: configuration.scale == .small ? 0.2 : 0.1),
      loader: loader(train, batchSize: configuration.batchSize, isTraining: true),
      target: target, maximumEpochs: configuration.maximumEpochs,
      loss: { model($0.inputs[0], $0.inputs[1]).binaryCrossEntropy($0.targets[0]) },
      evaluate: { [unowned self] in
        quality = try Self.evaluate(model, validation)
        return measures.first { $0.name == target.metric }?.value ?? .nan
      })
    stage.measures = { [unowned self] in measures }
    return stage
  }

  private var measures: [(name: String, value: Double)] {
    [("accuracy", quality.accuracy), ("ROC AUC", quality.areaUnderCurve)]
  }

  static func evaluate(_ model: DLRM, _ held: DataLoader) throws -> BinaryClassification {
    var quality = BinaryClassification()
    let batches = held.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let logits = model(batch.inputs[0], batch.inputs[1]).floats()
      quality.add(logits: logits, isPositive: batch.targets[0].floats().map { $0 > 0 })
    }
    return quality
  }

  /// Gives the probability of a click on each of a batch of impressions.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: loader(held, batchSize: configuration.batchSize, isTraining: false),
      answer: { model($0.inputs[0], $0.inputs[1]).sigmoid() })
  }
}

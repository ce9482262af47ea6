// DC-AI-C17: which recurrent cell predicts words best? Efficient neural architecture search on the Penn Treebank.
import Glibc

/// Segments of text for an epoch of the search: first those from which the shared weights learn, then those of the
/// validation text on which the controller's graphs are tried. The text goes on from epoch to epoch.
///
/// Inputs tokens i64 [T, n] and [kind, is the text's beginning] i64 [2]; targets next tokens i64 [T n].
struct SearchSchedule: Dataset {
  /// Whom a batch teaches.
  enum Kind: Int {
    case sharedWeights, controller
  }

  let train, validation: TextColumns
  /// Batches of an epoch from which the shared weights learn.
  let sharedSteps: Int
  /// Batches of an epoch on which graphs are tried.
  let controllerSteps: Int

  /// A sample is a column of a segment.
  var count: Int { (sharedSteps + controllerSteps) * train.columns }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    let number = (indices.first ?? 0) / train.columns
    let isShared = number < sharedSteps
    let text = isShared ? train : validation
    let segment =
      (isShared ? epoch * sharedSteps + number : epoch * controllerSteps + number - sharedSteps) % text.count
    let (tokens, next) = text.segment(segment)
    // Each kind of step begins an epoch with a fresh state, as in the reference.
    let isFirst = segment == 0 || number == 0 || number == sharedSteps
    let kind = isShared ? Kind.sharedWeights : .controller
    return Batch(
      samples: train.columns,
      inputs: [tokens, HostTensor(integers: [kind.rawValue, isFirst ? 1 : 0], shape: [2])], targets: [next])
  }
}

/// Segments of the validation text in order, for queries.
private struct TextSegments: Dataset {
  let text: TextColumns
  var count: Int { text.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    // One segment a query, of as many columns as the batch size says.
    let (tokens, next) = text.segment(indices[0])
    return Batch(samples: text.columns, inputs: [tokens], targets: [next])
  }
}

/// Everything that the search trains.
final class SearchModel: Module {
  let shared: SharedCells
  let controller: ArchitectureController

  init(_ shape: NeuralArchitectureSearch.Shape, words: Int) {
    shared = SharedCells(
      words: words, hidden: shape.hidden, nodes: shape.nodes, dropout: shape.dropout, range: shape.range)
    controller = ArchitectureController(nodes: shape.nodes, hidden: shape.controllerHidden)
  }
}

/// Neural architecture search: ENAS for recurrent cells. A controller draws cells, which share their weights; weights
/// and controller learn in turns; at the end of an epoch the best of some drawn cells is the answer.
public final class NeuralArchitectureSearch: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C17", name: "neural-architecture-search", task: "Neural architecture search",
    model: "Efficient neural architecture search (ENAS) for recurrent cells", dataSet: "Penn Treebank",
    dataFormat: "ptb.train.txt and ptb.valid.txt: a sentence a line, words between spaces",
    small: ScaleInfo(
      target: QualityTarget(metric: "perplexity of the derived cell", value: 75, isHigherBetter: false),
      batchSize: 32, maximumEpochs: 25, parameters: 89_190, forwardFLOPs: Double(20 * 107_520),
      optimizer: "shared weights: Adam 0.003, gradients cut at 0.25; controller: Adam 0.005"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "perplexity of the derived cell", value: 100, isHigherBetter: false),
      batchSize: 64, maximumEpochs: 150, parameters: 146_120_930, forwardFLOPs: Double(35 * 72_000_000),
      optimizer: "shared weights: SGD 20 (× 0.96 an epoch after the fifteenth), weight decay 1e-7, gradients cut at "
        + "0.25; controller: Adam 0.00035"),
    published: PublishedSize(
      parameters: 146_120_930, forwardFLOPs: Double(35 * 72_000_000),
      source:
        "carpedm20/ENAS-pytorch: 12 nodes of 1000, 10 000 words, controller of 100; 26 matrices of a cell and the "
        + "output layer, for 35 tokens"))

  /// What differs between the scales.
  struct Shape: Sendable {
    var hidden: Int
    var nodes: Int
    var controllerHidden: Int
    /// Steps through which gradients flow.
    var segment: Int
    var sharedSteps: Int
    var controllerSteps: Int
    /// Cells drawn at the end of an epoch, of which the best counts.
    var derived: Int
    var dropout: SearchDropout
    /// The shared weights begin uniform in ± this.
    var range: Double

    /// 146 014 000 shared parameters with 10 000 words; the controller has 106 930.
    static let paper = Shape(
      hidden: 1000, nodes: 12, controllerHidden: 100, segment: 35, sharedSteps: 400, controllerSteps: 2000,
      derived: 100, dropout: .paper, range: 0.025)
    /// 78 792 and 10 398 parameters with 200 words.
    static let small = Shape(
      hidden: 64, nodes: 4, controllerHidden: 32, segment: 20, sharedSteps: 60, controllerSteps: 30, derived: 10,
      dropout: SearchDropout(), range: 0.1)
  }

  /// Gradients of the shared weights are cut at this norm.
  static let gradientLimit = 0.25

  private let configuration: BenchmarkConfiguration
  private let shape: Shape
  private let text: WordText
  private let schedule: SearchSchedule
  /// Where the text is from.
  public let dataDescription: String
  /// The best cell of the last evaluation, and FLOPs of a token over all its cells.
  private(set) var derived: (graph: CellGraph, flops: [Double])?

  /// Reads the treebank, or makes a text: 40 000 words, at paper scale as many as the treebank has.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    shape = configuration.scale == .small ? .small : .paper
    let origin: String
    if let directory = configuration.dataDirectory {
      text = try PennTreebank.load(directory: directory)
      origin = directory
    } else {
      let kind = configuration.scale == .small ? SyntheticText.small : .pennTreebank
      text = kind.text(seed: 1)
      origin = kind.origin(seed: 1)
    }
    schedule = SearchSchedule(
      train: TextColumns(tokens: text.train, columns: configuration.batchSize, segment: shape.segment),
      validation: TextColumns(tokens: text.validation, columns: configuration.batchSize, segment: shape.segment),
      sharedSteps: shape.sharedSteps, controllerSteps: shape.controllerSteps)
    for (name, part) in [("training", schedule.train), ("validation", schedule.validation)] where part.count == 0 {
      throw DataError.unsuitable(
        path: origin,
        reason: "\(part.tokens.count) words of \(name) text are too few for \(part.columns) columns of at least two; "
          + "choose a smaller --batch")
    }
    dataDescription =
      "\(origin) (\(text.words.count) different words, \(text.train.count) for training, "
      + "\(text.validation.count) for validation)"
  }

  func model() -> SearchModel { SearchModel(shape, words: text.words.count) }

  /// Cross entropy of the next word for the shared weights, the policy gradient for the controller.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let sharedOptimizer: any Optimizer =
      isSmall
      ? Adam(model.shared.parameters(), learningRate: 3e-3)
      : SGD(model.shared.parameters(), learningRate: 20, weightDecay: 1e-7)
    let controllerOptimizer = Adam(model.controller.parameters(), learningRate: isSmall ? 5e-3 : 3.5e-4)
    var policy = PolicyGradient()
    var state = model.shared.zeroState(configuration.batchSize)
    let (seed, shape) = (configuration.seed, shape)

    var stage = TrainingStage(
      model: model, optimizer: sharedOptimizer,
      loader: DataLoader(schedule, batchSize: configuration.batchSize, seed: seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      step: { step in
        let kind = step.batch.inputs[1].integers()
        if kind[1] == 1 { state = model.shared.zeroState(step.batch.samples) }
        var random = SeededRandom(seed, 33, step.number)
        switch SearchSchedule.Kind(rawValue: kind[0]) {
        case .controller:
          let draw = step.forward { model.controller.draw(&random) }
          let perplexity = step.forward { Self.perplexity(model, draw.graph, step.batch, &state) }
          let advantages = policy.advantages(perplexity: perplexity, entropies: draw.entropies)
          let weights = Tensor(advantages.map { Float($0) }, shape: [advantages.count])
          let loss = step.forward { -(draw.logProbabilities * weights).sum() }
          step.update(controllerOptimizer, by: loss)
          return loss.item
        case .sharedWeights, nil:
          let graph = withoutGradients { model.controller.draw(&random).graph }
          let loss = step.forward {
            let (logits, next) = model.shared(step.batch.inputs[0], state, graph)
            state = next.detached()
            return logits.crossEntropy(step.batch.targets[0])
          }
          step.update(sharedOptimizer, by: loss, gradientLimit: Self.gradientLimit)
          return loss.item
        }
      },
      evaluate: { [unowned self] in try derive(model) })
    stage.willBeginEpoch = { epoch in
      if !isSmall { sharedOptimizer.learningRate = 20 * (15..<max(epoch + 1, 15)).reduce(1) { rate, _ in rate * 0.96 } }
    }
    stage.measures = { [unowned self] in
      guard let flops = derived?.flops, let least = flops.min(), let most = flops.max() else { return [] }
      let mean = flops.reduce(0, +) / Double(flops.count)
      return [
        ("forward FLOPs of a token, least of \(shape.derived) cells", least),
        ("forward FLOPs of a token, mean of \(shape.derived) cells", mean),
        ("forward FLOPs of a token, most of \(shape.derived) cells", most),
      ]
    }
    return stage
  }

  /// The perplexity of a cell on a segment, without dropout. The state goes on.
  private static func perplexity(
    _ model: SearchModel, _ graph: CellGraph, _ batch: TensorBatch, _ state: inout Tensor
  ) -> Double {
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    return withoutGradients {
      let (logits, next) = model.shared(batch.inputs[0], state, graph)
      state = next
      return logits.crossEntropy(batch.targets[0]).exp().item
    }
  }

  /// Draws cells, takes the one with the lowest perplexity on the first segment of the validation text, and gives its
  /// perplexity on all of it.
  private func derive(_ model: SearchModel) throws -> Double {
    // The same random numbers in every epoch: what changes is the controller.
    var random = SeededRandom(configuration.seed, 34)
    var best: (graph: CellGraph, perplexity: Double)?
    var flops: [Double] = []
    let first = segmentBatch(0)
    for _ in 0..<shape.derived {
      let graph = model.controller.draw(&random).graph
      let cost = graph.forwardFLOPs(hidden: shape.hidden, vocabulary: text.words.count)
      flops.append(Double(cost.products + cost.elementwise))
      var state = model.shared.zeroState(first.samples)
      let perplexity = Self.perplexity(model, graph, first, &state)
      if perplexity < best?.perplexity ?? .infinity { best = (graph, perplexity) }
    }
    guard let best else { return .nan }
    derived = (best.graph, flops)
    return perplexity(model, best.graph)
  }

  /// The perplexity of a cell on the whole validation text.
  func perplexity(_ model: SearchModel, _ graph: CellGraph) -> Double {
    var state = model.shared.zeroState(schedule.validation.columns)
    var (sum, count) = (0.0, 0)
    for number in 0..<schedule.validation.count {
      let batch = segmentBatch(number)
      sum += withoutGradients {
        let (logits, next) = model.shared(batch.inputs[0], state, graph)
        state = next
        return logits.crossEntropy(batch.targets[0], reduction: .sum).item
      }
      count += batch.targets[0].count
    }
    return exp(sum / Double(count))
  }

  private func segmentBatch(_ number: Int) -> TensorBatch {
    let (tokens, next) = schedule.validation.segment(number)
    return Batch(samples: schedule.validation.columns, inputs: [tokens], targets: [next]).tensors()
  }

  /// Predicts the next words of a segment of text by a cell that the controller draws.
  public func inference() throws -> InferenceTask {
    let model = model()
    var random = SeededRandom(configuration.seed, 35)
    let graph = withoutGradients { model.controller.draw(&random).graph }
    let state = model.shared.zeroState(configuration.batchSize)
    return InferenceTask(
      model: model, loader: DataLoader(TextSegments(text: schedule.validation), batchSize: 1),
      answer: { model.shared($0.inputs[0], state, graph).logits.argmax(1) })
  }
}

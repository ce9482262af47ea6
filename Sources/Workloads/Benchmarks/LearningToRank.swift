// DC-AI-C16: in which order should a user see places? Ranking distillation with Caser on Gowalla check-ins.

/// The convolutional sequence embedding model (Caser: Tang and Wang, WSDM 2018). The embeddings of a user's last five
/// items form an image, 5×d. Vertical filters weigh the items; horizontal filters of height 1 to 5 look for patterns
/// of neighbouring items, of which the strongest match counts. Both together give the short-term taste; beside the
/// user's embedding, the general taste, it is compared with every item.
final class Caser: Module {
  let user_embeddings, item_embeddings: Embedding
  let conv_v: Conv2d
  let conv_h: [Conv2d]
  let dropout = Dropout(0.5)
  let fc1: Linear
  /// The last layer's weights and biases, as tables because only some items are scored.
  let W2, b2: Embedding

  /// - Parameters:
  ///   - width: d, of the embeddings.
  ///   - items: with the padding item 0.
  init(width: Int, users: Int, items: Int, vertical: Int = 2, horizontal: Int) {
    let length = SequenceSamples.length
    user_embeddings = Embedding(users, width, initialization: .normal(deviation: 1 / Double(width)))
    item_embeddings = Embedding(items, width, initialization: .normal(deviation: 1 / Double(width)))
    conv_v = Conv2d(1, vertical, kernel: Size2D(length, 1))
    conv_h = (1...length).map { Conv2d(1, horizontal, kernel: Size2D($0, width)) }
    fc1 = Linear(vertical * width + horizontal * length, width)
    W2 = Embedding(items, 2 * width, initialization: .normal(deviation: 1 / Double(2 * width)))
    b2 = Embedding(items, 1, initialization: .zeros)
  }

  /// What a user wants now: sequences i64 [n, 5], users i64 [n] → f32 [n, 2 d].
  private func taste(_ sequences: Tensor, _ users: Tensor) -> Tensor {
    let image = item_embeddings(sequences).unsqueezed(1)
    let vertical = conv_v(image).flattened(1)
    let horizontal = conv_h.map { filter in
      // Max over time; the pooling is two-dimensional with a width of one.
      let matches = filter(image).relu()
      return matches.maxPool2d(Size2D(matches.size(2), 1)).flattened(1)
    }
    let features = dropout(Tensor.concatenated([vertical] + horizontal, dimension: 1))
    return Tensor.concatenated([fc1(features).sigmoid(), user_embeddings(users)], dimension: 1)
  }

  /// Scores of some items, i64 [n, k] → f32 [n, k].
  func callAsFunction(_ sequences: Tensor, _ users: Tensor, items: Tensor) -> Tensor {
    scoped {
      let taste = taste(sequences, users).unsqueezed(2)
      return (W2(items).bmm(taste) + b2(items)).squeezed(2)
    }
  }

  /// Scores of all items: f32 [n, items].
  func scoreAll(_ sequences: Tensor, _ users: Tensor) -> Tensor {
    scoped { taste(sequences, users).linear(W2.weight, b2.weight.view([-1])) }
  }
}

/// Learning to rank: a large model learns from check-ins, then a small one from check-ins and the large one's ranking.
public final class LearningToRank: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C16", name: "learning-to-rank", task: "Learning to rank",
    model: "Ranking distillation with Caser (teacher and student)", dataSet: "Gowalla",
    dataFormat: "train.txt with test.txt (lines \"user item 1\"), or loc-gowalla_totalCheckins.txt[.gz]",
    small: ScaleInfo(
      target: QualityTarget(metric: "P@10", value: 0.13), batchSize: 256, maximumEpochs: 25, parameters: nil,
      forwardFLOPs: 25_728,
      optimizer: "Adam 0.003, weight decay 1e-6"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "P@3", value: 0.1458), batchSize: 512, maximumEpochs: 50, parameters: nil,
      forwardFLOPs: 171_600,
      optimizer: "Adam 0.001, weight decay 1e-6"),
    published: PublishedSize(
      parameters: 5_583_500, forwardFLOPs: 171_600,
      source:
        "the ranking distillation's PyTorch program: the teacher, with four scored items; the technical report has 0.09 M multiply-accumulates"
    ))

  /// What differs between the scales.
  struct Shape: Sendable {
    var teacherWidth: Int
    var studentWidth: Int
    var horizontalFilters: Int
    var teacherTarget: QualityTarget
    var distillation: RankingDistillation
    var learningRate: Double

    /// Teacher 5 583 500 and student 2 793 800 parameters with Gowalla's 13 149 users and 14 008 items.
    static let paper = Shape(
      teacherWidth: 100, studentWidth: 50, horizontalFilters: 16,
      teacherTarget: QualityTarget(metric: "P@3", value: 0.139), distillation: RankingDistillation(),
      learningRate: 1e-3)
    /// Teacher 46 629 and student 8669 parameters with the synthetic 500 users and 241 items.
    static let small = Shape(
      teacherWidth: 32, studentWidth: 6, horizontalFilters: 8,
      teacherTarget: QualityTarget(metric: "P@10", value: 0.16),
      distillation: RankingDistillation(positionScale: 10, dynamicStart: 3, share: 0.5), learningRate: 3e-3)
  }

  /// The training stages, in order.
  public let stageNames = ["teacher", "student"]
  /// Where the visits are from.
  public let dataDescription: String
  /// All measures of the last evaluation.
  public private(set) var quality = RankingQuality()
  private let configuration: BenchmarkConfiguration
  private let split: SequenceSplit
  private let samples: SequenceSamples
  private let shape: Shape
  private var teacher: Caser?
  private var epoch = 0

  /// Reads check-ins, or plants habits: 500 users and 240 items, at paper scale as many as Gowalla has.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    shape = configuration.scale == .small ? .small : .paper
    let origin: String
    let split: SequenceSplit
    if let directory = configuration.dataDirectory {
      split = try Gowalla.load(directory: directory)
      origin = directory
    } else {
      let kind = configuration.scale == .small ? SyntheticSequences.small : .gowalla
      split = kind.split(seed: 1)
      origin = kind.origin(seed: 1)
    }
    self.split = split
    samples = SequenceSamples(split)
    // Negatives are drawn among items that a user does not have.
    let longest = (0..<split.userCount).map { split.train.items(of: $0).count }.max() ?? 0
    guard longest < split.itemCount - 1 else {
      throw DataError.unsuitable(path: origin, reason: "a user has been everywhere, so nothing is left to recommend")
    }
    dataDescription =
      "\(origin) (\(split.userCount) users, \(split.itemCount) items with padding, \(samples.count) for training)"
  }

  func makeModel(width: Int) -> Caser {
    Caser(
      width: width, users: split.userCount, items: split.itemCount, horizontal: shape.horizontalFilters)
  }

  /// The teacher learns from check-ins alone; the student, which comes after it, from both.
  public func stage(_ name: String) throws -> TrainingStage {
    let isTeacher = name == stageNames[0]
    let model = makeModel(width: isTeacher ? shape.teacherWidth : shape.studentWidth)
    var samples = samples
    let distillation = shape.distillation
    if isTeacher {
      teacher = model
    } else {
      // Without a trained teacher (as when only the student's cost is measured) a random one gives the ranking.
      let teacher = teacher ?? makeModel(width: shape.teacherWidth)
      samples.teacherItems = try ranking(by: teacher, samples)
      samples.teacherWidth = distillation.itemCount
      samples.rankSamples = distillation.rankSamples
    }
    let weights = Tensor(distillation.positionWeights, shape: [1, distillation.itemCount])
    let items = split.itemCount
    epoch = 0
    var stage = TrainingStage(
      name: name, model: model,
      optimizer: Adam(model.parameters(), learningRate: shape.learningRate, weightDecay: 1e-6),
      loader: DataLoader(samples, batchSize: configuration.batchSize, isShuffled: true, seed: configuration.seed),
      target: isTeacher ? shape.teacherTarget : Self.info.scale(configuration.scale).target,
      maximumEpochs: configuration.maximumEpochs,
      loss: { [unowned self] batch in
        let scores = model(batch.inputs[0], batch.inputs[1], items: batch.inputs[2])
        let own = 1 + SequenceSamples.negatives
        let ranking = RankingDistillation.rankingLoss(
          positives: scores.slice(1, 0..<1), negatives: scores.slice(1, 1..<own))
        if isTeacher { return ranking }
        let taught = scores.slice(1, own..<(own + distillation.itemCount))
        var weight = weights
        if epoch >= distillation.dynamicStart {
          let random = scores.slice(1, (own + distillation.itemCount)..<scores.size(1))
          weight = weights * distillation.rankWeights(scores: taught, samples: random, items: items)
        }
        return ranking + distillation.loss(scores: taught, weights: weight)
      },
      evaluate: { [unowned self] in
        quality = try evaluate(model)
        let metric = Self.info.scale(configuration.scale).target.metric
        return quality.named.first { $0.name == metric }?.value ?? .nan
      })
    stage.measures = { [unowned self] in quality.named }
    stage.willBeginEpoch = { [unowned self] number in epoch = number }
    return stage
  }

  /// The teacher's first items for every window, among those that the user does not have in training.
  private func ranking(by teacher: Caser, _ samples: SequenceSamples) throws -> [Int32] {
    let wasTraining = teacher.isTraining
    teacher.train(false)
    defer { teacher.train(wasTraining) }
    var result: [Int32] = []
    let batchSize = 512
    let batches = DataLoader(samples, batchSize: batchSize).batches(epoch: 0)
    var window = 0
    while let batch = try batches.nextBatch()?.tensors() {
      let users = (window..<(window + batch.samples)).map(samples.user)
      window += batch.samples
      let best = withoutGradients {
        teacher.scoreAll(batch.inputs[0], batch.inputs[1]).masked(knownItems(users), with: -.infinity)
          .top(shape.distillation.itemCount).indices
      }
      result.append(contentsOf: best.integers().map { Int32($0) })
    }
    return result
  }

  /// True for each user's training items and for the padding: bool [n, items].
  private func knownItems(_ users: [Int]) -> Tensor {
    var flags = [UInt8](repeating: 0, count: users.count * split.itemCount)
    for (row, user) in users.enumerated() {
      flags[row * split.itemCount] = 1
      for item in split.train.items(of: user) { flags[row * split.itemCount + Int(item)] = 1 }
    }
    return Tensor(bytes: flags, shape: [users.count, split.itemCount]).to(.bool)
  }

  /// Ranks every user's later items among all that the user did not have before.
  func evaluate(_ model: Caser) throws -> RankingQuality {
    var quality = RankingQuality()
    let batches = DataLoader(LastSequences(split: split), batchSize: 256).batches(epoch: 0)
    var first = 0
    while let batch = try batches.nextBatch()?.tensors() {
      let users = Array(first..<(first + batch.samples))
      first += batch.samples
      let scores = withoutGradients {
        model.scoreAll(batch.inputs[0], batch.inputs[1]).masked(knownItems(users), with: -.infinity).floats()
      }
      for (row, user) in users.enumerated() {
        // A place that the user knows already cannot be recommended, so it is not asked for.
        let relevant = split.test.items(of: user).filter { !samples.known.sortedContains($0, user: user) }
        quality.add(
          ranks: RankingMetrics.ranks(
            of: relevant.map { Int($0) }, in: scores[(row * split.itemCount)..<((row + 1) * split.itemCount)]))
      }
    }
    return quality
  }

  /// Recommends ten places to each user of a batch, by the student.
  public func inference() throws -> InferenceTask {
    let model = makeModel(width: shape.studentWidth)
    return InferenceTask(
      model: model, loader: DataLoader(LastSequences(split: split), batchSize: configuration.batchSize),
      answer: { model.scoreAll($0.inputs[0], $0.inputs[1]).top(10).indices })
  }
}

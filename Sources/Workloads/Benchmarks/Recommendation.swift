// DC-AI-C10: which film will somebody watch next? Neural collaborative filtering on MovieLens.

/// Neural matrix factorization (He et al., WWW 2017): the element-wise product of one pair of embeddings, beside a
/// multi-layer perceptron over the concatenation of another pair; both together give one logit.
///
/// Users i64 [n], items i64 [n] → logits [n].
final class NeuMF: Module {
  /// Sizes of the model.
  struct Shape: Sendable {
    /// Width of the factorization's embeddings.
    var factors: Int
    /// Inputs of the perceptron (twice its embeddings' width), then the width of each of its layers.
    var layers: [Int]
    /// Of MLPerf: 106 624 multiply-accumulates a pair.
    static let paper = Shape(factors: 64, layers: [256, 256, 128, 64])
    static let small = Shape(factors: 8, layers: [32, 16, 8])
  }

  let mf_user_embed, mf_item_embed, mlp_user_embed, mlp_item_embed: Embedding
  let mlp: [Linear]
  let final: Linear

  init(_ shape: Shape, users: Int, items: Int) {
    let initial = Initialization.normal(deviation: 0.01)
    mf_user_embed = Embedding(users, shape.factors, initialization: initial)
    mf_item_embed = Embedding(items, shape.factors, initialization: initial)
    mlp_user_embed = Embedding(users, shape.layers[0] / 2, initialization: initial)
    mlp_item_embed = Embedding(items, shape.layers[0] / 2, initialization: initial)
    mlp = zip(shape.layers, shape.layers.dropFirst()).map { Linear($0, $1) }
    final = Linear(shape.factors + shape.layers[shape.layers.count - 1], 1)
    super.init()
    for layer in mlp { Initialization.xavierUniform()(layer.weight) }
    Initialization.lecunUniform(final.weight)
  }

  func callAsFunction(users: Tensor, items: Tensor) -> Tensor {
    scoped {
      let product = mf_user_embed(users) * mf_item_embed(items)
      var hidden = Tensor.concatenated([mlp_user_embed(users), mlp_item_embed(items)], dimension: 1)
      for layer in mlp { hidden = layer(hidden).relu() }
      return final(Tensor.concatenated([product, hidden], dimension: 1)).squeezed(1)
    }
  }
}

/// Implicit feedback split as He et al. do: the last item of each user is held out.
struct FeedbackSplit: Sendable {
  /// Items that a held-out item is ranked against.
  static let evaluationNegatives = 99

  let userCount: Int
  let itemCount: Int
  /// Training items with their users.
  let users: [Int32]
  let items: [Int32]
  /// Each user's training items, sorted.
  let known: Interactions
  /// For each user the held-out item, then items which the user never used: 100 in a row.
  let candidates: [Int32]

  /// - Throws: `DataError.unsuitable` where users leave too few items unused.
  init(_ interactions: Interactions, source: String, seed: UInt64) throws(DataError) {
    userCount = interactions.userCount
    itemCount = interactions.itemCount
    var users: [Int32] = []
    var items: [Int32] = []
    var offsets: [[Int32]] = []
    offsets.reserveCapacity(userCount)
    users.reserveCapacity(interactions.count)
    items.reserveCapacity(interactions.count)
    for user in 0..<userCount {
      let earlier = interactions.items(of: user).dropLast()
      users.append(contentsOf: repeatElement(Int32(user), count: earlier.count))
      items.append(contentsOf: earlier)
      offsets.append(Array(earlier))
    }
    self.users = users
    self.items = items
    known = Interactions(histories: offsets, itemCount: itemCount).sortedByItem()
    let used = interactions.sortedByItem()
    var candidates: [Int32] = []
    candidates.reserveCapacity(userCount * (Self.evaluationNegatives + 1))
    for user in 0..<userCount {
      guard let last = interactions.items(of: user).last,
        itemCount - interactions.items(of: user).count >= Self.evaluationNegatives
      else {
        throw .unsuitable(
          path: source,
          reason: "a user has used all but \(itemCount - interactions.items(of: user).count) of \(itemCount) items; "
            + "ranking needs \(Self.evaluationNegatives) unused ones")
      }
      var random = SeededRandom(seed, 7, user)
      candidates.append(last)
      let first = candidates.count
      while candidates.count < first + Self.evaluationNegatives {
        let item = Int32(random.integer(below: itemCount))
        if !used.sortedContains(item, user: user), !candidates[first...].contains(item) { candidates.append(item) }
      }
    }
    self.candidates = candidates
  }
}

/// Training pairs: each positive one with four negatives, drawn anew in every epoch among the items that the user
/// does not have in training. Inputs users i64 [n] and items i64 [n], targets f32 [n].
struct FeedbackSamples: Dataset {
  static let negatives = 4
  let split: FeedbackSplit

  var count: Int { split.items.count * (1 + Self.negatives) }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var users: [Int] = []
    var items: [Int] = []
    var labels: [Float] = []
    for index in indices {
      let positive = index / (1 + Self.negatives)
      let user = split.users[positive]
      var item = split.items[positive]
      let isPositive = index % (1 + Self.negatives) == 0
      if !isPositive {
        repeat {
          item = Int32(random.integer(below: split.itemCount))
        } while split.known.sortedContains(item, user: Int(user))
      }
      users.append(Int(user))
      items.append(Int(item))
      labels.append(isPositive ? 1 : 0)
    }
    let shape = [indices.count]
    return Batch(
      samples: indices.count,
      inputs: [HostTensor(integers: users, shape: shape), HostTensor(integers: items, shape: shape)],
      targets: [HostTensor(labels, shape: shape)])
  }
}

/// One user a sample: inputs users i64 [100 n] and items i64 [100 n], the held-out item first of each hundred.
struct FeedbackCandidates: Dataset {
  let split: FeedbackSplit

  var count: Int { split.userCount }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let width = FeedbackSplit.evaluationNegatives + 1
    let users = indices.flatMap { repeatElement($0, count: width) }
    let items = indices.flatMap { split.candidates[($0 * width)..<(($0 + 1) * width)].map { Int($0) } }
    return Batch(
      samples: indices.count,
      inputs: [HostTensor(integers: users, shape: [users.count]), HostTensor(integers: items, shape: [items.count])])
  }
}

/// Recommendation: NeuMF on MovieLens, or on planted tastes.
public final class Recommendation: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C10", name: "recommendation", task: "Recommendation", model: "Neural collaborative filtering (NeuMF)",
    dataSet: "MovieLens", dataFormat: "u.data (100K), ratings.dat (1M) or ratings.csv (20M)",
    small: ScaleInfo(
      target: QualityTarget(metric: "HR@10", value: 0.8), batchSize: 512, maximumEpochs: 20, parameters: nil,
      forwardFLOPs: 1312,
      optimizer: "Adam 0.005"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "HR@10", value: 0.635), batchSize: 65_536, maximumEpochs: 30, parameters: nil,
      forwardFLOPs: 213_248,
      optimizer: "Adam 0.0002"),
    published: PublishedSize(
      parameters: 31_832_577, forwardFLOPs: 213_248,
      source: "MLPerf Training v0.5 on MovieLens 20M; the technical report's least FLOPs are 0.213248 M"))

  private let configuration: BenchmarkConfiguration
  private let split: FeedbackSplit
  /// Where the feedback is from.
  public let dataDescription: String
  /// NDCG@10 of the last evaluation.
  public private(set) var normalizedGain = Double.nan

  /// Reads ratings, or plants tastes: 600 users and 400 items, at paper scale as many as MovieLens 20M has.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let interactions: Interactions
    let origin: String
    if let directory = configuration.dataDirectory {
      interactions = try MovieLens.load(directory: directory)
      origin = directory
    } else {
      let kind = configuration.scale == .small ? SyntheticFeedback.small : .movieLens20M
      interactions = kind.interactions(seed: 1)
      origin = kind.origin(seed: 1)
    }
    // The held-out candidates are part of the data: the same for every seed of a run.
    split = try FeedbackSplit(interactions, source: origin, seed: 1)
    dataDescription =
      "\(origin) (\(split.userCount) users, \(split.itemCount) items, \(split.items.count) for training)"
  }

  func model() -> NeuMF {
    NeuMF(configuration.scale == .small ? .small : .paper, users: split.userCount, items: split.itemCount)
  }

  /// Binary cross entropy of used against unused items.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let optimizer = Adam(model.parameters(), learningRate: configuration.scale == .small ? 5e-3 : 2e-4)
    let held = DataLoader(FeedbackCandidates(split: split), batchSize: 512)
    var stage = TrainingStage(
      model: model, optimizer: optimizer,
      loader: DataLoader(
        FeedbackSamples(split: split), batchSize: configuration.batchSize, isShuffled: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { model(users: $0.inputs[0], items: $0.inputs[1]).binaryCrossEntropy($0.targets[0]) },
      evaluate: { [unowned self] in
        let (hitRate, gain) = try Self.evaluate(model, held)
        normalizedGain = gain
        return hitRate
      })
    stage.measures = { [unowned self] in [("NDCG@10", normalizedGain)] }
    return stage
  }

  /// HR@10 and NDCG@10 of the held-out items, each among its 99 unused ones.
  static func evaluate(_ model: NeuMF, _ held: DataLoader) throws -> (hitRate: Double, normalizedGain: Double) {
    var (hits, gains, users) = (0.0, 0.0, 0)
    let batches = held.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let scores = model(users: batch.inputs[0], items: batch.inputs[1]).view([batch.samples, -1])
      for rank in ranks(ofFirstIn: scores) {
        hits += RankingMetrics.hit(rank: rank, k: 10)
        gains += RankingMetrics.gain(rank: rank, k: 10)
      }
      users += batch.samples
    }
    return (hits / Double(users), gains / Double(users))
  }

  /// The rank of each row's first score, from 0. Ties count against it, and so does a score that is not a number.
  static func ranks(ofFirstIn scores: Tensor) -> [Int] {
    let others = scores.size(1) - 1
    let below = scores.slice(1, 1..<(others + 1)).isLess(scores.slice(1, 0..<1)).to(.float32).sum([1])
    return below.integers().map { others - $0 }
  }

  /// Scores a user's hundred candidates; a query is a batch of users.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(FeedbackCandidates(split: split), batchSize: configuration.batchSize),
      answer: { model(users: $0.inputs[0], items: $0.inputs[1]).view([$0.samples, -1]).top(10).indices })
  }
}

// Stand-ins for what people use: preferences with hidden factors, and sequences with hidden habits.

/// Implicit feedback from a planted low-rank taste (for recommendation by collaborative filtering).
public struct SyntheticFeedback: Sendable {
  /// Number of users.
  public let userCount: Int
  /// Number of items.
  public let itemCount: Int
  /// Items that each user uses; the last one, in random order, is the one to predict.
  public let itemsPerUser: Int
  /// Items that a user considers; all, or at large sizes a random sample, which keeps the work linear.
  public let candidates: Int

  /// 600 users, 400 items: learnt in seconds.
  public static let small = SyntheticFeedback(userCount: 600, itemCount: 400, itemsPerUser: 21, candidates: 400)
  /// As many users and items as MovieLens 20M, so that the model has the published size.
  public static let movieLens20M = SyntheticFeedback(
    userCount: 138_493, itemCount: 26_744, itemsPerUser: 21, candidates: 400)

  /// What the data are, for the log.
  public func origin(seed: UInt64) -> String {
    "synthetic: implicit feedback of \(userCount) users on \(itemCount) items, \(itemsPerUser) each, planted rank-6 "
      + "taste, seed \(seed)"
  }

  /// Each user's items are those with the highest score: 1.2 × inner product of two random 6-vectors + 0.5 × the
  /// item's popularity + 0.7 × Gumbel noise.
  public func interactions(seed: UInt64) -> Interactions {
    let rank = 6
    var generator = SeededRandom(seed, 3)
    let tastes = (0..<(userCount * rank)).map { _ in Float(generator.normal()) }
    let traits = (0..<(itemCount * rank)).map { _ in Float(generator.normal()) }
    let popularity = (0..<itemCount).map { _ in 0.5 * generator.normal() }
    var histories: [[Int32]] = []
    histories.reserveCapacity(userCount)
    for user in 0..<userCount {
      var generator = SeededRandom(seed, 4, user)
      // A random start and a step without a common factor visit different items.
      let start = candidates == itemCount ? 0 : generator.integer(below: itemCount)
      let step = candidates == itemCount ? 1 : coprimeStep(&generator)
      var best: [(score: Double, item: Int32)] = []
      for candidate in 0..<candidates {
        let item = (start + candidate * step) % itemCount
        var product = Float(0)
        for factor in 0..<rank { product += tastes[user * rank + factor] * traits[item * rank + factor] }
        let score = 1.2 * Double(product) + popularity[item] + 0.7 * generator.gumbel()
        if best.count < itemsPerUser || score > best[best.count - 1].score {
          let place = best.firstIndex { $0.score < score } ?? best.count
          best.insert((score, Int32(item)), at: place)
          if best.count > itemsPerUser { best.removeLast() }
        }
      }
      var history = best.map(\.item)
      generator.shuffle(&history)
      histories.append(history)
    }
    return Interactions(histories: histories, itemCount: itemCount)
  }

  private func coprimeStep(_ generator: inout SeededRandom) -> Int {
    while true {
      let step = 1 + generator.integer(below: itemCount - 1)
      var (a, b) = (itemCount, step)
      while b != 0 { (a, b) = (b, a % b) }
      if a == 1 { return step }
    }
  }
}

/// Sequences of visits from planted habits (for sequential recommendation): items lie in clusters; each group of users
/// has its own order of clusters and its own favourites in each.
public struct SyntheticSequences: Sendable {
  /// Number of users.
  public let userCount: Int
  /// Groups of users with the same habits.
  public let groupCount: Int
  /// Clusters of items.
  public let clusterCount: Int
  /// Number of items (without the padding item 0); shared out evenly among the clusters.
  public let itemCount: Int
  /// Visits of each user, each to a different item.
  public let length: Int
  /// How many of a user's visits, from the first, are for training.
  public let trainLength: Int

  /// 500 users, 240 items: learnt in seconds.
  public static let small = SyntheticSequences(
    userCount: 500, groupCount: 6, clusterCount: 8, itemCount: 240, length: 34, trainLength: 27)
  /// As many users and items as the filtered Gowalla check-ins, so that the model has the published size.
  public static let gowalla = SyntheticSequences(
    userCount: 13_149, groupCount: 60, clusterCount: 467, itemCount: 14_007, length: 41, trainLength: 33)

  static let favouritesPerCluster = 8
  static let habitStrength = 0.85
  static let weightOfOthers = 0.03

  /// What the data are, for the log.
  public func origin(seed: UInt64) -> String {
    "synthetic: \(length) visits each of \(userCount) users to \(itemCount) items, \(groupCount) groups with planted "
      + "habits, seed \(seed)"
  }

  /// The visits. With probability 0.85 a user goes on to the cluster that the group's order gives, else to any; there,
  /// favourites have the weight 1 and others 0.03, and nobody visits an item twice.
  public func split(seed: UInt64) -> SequenceSplit {
    var generator = SeededRandom(seed, 5)
    let firstItem = (0...clusterCount).map { $0 * itemCount / clusterCount }
    let nextCluster = (0..<groupCount).map { _ in generator.permutation(clusterCount) }
    // favourites[group][item]
    let isFavourite = (0..<groupCount).map { _ in
      var flags = [Bool](repeating: false, count: itemCount)
      for cluster in 0..<clusterCount {
        let size = firstItem[cluster + 1] - firstItem[cluster]
        for member in generator.permutation(size).prefix(Self.favouritesPerCluster) {
          flags[firstItem[cluster] + member] = true
        }
      }
      return flags
    }
    var train: [[Int32]] = []
    var test: [[Int32]] = []
    for user in 0..<userCount {
      var generator = SeededRandom(seed, 6, user)
      let group = user % groupCount
      var visited = Set<Int32>()
      var visits: [Int32] = []
      var cluster = generator.integer(below: clusterCount)
      while visits.count < length {
        cluster =
          generator.chance(Self.habitStrength) ? nextCluster[group][cluster] : generator.integer(below: clusterCount)
        let members = (firstItem[cluster]..<firstItem[cluster + 1]).filter { !visited.contains(Int32($0)) }
        let weights = members.map { isFavourite[group][$0] ? 1 : Self.weightOfOthers }
        var rest = generator.uniform() * weights.reduce(0, +)
        var chosen = members.last
        for (member, weight) in zip(members, weights) {
          rest -= weight
          if rest < 0 {
            chosen = member
            break
          }
        }
        // A cluster whose items are all visited is passed by.
        guard let chosen else { continue }
        visited.insert(Int32(chosen))
        visits.append(Int32(chosen) + 1)
      }
      train.append(Array(visits[..<trainLength]))
      test.append(Array(visits[trainLength...]))
    }
    return SequenceSplit(
      train: Interactions(histories: train, itemCount: itemCount + 1),
      test: Interactions(histories: test, itemCount: itemCount + 1))
  }
}

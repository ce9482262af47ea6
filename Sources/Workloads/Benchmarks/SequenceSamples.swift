// What a sequential recommender learns from: windows over each user's history.

/// For each training visit with enough before it: the items before, the item, and what else the loss needs.
///
/// Inputs: sequences i64 [n, 5], users i64 [n], items i64 [n, 1 + negatives + …]: the item to predict first, then items
/// that the user does not have in training, drawn anew in every epoch, then the teacher's and the samples for the rank.
struct SequenceSamples: Dataset {
  static let length = 5
  static let negatives = 3

  let split: SequenceSplit
  let known: Interactions
  /// User and position of each window's last item.
  private let windows: [(user: Int32, target: Int32)]
  /// The teacher's items for each window, `teacherWidth` each; none for the teacher itself.
  var teacherItems: [Int32] = []
  var teacherWidth = 0
  /// Further items that the user does not have.
  var rankSamples = 0

  init(_ split: SequenceSplit) {
    self.split = split
    known = split.train.sortedByItem()
    var windows: [(Int32, Int32)] = []
    for user in 0..<split.userCount {
      // A history that is too short for a window still gives one, padded on the left.
      let count = split.train.items(of: user).count
      for target in min(Self.length, max(count - 1, 0))..<count { windows.append((Int32(user), Int32(target))) }
    }
    self.windows = windows
  }

  var count: Int { windows.count }

  /// The up to five items before a position, padded with 0 on the left.
  static func sequence(_ history: ArraySlice<Int32>, before target: Int) -> [Int] {
    let items = history.prefix(target).suffix(length).map { Int($0) }
    return [Int](repeating: 0, count: length - items.count) + items
  }

  /// The user of a window.
  func user(_ index: Int) -> Int { Int(windows[index].user) }
  /// The item to predict.
  func target(_ index: Int) -> Int32 {
    let history = split.train.items(of: user(index))
    return history[history.startIndex + Int(windows[index].target)]
  }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var sequences: [Int] = []
    var users: [Int] = []
    var items: [Int] = []
    for index in indices {
      let user = user(index)
      users.append(user)
      sequences += Self.sequence(split.train.items(of: user), before: Int(windows[index].target))
      items.append(Int(target(index)))
      for _ in 0..<Self.negatives { items.append(unknownItem(user, &random)) }
      for place in 0..<teacherWidth { items.append(Int(teacherItems[index * teacherWidth + place])) }
      for _ in 0..<rankSamples { items.append(unknownItem(user, &random)) }
    }
    let count = indices.count
    return Batch(
      samples: count,
      inputs: [
        HostTensor(integers: sequences, shape: [count, Self.length]), HostTensor(integers: users, shape: [count]),
        HostTensor(integers: items, shape: [count, items.count / max(count, 1)]),
      ])
  }

  /// A random item, not the padding, which the user does not have in training.
  private func unknownItem(_ user: Int, _ random: inout SeededRandom) -> Int {
    while true {
      let item = 1 + random.integer(below: split.itemCount - 1)
      if !known.sortedContains(Int32(item), user: user) { return item }
    }
  }
}

/// One user a sample, to recommend what comes next. Inputs: the last sequence i64 [n, 5], users i64 [n].
struct LastSequences: Dataset {
  let split: SequenceSplit

  var count: Int { split.userCount }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let sequences = indices.flatMap { user -> [Int] in
      let history = split.train.items(of: user)
      return SequenceSamples.sequence(history, before: history.count)
    }
    return Batch(
      samples: indices.count,
      inputs: [
        HostTensor(integers: sequences, shape: [indices.count, SequenceSamples.length]),
        HostTensor(integers: indices, shape: [indices.count]),
      ])
  }
}

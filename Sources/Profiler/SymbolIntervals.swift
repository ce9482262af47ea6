// Which of many ranges, overlapping or not, owns an address: symbol tables and perf maps ask it.

/// Ranges of addresses with owners, made disjoint: where ranges overlap, the one of the highest rank owns the place.
/// Built once in O(n log n), asked in O(log n).
struct AddressIntervals {
  /// A range and its rank among those it overlaps with.
  struct Entry {
    var start: UInt64
    /// One past the last address.
    var end: UInt64
    var rank: Int
  }

  /// Segment `i` is [starts[i], starts[i + 1]) and belongs to entry `owners[i]`; −1 is a gap.
  private var starts: [UInt64] = []
  private var owners: [Int32] = []

  var isEmpty: Bool { starts.isEmpty }

  /// Flattens `entries`. Empty and inverted ones own nothing. Of equal ranks the later in the array wins.
  init(_ entries: [Entry]) {
    let order = entries.indices.filter { entries[$0].start < entries[$0].end }.sorted {
      entries[$0].start < entries[$1].start
    }
    starts.reserveCapacity(order.count + order.count / 4)
    owners.reserveCapacity(order.count + order.count / 4)
    /// Entries that began, best on top (a binary heap); those that ended are dropped when they come up.
    var heap: [Int] = []
    func better(_ a: Int, _ b: Int) -> Bool {
      entries[a].rank != entries[b].rank ? entries[a].rank > entries[b].rank : a > b
    }
    var next = 0
    var position: UInt64 = 0
    while next < order.count || !heap.isEmpty {
      if heap.isEmpty { position = entries[order[next]].start }
      while next < order.count, entries[order[next]].start <= position {
        Self.push(order[next], on: &heap, better)
        next += 1
      }
      while let top = heap.first, entries[top].end <= position { Self.pop(&heap, better) }
      guard let top = heap.first else {
        emit(position, -1)
        continue
      }
      emit(position, Int32(top))
      position = entries[top].end
      if next < order.count { position = min(position, entries[order[next]].start) }
    }
    if !starts.isEmpty { emit(position, -1) }
  }

  private mutating func emit(_ start: UInt64, _ owner: Int32) {
    if let last = owners.last, last == owner { return }
    if starts.last == start {
      owners[owners.count - 1] = owner
    } else {
      starts.append(start)
      owners.append(owner)
    }
  }

  /// The index in the array given to ``init(_:)`` of the entry that owns `address`.
  func owner(of address: UInt64) -> Int? {
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle] <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0, owners[low - 1] >= 0 else { return nil }
    return Int(owners[low - 1])
  }

  private static func push(_ item: Int, on heap: inout [Int], _ better: (Int, Int) -> Bool) {
    heap.append(item)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard better(heap[child], heap[parent]) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private static func pop(_ heap: inout [Int], _ better: (Int, Int) -> Bool) {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      var best = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && better(heap[child], heap[best]) {
        best = child
      }
      guard best != parent else { break }
      heap.swapAt(parent, best)
      parent = best
    }
  }
}

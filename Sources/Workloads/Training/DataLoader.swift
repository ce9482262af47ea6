// How batches reach the computing thread: in an order that only the seed decides, made ahead of time by one thread.
import Foundation
import Synchronization

/// A set of samples.
public protocol Dataset: Sendable {
  /// The number of samples.
  var count: Int { get }
  /// The samples at `indices`. `random` is the batch's own stream (augmentation, negatives), the same whatever the
  /// timing. May run on another thread; throws when a sample can't be read.
  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch
}

/// A data set whose samples differ in length. Batches of a shuffled one are of samples of about the same length, so that
/// little is computed for padding.
public protocol BucketedDataset: Dataset {
  /// Samples of the same number come into the same batches.
  func bucket(of index: Int) -> Int
}

/// Cuts a data set into batches.
public struct DataLoader: Sendable {
  /// Where samples come from.
  public let dataset: any Dataset
  /// Samples in a batch.
  public let batchSize: Int
  /// Whether each epoch has its own random order.
  public let isShuffled: Bool
  /// Whether a last batch that is not full is left out, unless it is the only one.
  public let dropsLast: Bool
  /// Decides the order and each batch's random numbers.
  public let seed: UInt64
  /// Batches made ahead; 0 makes them when asked for.
  public let prefetched: Int

  /// Makes a loader.
  public init(
    _ dataset: any Dataset, batchSize: Int, isShuffled: Bool = false, dropsLast: Bool = false, seed: UInt64 = 0,
    prefetched: Int = 2
  ) {
    precondition(batchSize > 0, "batch size \(batchSize)")
    self.dataset = dataset
    self.batchSize = batchSize
    self.isShuffled = isShuffled
    self.dropsLast = dropsLast
    self.seed = seed
    self.prefetched = prefetched
  }

  /// Batches in an epoch.
  public var batchCount: Int {
    // A data set smaller than a batch is one small batch: an epoch of none would train nothing and say so nowhere.
    dropsLast
      ? max(dataset.count / batchSize, min(dataset.count, 1)) : (dataset.count + batchSize - 1) / batchSize
  }

  /// The order of samples in an epoch.
  public func order(epoch: Int) -> [Int] {
    var order = Array(0..<dataset.count)
    if isShuffled {
      var random = SeededRandom(seed, epoch, -1)
      random.shuffle(&order)
      if let bucketed = dataset as? any BucketedDataset { order = inBuckets(order, bucketed.bucket, &random) }
    }
    return order
  }

  /// Full batches of one bucket each, in random order; then what is left of each bucket.
  private func inBuckets(_ order: [Int], _ bucket: (Int) -> Int, _ random: inout SeededRandom) -> [Int] {
    var open: [Int: [Int]] = [:]
    var batches: [[Int]] = []
    for index in order {
      let number = bucket(index)
      open[number, default: []].append(index)
      if open[number]?.count == batchSize { batches.append(open.removeValue(forKey: number) ?? []) }
    }
    random.shuffle(&batches)
    return batches.flatMap { $0 } + open.sorted { $0.key < $1.key }.flatMap(\.value)
  }

  /// The batches of an epoch, at most `limit` of them.
  public func batches(epoch: Int, limit: Int? = nil) -> BatchIterator {
    BatchIterator(self, epoch: epoch, count: min(limit ?? .max, batchCount))
  }

  fileprivate func batch(_ number: Int, of order: [Int], epoch: Int) throws -> Batch {
    let start = number * batchSize
    var random = SeededRandom(seed, epoch, number)
    return try dataset.batch(
      Array(order[start..<min(start + batchSize, order.count)]), epoch: epoch, random: &random)
  }
}

/// The batches of one epoch. Dropping it stops the thread that makes them.
public final class BatchIterator {
  private let loader: DataLoader
  private let epoch: Int
  private let count: Int
  private let order: [Int]
  private var next = 0
  private let queue: BoundedQueue<Result<Batch, any Error>>?

  fileprivate init(_ loader: DataLoader, epoch: Int, count: Int) {
    self.loader = loader
    self.epoch = epoch
    self.count = count
    let order = loader.order(epoch: epoch)
    self.order = order
    guard loader.prefetched > 0 else {
      queue = nil
      return
    }
    let queue = BoundedQueue<Result<Batch, any Error>>(capacity: loader.prefetched)
    self.queue = queue
    let thread = Thread {
      for number in 0..<count {
        let result = Result { try loader.batch(number, of: order, epoch: epoch) }
        guard queue.put(result) else { return }
        if case .failure = result { return }
      }
    }
    thread.name = "prefetch"
    thread.start()
  }

  deinit { queue?.close() }

  /// The next batch, `nil` after the last; throws what the data set threw.
  public func nextBatch() throws -> Batch? {
    guard next < count else { return nil }
    defer { next += 1 }
    guard let queue else { return try loader.batch(next, of: order, epoch: epoch) }
    return try queue.take()?.get()
  }
}

/// A queue between two threads which makes the producer wait when it is full.
final class BoundedQueue<Element: Sendable>: Sendable {
  private struct State {
    var elements: [Element] = []
    var isClosed = false
  }
  private let capacity: Int
  private let condition = NSCondition()
  // Taken only under `condition`, so nobody ever waits for it; it is what the compiler can check.
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  /// Waits for room. False when nobody will take any more.
  func put(_ element: Element) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while state.withLock({ $0.elements.count >= capacity && !$0.isClosed }) { condition.wait() }
    return state.withLock {
      if !$0.isClosed { $0.elements.append(element) }
      condition.signal()
      return !$0.isClosed
    }
  }

  /// Waits for an element; `nil` when closed.
  func take() -> Element? {
    condition.lock()
    defer { condition.unlock() }
    while state.withLock({ $0.elements.isEmpty && !$0.isClosed }) { condition.wait() }
    return state.withLock {
      guard !$0.elements.isEmpty else { return nil }
      condition.signal()
      return $0.elements.removeFirst()
    }
  }

  func close() {
    condition.lock()
    state.withLock { $0.isClosed = true }
    condition.broadcast()
    condition.unlock()
  }
}

// How is work shared among threads so that the result doesn't depend on their number?
import Foundation
import Synchronization

/// Work in blocks whose number depends on the problem alone. A block writes only what is its own; whoever needs a sum over
/// blocks adds them up in their order afterwards. So any number of threads gives the same bytes.
enum TSNEBlocks {
  /// Does blocks `0 ..< count`, each once, on at most `threads` threads, whichever is free takes the next.
  static func perform(_ count: Int, threads: Int, _ work: (Int) -> Void) {
    let workers = min(threads, count)
    guard workers > 1 else {
      for block in 0..<count { work(block) }
      return
    }
    let next = Atomic<Int>(0)
    // Sound, for blocks write apart from each other and `concurrentPerform` returns after the last one.
    nonisolated(unsafe) let work = work
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      while true {
        let block = next.add(1, ordering: .relaxed).oldValue
        guard block < count else { return }
        work(block)
      }
    }
  }

  /// The same over `0 ..< count` in ranges of `size`.
  static func ranges(_ count: Int, size: Int, threads: Int, _ work: (Range<Int>) -> Void) {
    perform((count + size - 1) / size, threads: threads) { block in
      work((block * size)..<min((block + 1) * size, count))
    }
  }
}

/// Memory of a fixed size that several threads write in different places, which an array can't be.
final class TSNEBuffer<Element: BitwiseCopyable> {
  /// The first element.
  let start: UnsafeMutablePointer<Element>
  /// Number of elements.
  let count: Int

  init(_ count: Int, repeating value: Element) {
    start = .allocate(capacity: max(count, 1))
    start.initialize(repeating: value, count: count)
    self.count = count
  }

  convenience init(_ values: [Element], or none: Element) {
    self.init(values.count, repeating: none)
    for (place, value) in values.enumerated() { start[place] = value }
  }

  deinit { start.deallocate() }

  /// A copy.
  var values: [Element] { Array(UnsafeBufferPointer(start: start, count: count)) }
}

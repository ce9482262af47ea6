// How many images of a data set may be unreadable before a run ends.
import Synchronization

/// The images of a data set that could not be read. One in a thousand is replaced by its successor and named in the
/// log; more end the run. Where an image can't stand for another one, because it is compared with a certain other one, none
/// is tolerable. Safe to use from a loading thread.
final class UnreadableImages: Sendable {
  /// One unreadable image in so many is tolerable.
  static let imagesPerTolerableLoss = 1000

  private let losses = Mutex<(paths: [String], told: Int)>(([], 0))
  private let tolerable: Int

  /// - Parameters:
  ///   - count: of the data set's images.
  ///   - isStrict: whether none is tolerable.
  init(of count: Int, isStrict: Bool = false) {
    tolerable = isStrict ? 0 : count / Self.imagesPerTolerableLoss
  }

  /// Calls `body` with `index`, or with the first index after it (below `count`, then from 0) whose image can be read.
  ///
  /// - Parameters:
  ///   - path: of the image at an index.
  /// - Throws: the `DataError` of one image too many, or `.empty` when none can be read.
  func firstReadable<Result>(
    from index: Int, of count: Int, path: (Int) -> String, _ body: (Int) throws(DataError) -> Result
  ) throws(DataError) -> Result {
    for offset in 0..<count {
      let position = (index + offset) % count
      do {
        return try body(position)
      } catch {
        try bear(error, path(position))
      }
    }
    throw .empty(path: path(index), expected: "at least one readable image")
  }

  /// Counts a loss, and throws it when there have been too many.
  private func bear(_ error: DataError, _ path: String) throws(DataError) {
    let isTolerable = losses.withLock { losses in
      if !losses.paths.contains(path) { losses.paths.append(path) }
      return losses.paths.count <= tolerable
    }
    if !isTolerable { throw error }
  }

  /// Names the images that have been replaced since the last call.
  func newWarnings() -> [String] {
    losses.withLock { losses in
      defer { losses.told = losses.paths.count }
      return losses.paths[losses.told...].map {
        "cannot decode \($0); the next image took its place "
          + "(tolerated up to one image in \(Self.imagesPerTolerableLoss))"
      }
    }
  }
}

// How many words does a language model find equally likely? Perplexity.
import Foundation

/// The exponential of the mean cross entropy (in nats) over all words, each word of equal weight.
public struct Perplexity: Sendable, Hashable {
  private var sum = 0.0
  /// Words so far.
  public private(set) var words = 0

  /// No word yet.
  public init() {}

  /// Takes words into the mean.
  ///
  /// - Parameters:
  ///   - crossEntropy: the sum of −ln p over the words.
  ///   - words: how many.
  public mutating func add(crossEntropy: Double, words: Int) {
    sum += crossEntropy
    self.words += words
  }

  /// e^(mean cross entropy): the vocabulary's size for a model that knows nothing, 1 for one that knows all. NaN
  /// without words.
  public var value: Double { words == 0 ? .nan : exp(sum / Double(words)) }
}

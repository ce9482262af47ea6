// How much a translation resembles a human's: BLEU of a corpus (Papineni et al., ACL 2002).
import Glibc

/// BLEU-4 of a corpus with one reference a sentence: the geometric mean of the shares of n-grams, n = 1 … 4, that the
/// reference has too, times a penalty where the output is shorter than the references. Counts are summed over all
/// sentences before they are divided.
public struct BLEU: Sendable, Equatable {
  /// n-grams of the output that its reference has, at most as often as there.
  public private(set) var matches = [0, 0, 0, 0]
  /// n-grams of the output.
  public private(set) var totals = [0, 0, 0, 0]
  /// Words of the output.
  public private(set) var length = 0
  /// Words of the references.
  public private(set) var referenceLength = 0

  /// No sentence yet.
  public init() {}

  /// Adds a sentence.
  public mutating func add(_ output: [String], reference: [String]) {
    length += output.count
    referenceLength += reference.count
    for n in 1...4 {
      let expected = Self.grams(reference, n)
      for (gram, count) in Self.grams(output, n) {
        totals[n - 1] += count
        matches[n - 1] += min(count, expected[gram] ?? 0)
      }
    }
  }

  private static func grams(_ words: [String], _ n: Int) -> [ArraySlice<String>: Int] {
    guard words.count >= n else { return [:] }
    return (0...words.count - n).reduce(into: [:]) { $0[words[$1..<$1 + n], default: 0] += 1 }
  }

  /// From 0 to 100; 0 where no 4-gram is right, as the definition without smoothing has it.
  public var score: Double {
    guard length > 0, zip(matches, totals).allSatisfy({ $0 > 0 && $1 > 0 }) else { return 0 }
    let logarithm = zip(matches, totals).reduce(0.0) { $0 + log(Double($1.0) / Double($1.1)) } / 4
    return 100 * exp(logarithm + min(0, 1 - Double(referenceLength) / Double(length)))
  }

  /// Words for a comparison that does not depend on how either text was cut into words: punctuation stands alone
  /// unless digits are around it, symbols always. These are the rules of mteval-v14's international tokenization,
  /// which sacreBLEU calls `intl` and which MLPerf's Transformer reference uses.
  public static func tokens(_ text: String, lowercases: Bool = true) -> [String] {
    let scalars = Array((lowercases ? text.lowercased() : text).unicodeScalars)
    // 1. a punctuation mark after something that is no digit; 2. one before something that is no digit; 3. symbols. Each
    // rule reads what the one before it wrote, from left to right.
    func spaced(_ input: [Unicode.Scalar], _ rule: (Unicode.Scalar, Unicode.Scalar) -> (Bool, [Unicode.Scalar]))
      -> [Unicode.Scalar]
    {
      var result: [Unicode.Scalar] = []
      var index = 0
      while index < input.count {
        if index + 1 < input.count {
          let (isMatch, replacement) = rule(input[index], input[index + 1])
          if isMatch {
            result += replacement
            index += 2
            continue
          }
        }
        result.append(input[index])
        index += 1
      }
      return result
    }
    var text = spaced(scalars) { a, b in (!isNumber(a) && isPunctuation(b), [a, " ", b, " "]) }
    text = spaced(text) { a, b in (isPunctuation(a) && !isNumber(b), [" ", a, " ", b]) }
    var result = String.UnicodeScalarView()
    for scalar in text {
      if isSymbol(scalar) { result.append(contentsOf: [" ", scalar, " "]) } else { result.append(scalar) }
    }
    return words(of: String(result)).map { String($0) }
  }

  private static func isNumber(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      true
    default: false
    }
  }

  private static func isSymbol(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: true
    default: false
    }
  }
}

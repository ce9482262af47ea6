// How a translation is found: word by word, keeping the most probable beginnings.
import Glibc

/// A model that says which token may come next, for several beginnings of sentences (rows) at once.
protocol SequenceDecoder: AnyObject {
  /// Appends a token to each row (i64 [rows]) and tells the log probabilities of the next, f32 [rows, vocabulary], and
  /// where the model looked in the source, f32 [rows, source], if it can tell.
  func append(_ tokens: Tensor) -> (logProbabilities: Tensor, attention: Tensor?)
  /// Keeps the rows that `rows` (i64) name, in their order. Rows change places only within their sentence, so what is known
  /// of the source stays.
  func select(rows: Tensor)
}

/// Beam search with the score of Wu et al. 2016: log P / ((5 + length) / 6)^α + β Σ log min(Σ attention, 1), the second sum
/// over the source's positions, so that neither short translations win nor such that leave something out. A beam of one
/// is the greedy choice.
struct BeamSearch: Sendable {
  /// Beginnings kept of each sentence.
  var width = 1
  /// α.
  var lengthExponent = 0.0
  /// β.
  var coverageWeight = 0.0

  private struct Hypothesis {
    var tokens: [Int] = []
    var logProbability = 0.0
    /// How much each source position was looked at.
    var coverage: [Float] = []
  }

  private func score(_ hypothesis: Hypothesis, length: Int, sourceLength: Int) -> Double {
    var score = hypothesis.logProbability / pow((5 + Double(length)) / 6, lengthExponent)
    if coverageWeight > 0 {
      let covered = hypothesis.coverage.prefix(sourceLength).reduce(0.0) { $0 + log(Double(min(max($1, 1e-10), 1))) }
      score += coverageWeight * covered
    }
    return score
  }

  /// The best translation of each sentence, without begin and end token.
  ///
  /// - Parameters:
  ///   - decoder: with `width` equal rows for each sentence, one after another.
  ///   - sourceLengths: of each sentence.
  ///   - longest: where translations end in any case, in tokens.
  func translate(_ decoder: some SequenceDecoder, sourceLengths: [Int], longest: Int) -> [[Int]] {
    let sentences = sourceLengths.count
    var alive = [[Hypothesis]](repeating: [Hypothesis](repeating: Hypothesis(), count: width), count: sentences)
    var finished = [(score: Double, tokens: [Int])?](repeating: nil, count: sentences)
    var isDone = [Bool](repeating: false, count: sentences)
    var tokens = [Int](repeating: Vocabulary.begin, count: sentences * width)
    for step in 0..<longest {
      let next = decoder.append(Tensor(integers: tokens, shape: [tokens.count]))
      // Of each row more than the beam cannot be of use, with one more for the end token.
      let best = next.logProbabilities.top(min(width + 1, next.logProbabilities.size(1)))
      let kept = best.values.size(1)
      let values = best.values.doubles()
      let choices = best.indices.integers()
      let attention = coverageWeight > 0 ? next.attention : nil
      let looks = attention?.floats() ?? []
      let positions = attention?.size(1) ?? 0
      var rows: [Int] = []
      for sentence in 0..<sentences {
        let first = sentence * width
        if isDone[sentence] {
          rows += first..<first + width
          continue
        }
        // At first all rows are the same.
        var candidates: [(total: Double, row: Int, token: Int)] = []
        for row in 0..<(step == 0 ? 1 : width) {
          for choice in 0..<kept {
            let place = (first + row) * kept + choice
            candidates.append((alive[sentence][row].logProbability + values[place], row, choices[place]))
          }
        }
        candidates.sort { $0.total != $1.total ? $0.total > $1.total : ($0.row, $0.token) < ($1.row, $1.token) }
        var extended: [Hypothesis] = []
        var origins: [Int] = []
        for (rank, candidate) in candidates.enumerated() where extended.count < width {
          var hypothesis = alive[sentence][candidate.row]
          hypothesis.logProbability = candidate.total
          if positions > 0 {
            if hypothesis.coverage.isEmpty { hypothesis.coverage = [Float](repeating: 0, count: positions) }
            let start = (first + candidate.row) * positions
            for place in 0..<positions { hypothesis.coverage[place] += looks[start + place] }
          }
          if candidate.token == Vocabulary.end {
            // An end below the beam's width would not have been kept as a beginning either.
            guard rank < width else { continue }
            let score = score(hypothesis, length: step + 1, sourceLength: sourceLengths[sentence])
            if score > finished[sentence]?.score ?? -.infinity { finished[sentence] = (score, hypothesis.tokens) }
            if width == 1 { isDone[sentence] = true }
          } else {
            hypothesis.tokens.append(candidate.token)
            extended.append(hypothesis)
            origins.append(candidate.row)
          }
        }
        // A vocabulary smaller than the beam leaves rows over.
        while extended.count < width, let last = extended.last, let origin = origins.last {
          var impossible = last
          impossible.logProbability = -.infinity
          extended.append(impossible)
          origins.append(origin)
        }
        guard !extended.isEmpty else {
          isDone[sentence] = true
          rows += first..<first + width
          continue
        }
        alive[sentence] = extended
        rows += origins.map { first + $0 }
        if let ended = finished[sentence], let best = extended.first {
          // The best that could still come, if all further tokens were certain and everything covered.
          let bound = best.logProbability / pow((5 + Double(longest)) / 6, lengthExponent)
          if ended.score >= bound { isDone[sentence] = true }
        }
      }
      if isDone.allSatisfy({ $0 }) { break }
      tokens = alive.flatMap { $0.map { $0.tokens.last ?? Vocabulary.end } }
      if rows != Array(0..<rows.count) { decoder.select(rows: Tensor(integers: rows, shape: [rows.count])) }
    }
    return (0..<sentences).map { finished[$0]?.tokens ?? alive[$0].first?.tokens ?? [] }
  }
}

extension Tensor {
  /// Every element of the first dimension so many times, one after another.
  func repeatedRows(_ times: Int) -> Tensor {
    guard times > 1 else { return self }
    let rows = (0..<size(0) * times).map { $0 / times }
    return select(0, indices: Tensor(integers: rows, shape: [rows.count]))
  }
}

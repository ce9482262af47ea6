// How much of a summary is in the order of the reference? ROUGE-L (Lin, 2004).

/// Measures of summaries by their longest common subsequence with a reference.
public enum Rouge {
  /// The length of the longest sequence that both have as a subsequence (in order, with gaps).
  public static func longestCommonSubsequence<Element: Equatable>(_ a: [Element], _ b: [Element]) -> Int {
    var row = [Int](repeating: 0, count: b.count + 1)
    for element in a {
      var diagonal = 0
      for j in b.indices {
        let above = row[j + 1]
        row[j + 1] = element == b[j] ? diagonal + 1 : max(above, row[j])
        diagonal = above
      }
    }
    return row[b.count]
  }

  /// ROUGE-L's F1 of a sentence: the harmonic mean of precision LCS / |candidate| and recall LCS / |reference|.
  /// 0 when either is empty.
  public static func f1<Element: Equatable>(candidate: [Element], reference: [Element]) -> Double {
    let common = Double(longestCommonSubsequence(candidate, reference))
    guard common > 0 else { return 0 }
    let (precision, recall) = (common / Double(candidate.count), common / Double(reference.count))
    return 2 * precision * recall / (precision + recall)
  }
}

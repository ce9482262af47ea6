// What did nvprof's metrics say, and which metrics of today's GPUs say it? Reads Resources/gpu-metrics.tsv.
//
// Not yet run on a GPU: that the metrics exist is checked without one (Tests/GPU/metric-passes.py).

/// A metric by nvprof's name, made from metrics of NVIDIA's PerfWorks on some chips.
public struct GPUMetric: Hashable, Sendable {
  /// What is done with the sum of the terms.
  public enum Formula: String, Hashable, Sendable, CaseIterable {
    case sum
    /// Divided by 100.
    case fraction = "percent/100"
    /// Divided by 10 and rounded up: nvprof's level from 0 to 10.
    case level = "tenths"
    /// Of the sum of all stalls' terms on the chip, in percent: nvprof's stalls add up to 100, and cycles in which a warp
    /// issued are none.
    case stallShare = "stalls"
  }

  /// A PerfWorks metric and what it is multiplied by.
  public struct Term: Hashable, Sendable {
    /// The factor.
    public var weight: Double
    /// Its whole name, with what is done over the units and the cycles: `dram__bytes_read.sum`.
    public var metric: String
  }

  /// nvprof's name, or ours where it had none.
  public var alias: String
  /// What is collected together.
  public var group: String
  /// Of the alias.
  public var unit: String
  /// What is done with the sum of ``terms``.
  public var formula: Formula
  /// What is added up.
  public var terms: [Term]
  /// Names of chips (`GH100`), with `*`, `[…]` and `[!…]`.
  public var chips: String
  /// What it says and what it does not see.
  public var definition: String
}

extension GPUMetric {
  /// A line that can't be understood.
  struct SyntaxError: Error, Equatable, CustomStringConvertible {
    var line: Int
    var problem: String
    var description: String { "line \(line): \(problem)" }
  }

  /// All rows, in their order.
  public static let all: [GPUMetric] = {
    let text = String(decoding: PackageResources.gpu_metrics_tsv, as: UTF8.self)
    do {
      return try parse(text)
    } catch {
      // The text is compiled in, and a test parses it: no input reaches this.
      preconditionFailure("gpu-metrics.tsv: \(error)")
    }
  }()

  /// Each alias that a chip has, by the first row that is for the chip.
  ///
  /// - Parameter chip: As `cuptiDeviceGetChipName` says it: `GA100`, `GH100`.
  public static func metrics(ofChip chip: String) -> [GPUMetric] {
    var aliases: Set<String> = []
    return all.filter { matches(chip, $0.chips) && aliases.insert($0.alias).inserted }
  }

  /// The alias's value from values of PerfWorks metrics.
  ///
  /// - Parameters:
  ///   - values: By metric.
  ///   - metrics: Those of the chip: a share of stalls is one of all of them.
  /// - Returns: `nil` when a value is missing or is no number: a kernel that loads nothing has no load efficiency.
  public func value(from values: [String: Double], among metrics: [GPUMetric]) -> Double? {
    guard let sum = sum(values) else { return nil }
    switch formula {
    case .sum: return sum
    case .fraction: return sum / 100
    case .level: return min(max((sum / 10).rounded(.up), 0), 10)
    case .stallShare:
      var whole = 0.0
      for other in metrics where other.formula == .stallShare {
        guard let part = other.sum(values) else { return nil }
        whole += part
      }
      return whole > 0 ? 100 * sum / whole : nil
    }
  }

  private func sum(_ values: [String: Double]) -> Double? {
    var sum = 0.0
    for term in terms {
      guard let value = values[term.metric], value.isFinite else { return nil }
      sum += term.weight * value
    }
    return sum
  }

  static func parse(_ text: String) throws(SyntaxError) -> [GPUMetric] {
    var rows: [GPUMetric] = []
    var isHead = true
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.isEmpty || line.hasPrefix("#") { continue }
      if isHead {
        isHead = false
        continue
      }
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 7, !fields.contains("") else {
        throw SyntaxError(line: index + 1, problem: "\(fields.count) fields, 7 that are not empty wanted")
      }
      guard let formula = Formula(rawValue: fields[3]) else {
        throw SyntaxError(line: index + 1, problem: "no formula \(fields[3])")
      }
      var terms: [Term] = []
      for term in fields[4].split(separator: "+") {
        let words = term.split(separator: " ")
        guard let metric = words.last, words.count <= 2, let weight = words.count == 2 ? Double(words[0]) : 1 else {
          throw SyntaxError(line: index + 1, problem: "no term:\(term)")
        }
        terms.append(Term(weight: weight, metric: String(metric)))
      }
      rows.append(
        GPUMetric(
          alias: fields[0], group: fields[1], unit: fields[2], formula: formula, terms: terms, chips: fields[5],
          definition: fields[6]))
    }
    return rows
  }

  /// Whether a name fits a pattern of letters, `*`, `[a-c]` and `[!a-c]`, as a shell's.
  static func matches(_ name: String, _ pattern: String) -> Bool {
    matches(Array(name.utf8)[...], Array(pattern.utf8)[...])
  }

  private static func matches(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return (name.startIndex...name.endIndex).contains { matches(name[$0...], pattern.dropFirst()) }
    }
    guard let letter = name.first else { return false }
    guard first == UInt8(ascii: "["), let end = pattern.firstIndex(of: UInt8(ascii: "]")) else {
      return first == letter && matches(name.dropFirst(), pattern.dropFirst())
    }
    var set = pattern[(pattern.startIndex + 1)..<end]
    let isNegated = set.first == UInt8(ascii: "!")
    if isNegated { set = set.dropFirst() }
    var isIn = false
    while let low = set.popFirst() {
      var high = low
      if set.first == UInt8(ascii: "-"), set.count > 1 {
        set = set.dropFirst()
        high = set.popFirst() ?? low
      }
      if low <= letter, letter <= high { isIn = true }
    }
    return isIn != isNegated && matches(name.dropFirst(), pattern[(end + 1)...])
  }
}

// A stand-in for news: sentences by a grammar, and headlines that say what is in their main clause.

/// Sentences with their headlines. Safe to use from a loading thread.
protocol HeadlineSource: Sendable {
  /// Number of pairs.
  var count: Int { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// A sentence and its headline, in words.
  func pair(_ index: Int) throws -> (article: [String], title: [String])
}

/// A sentence has a main clause, a subordinate one before or after it, and words that mean nothing:
///
///     police said on friday that the angry minister attacked a new bridge in paris while fans left rome .
///
/// The headline has the main clause in the present: `minister attacks bridge in paris`. To write it, a model has to tell
/// the clauses apart (by `while`), to copy, and to know each verb's present. Three names in ten are in no word list,
/// so that they can only be copied.
struct SyntheticHeadlines: HeadlineSource {
  let count: Int
  /// Fillers bring each sentence to so many words; nil to leave it as it is.
  let length: Int?
  private let seed: UInt64

  static let people = [
    "minister", "police", "court", "president", "army", "workers", "fans", "bank", "company", "rebels", "farmers",
    "students",
  ]
  static let things = [
    "bridge", "deal", "plan", "law", "talks", "match", "budget", "camp", "vote", "school", "price", "road",
  ]
  static let places = ["paris", "rome", "london", "cairo", "tokyo", "lima", "delhi", "oslo"]
  static let verbs = [
    ("attacked", "attacks"), ("opened", "opens"), ("left", "leaves"), ("backed", "backs"), ("rejected", "rejects"),
    ("won", "wins"), ("sold", "sells"), ("sought", "seeks"), ("built", "builds"), ("halted", "halts"),
  ]
  static let adjectives = ["angry", "new", "old", "local", "foreign", "young", "big", "secret"]
  static let days = ["monday", "tuesday", "wednesday", "thursday", "friday"]
  static let fillers = ["officials", "said", "according", "to", "reports", "late", "on", "again", "after", "long"]
  static let rest = ["the", "a", "in", "while", ".", ",", "that"]
  /// Names that no word list has.
  static let unlistedNames = 2000

  /// All words but the unlisted names.
  static var words: [String] {
    people + things + places + verbs.map(\.0) + verbs.map(\.1) + adjectives + days + fillers + rest
  }

  init(count: Int, length: Int? = nil, seed: UInt64) {
    self.count = count
    self.length = length
    self.seed = seed
  }

  var origin: String { "synthetic: \(count) sentences with headlines by a grammar, seed \(seed)" }

  /// Subject, verb, object and place of a clause.
  private struct Clause {
    var subject, object, place: String
    var verb: (past: String, present: String)

    init(_ random: inout SeededRandom) {
      func pick<Element>(_ list: [Element]) -> Element { list[random.integer(below: list.count)] }
      func name(_ list: [String]) -> String {
        random.chance(0.3) ? "name\(random.integer(below: SyntheticHeadlines.unlistedNames))" : pick(list)
      }
      subject = name(SyntheticHeadlines.people)
      object = name(SyntheticHeadlines.things)
      place = pick(SyntheticHeadlines.places)
      verb = pick(SyntheticHeadlines.verbs)
    }

    /// With articles and adjectives now and then.
    func sentence(_ random: inout SeededRandom) -> [String] {
      func noun(_ word: String) -> [String] {
        var words = [random.chance(0.5) ? "the" : "a"]
        if random.chance(0.4) {
          words.append(SyntheticHeadlines.adjectives[random.integer(below: SyntheticHeadlines.adjectives.count)])
        }
        return words + [word]
      }
      return noun(subject) + [verb.past] + noun(object) + ["in", place]
    }

    var title: [String] { [subject, verb.present, object, "in", place] }
  }

  func pair(_ index: Int) -> (article: [String], title: [String]) {
    var random = SeededRandom(seed, 10, index)
    let main = Clause(&random)
    let other = Clause(&random)
    func fillers(_ count: Int) -> [String] {
      (0..<count).map { _ in Self.fillers[random.integer(below: Self.fillers.count)] }
    }
    let side = ["while"] + other.sentence(&random)
    let day = random.chance(0.5) ? ["on", Self.days[random.integer(below: Self.days.count)]] : []
    let sentence = main.sentence(&random) + day
    var article = fillers(random.integer(below: 3))
    article += random.chance(0.5) ? side + [","] + sentence : sentence + side
    article += fillers(random.integer(below: 3))
    if let length, article.count + 1 < length {
      let rest = fillers(length - 1 - article.count)
      article = random.chance(0.5) ? rest + article : article + rest
    }
    return (article + ["."], main.title)
  }
}

// Are sentences read, cut and judged as the formats and papers say?
import Foundation
import Testing

@testable import Workloads

struct BytePairTests {
  /// The example of Sennrich et al. 2016, section 3.2.
  private let paper = ["low": 5, "lowest": 2, "newer": 6, "wider": 3]

  @Test func learnsThePapersMerges() {
    let encoding = BytePairEncoding(learning: 4, from: paper)
    // Of "r" that ends a word with what is before it: 9 of "e r</w>"; then "l o", "lo w" 7 each, by their bytes.
    #expect(encoding.merges[0] == BytePairEncoding.Pair(first: "e", second: "r</w>"))
    #expect(encoding.merges[1] == BytePairEncoding.Pair(first: "l", second: "o"))
    #expect(encoding.merges.count == 4)
    #expect(encoding.pieces("lower") == ["lo@@", "w@@", "er"])
    #expect(encoding.pieces("x") == ["x"])
    #expect(encoding.pieces("") == [])
  }

  /// The most frequent pair found by counting everything anew, as in the paper's program.
  @Test func agreesWithCountingAnew() {
    var random = SeededRandom(7)
    var words: [String: Int] = [:]
    for _ in 0..<60 {
      let word = String((0..<1 + random.integer(below: 7)).map { _ in "abcde"[random.integer(below: 5)] })
      words[word, default: 0] += 1 + random.integer(below: 9)
    }
    var symbols = words.map { (BytePairEncoding.characters($0.key), $0.value) }
    var merges: [BytePairEncoding.Pair] = []
    while merges.count < 40 {
      var counts: [BytePairEncoding.Pair: Int] = [:]
      for (word, count) in symbols where word.count > 1 {
        for index in 1..<word.count {
          counts[BytePairEncoding.Pair(first: word[index - 1], second: word[index]), default: 0] += count
        }
      }
      guard let best = counts.min(by: { $0.value != $1.value ? $0.value > $1.value : $0.key.precedes($1.key) }),
        best.value >= 2
      else { break }
      merges.append(best.key)
      symbols = symbols.map { (PairLearner.merged($0.0, best.key), $0.1) }
    }
    #expect(BytePairEncoding(learning: 40, from: words).merges == merges)
  }

  @Test func piecesJoinToTheirWords() {
    let language = SyntheticLanguage.small.text(count: 50, seed: 3)
    var counts: [String: Int] = [:]
    for line in language.source { for word in words(of: line) { counts[String(word), default: 0] += 1 } }
    let merges = BytePairEncoding(learning: 12, from: counts)
    var pieces: [String: Int] = [:]
    for (word, count) in counts { for piece in merges.pieces(word) { pieces[piece, default: 0] += count } }
    let coder = SentenceCoder(vocabulary: Vocabulary(counts: pieces), merges: merges, joins: true)
    for line in language.source {
      #expect(coder.decode(coder.encode(line)) == line)
      #expect(coder.encode(line).count > words(of: line).count)
    }
  }

  @Test func readsSubwordFiles() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("bpe.codes", "#version: 0.2\ne r</w>\nl o\n")
    #expect(try BytePairEncoding(path: path).pieces("lower") == ["lo@@", "w@@", "er"])
    let bad = try directory.write("bad", "#version: 0.2\ne r</w>\nlo\n")
    expectDataError(mentions: ["bad, line 3", "two symbols", "\"lo\""]) { _ = try BytePairEncoding(path: bad) }
    let empty = try directory.write("empty", "#version: 0.2\n")
    expectDataError(mentions: ["empty", "no sample"]) { _ = try BytePairEncoding(path: empty) }
  }
}

extension String {
  fileprivate subscript(index: Int) -> Character { self[self.index(startIndex, offsetBy: index)] }
}

struct BLEUTests {
  // Benchmarks/reference/bleu.py, sacreBLEU 2.6.0.
  private let references = [
    "The cat sat on the mat, didn't it?", "Prices rose by 3.5% (to $1,234.50) in 2014 - a record!",
    "He said: \"Guten Tag\" – and left…", "A completely different sentence of some length is here.",
  ]
  private let outputs = [
    "the cat sat on the mat , did it ?", "Prices rose 3.5 % to $1,234.50 in 2014, a record.",
    "He said \"guten Tag\" and left.", "Here is a sentence of some length .",
  ]

  @Test func wordsAreThoseOfTheInternationalTokenization() {
    let expected = [
      "the cat sat on the mat , didn ' t it ?", "prices rose by 3.5 % ( to $ 1,234.50 ) in 2014 - a record !",
      "he said : \" guten tag \" – and left …", "a completely different sentence of some length is here .",
    ]
    for (line, words) in zip(references, expected) { #expect(BLEU.tokens(line).joined(separator: " ") == words) }
  }

  @Test func agreesWithSacreBLEU() {
    var bleu = BLEU()
    for (output, reference) in zip(outputs, references) {
      bleu.add(BLEU.tokens(output), reference: BLEU.tokens(reference))
    }
    #expect(bleu.matches == [36, 21, 10, 6])
    #expect(bleu.totals == [40, 36, 32, 28])
    #expect(bleu.length == 40 && bleu.referenceLength == 49)
    #expect(abs(bleu.score - 34.576766538975626) < 1e-9)
  }

  @Test func isWhatItsDefinitionSays() {
    // Papineni et al.: "the" seven times has two of the reference's, of two.
    var bleu = BLEU()
    bleu.add([String](repeating: "the", count: 7), reference: ["the", "cat", "is", "on", "the", "mat"])
    #expect(bleu.matches[0] == 2 && bleu.totals[0] == 7)
    #expect(bleu.score == 0)
    var same = BLEU()
    same.add(["a", "b", "c", "d", "e"], reference: ["a", "b", "c", "d", "e"])
    #expect(abs(same.score - 100) < 1e-9)
    // Half as long as the reference: everything is right, and the penalty e^(1 − 2) is left.
    var short = BLEU()
    short.add(["a", "b", "c", "d"], reference: ["a", "b", "c", "d", "e", "f", "g", "h"])
    #expect(abs(short.score - 100 * Foundation.exp(-1)) < 1e-9)
    #expect(BLEU().score == 0)
  }
}

struct ParallelTextTests {
  private func write(_ directory: TemporaryDirectory, _ train: (String, String), _ val: (String, String)) throws {
    try directory.write("train.en", train.0)
    try directory.write("train.de", train.1)
    try directory.write("val.en", val.0)
    try directory.write("val.de", val.1)
  }

  private func load(_ directory: TemporaryDirectory, _ units: TranslationData.Units = .words(minimumCount: 1)) throws
    -> TranslationData
  {
    try TranslationData(directory: directory.path, units: units, longest: 6)
  }

  @Test func readsLinesInAnyOrder() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("text", "eins\r\nzwei\n\nvier ü\nlast")
    let lines = try LineFile(path: path)
    #expect(lines.count == 5)
    for (index, text) in [(4, "last"), (1, "zwei"), (2, ""), (0, "eins"), (3, "vier ü")] {
      #expect(try lines.line(index) == text)
    }
    #expect(try LineFile(path: directory.write("none", "")).count == 0)
    let bad = try LineFile(path: directory.write("bad", [0x61, 0x0A, 0xFF, 0xFE, 0x0A]))
    expectDataError(mentions: ["bad, line 2", "UTF-8"]) { _ = try bad.line(1) }
    let packed = try directory.write("packed", Fixture.gzip(Array("a\nb\n".utf8)))
    expectDataError(mentions: ["packed", "compressed"]) { _ = try LineFile(path: packed) }
  }

  @Test func makesBatches() throws {
    let directory = try TemporaryDirectory()
    // The third pair is too long, the fourth has no translation.
    try write(
      directory, ("The cat\na dog runs\na a a a a a a\ncat\n", "die Katze\nein Hund läuft\nzu lang\n\n"),
      ("the fish\n", "der Fisch\n"))
    let data = try load(directory)
    #expect(data.train.count == 2 && data.validation.count == 1)
    #expect(data.description.hasPrefix(directory.path))
    let source = data.source.vocabulary
    let target = data.target.vocabulary
    var random = SeededRandom(1)
    let batch = try data.train.batch([1, 0], epoch: 0, random: &random)
    #expect(
      batch.inputs[0].storage
        == .integers([
          source.number("a"), source.number("dog"), source.number("runs"), 3, source.number("the"),
          source.number("cat"), 3, 0,
        ]))
    #expect(batch.inputs[1].storage == .integers([4, 3]))
    let first = ["ein", "hund", "läuft"].map(target.number)
    let second = ["die", "katze"].map(target.number)
    #expect(batch.inputs[2].storage == .integers([2] + first + [2] + second + [0]))
    #expect(batch.targets[0].storage == .integers(first + [3] + second + [3, 0]))
    // "fish" does not occur in training.
    #expect(data.source.encode("the fish") == [source.number("the"), Vocabulary.unknown])
    #expect(try data.validation.reference(0) == "der Fisch")
    // The most frequent word comes first.
    #expect(source.tokens[4] == "a")
  }

  @Test func readsTextThatIsCutAlready() throws {
    let directory = try TemporaryDirectory()
    for (name, text) in [
      ("train.tok.clean.bpe.32000.en", "un@@ do it\n"), ("train.tok.clean.bpe.32000.de", "rück@@ gängig\n"),
      ("newstest2014.tok.bpe.32000.en", "do it\n"), ("newstest2014.tok.bpe.32000.de", "rück@@ gängig machen\n"),
      ("vocab.bpe.32000", "un@@\ndo\nit\nrück@@\ngängig\n"),
    ] {
      try directory.write(name, text)
    }
    let data = try load(directory, .subwords(merges: 10))
    #expect(data.source.vocabulary.count == 9)
    #expect(data.target.decode([7, 8, 3, 5]) == "rückgängig")
    #expect(try data.validation.reference(0) == "rückgängig machen")
  }

  @Test func tellsBadText() throws {
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["train.en with train.de", "found nothing"]) { _ = try load(directory) }
    try directory.write("train.en", "a\n")
    expectDataError(mentions: ["train.de beside train.en"]) { _ = try load(directory) }
    try write(directory, ("a\nb\n", "c\n"), ("a\n", "c\n"))
    expectDataError(mentions: ["train.de", "1 lines", "has 2"]) { _ = try load(directory) }
    try write(directory, ("", ""), ("a\n", "c\n"))
    expectDataError(mentions: ["train.en", "no sample"]) { _ = try load(directory) }
    try write(directory, ("\n\n", "\n\n"), ("a\n", "c\n"))
    expectDataError(mentions: ["train.en", "1 to 6 tokens"]) { _ = try load(directory) }
    expectDataError(mentions: ["does not exist"]) {
      _ = try TranslationData(directory: directory.path + "/x", units: .words(minimumCount: 1), longest: 6)
    }
  }

  @Test func batchesAreOfOneLength() throws {
    let text = try SyntheticLanguage.small.parallelText(count: 300, seed: 1)
    let coder = SentenceCoder(
      vocabulary: Vocabulary(counts: try ParallelText.wordCounts([text.source, text.target], lowercases: false)))
    let pairs = try TranslationPairs(text, source: coder, target: coder, longest: 50, bucketWidth: 1)
    let loader = DataLoader(pairs, batchSize: 8, isShuffled: true, seed: 4)
    let order = loader.order(epoch: 1)
    #expect(order.sorted() == Array(0..<300))
    #expect(order != loader.order(epoch: 2) && order == loader.order(epoch: 1))
    // At most seven samples of each of seven lengths are left over.
    for batch in 0..<(300 - 49) / 8 {
      #expect(Set(order[(batch * 8)..<(batch * 8 + 8)].map(pairs.bucket)).count == 1)
    }
  }

  @Test func languageIsTranslatedWordByWordFromTheEnd() {
    let text = SyntheticLanguage.small.text(count: 200, seed: 1)
    var dictionary: [String: String] = [:]
    for (source, target) in zip(text.source, text.target) {
      let (first, second) = (words(of: source), words(of: target).reversed().map { $0 })
      #expect(first.count == second.count && (4...10).contains(first.count))
      for (word, other) in zip(first, second) {
        #expect(dictionary[String(word)] ?? String(other) == String(other))
        dictionary[String(word)] = String(other)
      }
    }
    #expect(dictionary.count == 20 && Set(dictionary.values).count == 20)
    #expect(Set((0..<40_000).map { SyntheticLanguage.spelling($0, ending: "") }).count == 40_000)
    #expect(text.source == SyntheticLanguage.small.text(count: 200, seed: 1).source)
    #expect(text.source != SyntheticLanguage.small.text(count: 200, seed: 2).source)
  }
}

extension Computing {
  @Suite struct BeamSearchTests {
    /// Says the next token's probabilities from a table, whatever was said before the last token.
    private final class Table: SequenceDecoder {
      let table: [[Double]]
      init(_ table: [[Double]]) { self.table = table }
      func append(_ tokens: Tensor) -> (logProbabilities: Tensor, attention: Tensor?) {
        let rows = tokens.integers().flatMap { table[$0].map { Float(Foundation.log($0)) } }
        return (Tensor(rows, shape: [tokens.count, table[0].count]), nil)
      }
      func select(rows: Tensor) {}
    }

    /// Tokens 2 begin, 3 end, 4, 5 and 6. The greedy way is 4 and then 0.4 × …; the best is 5.
    private let table: [[Double]] = [
      [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1],
      [1e-9, 1e-9, 1e-9, 1e-9, 0.6, 0.4, 1e-9],
      [1e-9, 1e-9, 1e-9, 1, 1e-9, 1e-9, 1e-9],
      [1e-9, 1e-9, 1e-9, 0.3, 0.2, 0.1, 0.4],
      [1e-9, 1e-9, 1e-9, 0.9, 0.03, 0.03, 0.04],
      [1e-9, 1e-9, 1e-9, 0.9, 0.03, 0.03, 0.04],
    ]

    @Test func greedyTakesTheFirstAndABeamTheBest() {
      // Greedy: 4, 6, end = 0.6 × 0.4 × 0.9 = 0.216. Best: 5, end = 0.4 × 0.9 = 0.36.
      #expect(BeamSearch().translate(Table(table), sourceLengths: [3, 3], longest: 8) == [[4, 6], [4, 6]])
      #expect(
        BeamSearch(width: 2).translate(Table(table), sourceLengths: [3, 3], longest: 8) == [[5], [5]])
      #expect(BeamSearch(width: 4).translate(Table(table), sourceLengths: [3], longest: 8) == [[5]])
      // The length's weight α turns it: ln 0.216 / (8/6)⁴ > ln 0.36 / (7/6)⁴.
      #expect(
        BeamSearch(width: 4, lengthExponent: 4).translate(Table(table), sourceLengths: [3], longest: 8)[0].count > 1)
      #expect(BeamSearch().translate(Table(table), sourceLengths: [3], longest: 1) == [[4]])
    }
  }

  @Suite struct TextTranslationTests {
    @Test func baseModelHasThePublishedParameters() {
      let model = TranslationTransformer(.base, sourceVocabulary: 2911, targetVocabulary: 3149)
      #expect(model.parameterCount == 47_241_216)
      func count(_ prefix: String) -> Int {
        model.namedParameters().filter { $0.path.hasPrefix(prefix + ".") }.reduce(0) { $0 + $1.parameter.count }
      }
      #expect(count("source_embedding") == 2911 * 512 && count("target_embedding") == 3149 * 512)
      // Four projections, feed-forward, two normalizations; a decoder layer has four and one more.
      #expect(count("encoder.layers.5") == 4 * 262_656 + 2_099_712 + 2 * 1024)
      #expect(count("decoder.layers.0") == 8 * 262_656 + 2_099_712 + 3 * 1024)
    }

    @Test func baseModelHasThePublishedFLOPs() throws {
      let model = TranslationTransformer(.base, sourceVocabulary: 2911, targetVocabulary: 3149)
      model.train(false)
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      withoutGradients {
        let tokens = Tensor.random(in: 4..<2911, [1, 15])
        let logits = model(tokens, lengths: Tensor(integers: [15], shape: [1]), target: tokens)
        #expect(logits.shape == [15, 3149])
      }
      // 688.9 M multiply-accumulates at 15 tokens.
      #expect((Trace.sums - start).counterFLOPs == 1_377_868_800)
    }

    @Test func flopsAreThoseOfTheFormula() throws {
      func total(_ d: Int, _ f: Int, _ layers: Int, _ l: Int, _ vocabulary: Int) -> Double {
        let encoder = 4 * l * d * d + 2 * l * l * d + 2 * l * d * f
        let decoder = 8 * l * d * d + 4 * l * l * d + 2 * l * d * f
        return Double(2 * (layers * (encoder + decoder) + l * d * vocabulary))
      }
      #expect(TextTranslation.info.paper.forwardFLOPs == total(512, 2048, 6, 15, 3149))
      #expect(TextTranslation.info.small.forwardFLOPs == total(64, 128, 2, 8, 24))
      #expect(NonrecurrentTranslation.info.paper.forwardFLOPs == total(1024, 4096, 6, 32, 33_708))
      #expect(NonrecurrentTranslation.info.small.forwardFLOPs == total(64, 128, 2, 8, 45))
      let model = TranslationTransformer(.smallBig, sourceVocabulary: 45, targetVocabulary: 45)
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      let tokens = Tensor.random(in: 4..<45, [2, 8])
      withoutGradients { _ = model(tokens, lengths: Tensor(integers: [8, 8], shape: [2]), target: tokens) }
      #expect((Trace.sums - start).counterFLOPs == 2 * total(64, 128, 2, 8, 45))
    }

    @Test func bigModelHasThePublishedParameters() {
      // By its parts; the whole would take 0.8 GB.
      let shape = TranslationTransformer.Shape.big.stack
      let encoder = TransformerEncoderLayer(shape).namedParameters().reduce(0) { $0 + $1.parameter.count }
      let decoder = TransformerDecoderLayer(shape).namedParameters().reduce(0) { $0 + $1.parameter.count }
      #expect(33_708 * 1024 + 6 * (encoder + decoder) + 4 * 1024 == 210_804_736)
    }

    @Test func smallModelLearnsAndTranslates() throws {
      Torch.seed(1)
      let benchmark = try TextTranslation(
        BenchmarkConfiguration(scale: .small, batchSize: 64, maximumEpochs: 20))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == TextTranslation.info.small.parameters)
      stage.model.train()
      var losses: [Double] = []
      let batches = stage.loader.batches(epoch: 0)
      while let batch = try batches.nextBatch()?.tensors() {
        let factor = stage.schedule.factor(step: losses.count, stepsPerEpoch: 50, total: 500)
        losses.append(try stage.step(TrainingStep(batch, rateFactor: factor)))
      }
      #expect(lossesFall(losses, by: 0.96))
      stage.model.train(false)
      let quality = try withoutGradients { try stage.evaluate() }
      #expect((0.05...1).contains(quality))
      let task = try benchmark.inference()
      task.model.train(false)
      let batch = try #require(try task.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      let answer = task.answer(batch)
      #expect(answer.size(0) == 64 && answer.type == .int64)
    }

    @Test func readsParallelText() throws {
      let directory = try TemporaryDirectory()
      let text = SyntheticLanguage.small.text(count: 40, seed: 5)
      for name in ["train", "val"] {
        try directory.write("\(name).en", text.source.joined(separator: "\n"))
        try directory.write("\(name).de", text.target.joined(separator: "\n"))
      }
      let benchmark = try TextTranslation(
        BenchmarkConfiguration(scale: .small, batchSize: 16, dataDirectory: directory.path, maximumEpochs: 1))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      let batches = stage.loader.batches(epoch: 0)
      while let batch = try batches.nextBatch()?.tensors() { #expect(try stage.step(TrainingStep(batch)).isFinite) }
      #expect((0...1).contains(try withoutGradients { try stage.evaluate() }))
    }

    @Test func schedulesAreThePublishedOnes() {
      func factor(_ schedule: LearningRateSchedule, _ step: Int, _ total: Int = 1000) -> Double {
        schedule.factor(step: step, stepsPerEpoch: 10, total: total)
      }
      for step in [1, 100, 4000, 10_000] {
        let number = Double(step)
        let paper = Foundation.pow(512, -0.5) * min(Foundation.pow(number, -0.5), number * Foundation.pow(4000, -1.5))
        let ours = factor(.inverseSquareRoot(warmUp: 4000), step - 1) / (512.0 * 4000).squareRoot()
        #expect(abs(ours / paper - 1) < 1e-12)
      }
      let linear = LearningRateSchedule.linear(warmUp: 100)
      #expect(factor(linear, 49) == 0.5 && factor(linear, 99) == 1 && factor(linear, 100) == 1)
      #expect(factor(linear, 550) == 0.5 && factor(linear, 1000) == 0)
      let halvings = LearningRateSchedule.halvings(warmUp: 10, start: 0.6, count: 4)
      #expect(abs(factor(halvings, 0) - 0.01) < 1e-12 && abs(factor(halvings, 5) - 0.1) < 1e-12)
      #expect([10, 599, 600, 699, 700, 999].map { factor(halvings, $0) } == [1, 1, 0.5, 0.5, 0.25, 0.0625])
    }
  }
}

// Does BERT have the published size, read text as published, and learn to guess words?
import Foundation
import Testing

@testable import Workloads

struct WordPieceTests {
  @Test func wordsAreBERTs() {
    let words = WordPiece.words("Größe: $3.50, Café-Bar\tSÃO\u{0}x  北京!")
    #expect(words.joined(separator: " ") == "große : $ 3 . 50 , cafe - bar saox 北 京 !")
    #expect(WordPiece.words("") == [])
  }

  @Test func theLongestPiecesAreTaken() throws {
    let directory = try TemporaryDirectory()
    // BERT's own example.
    let path = try directory.write(
      "vocab.txt",
      ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "una", "##ff", "runn", "##ing"]
        .joined(separator: "\n"))
    let pieces = try WordPiece(path: path)
    #expect(pieces.count == 12 && pieces.mask == 4)
    #expect(pieces.encode("Unaffable running") == [8, 9, 7, 10, 11])
    // "unaffx" has no way to its end.
    #expect(pieces.encode("unaffx running") == [1, 10, 11])
    #expect(pieces.encode(String(repeating: "un", count: 51)) == [1])
    let bad = try directory.write("bad.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\n")
    expectDataError(mentions: ["bad.txt", "[MASK]"]) { _ = try WordPiece(path: bad) }
  }

  @Test func learnsFrequentPieces() {
    let pieces = WordPiece(learning: 16, from: ["lows": 5, "low": 5, "news": 6])
    #expect(Array(pieces.pieces.prefix(5)) == WordPiece.specials)
    // "l ##o ##w" ten times: its pairs come first, by their bytes.
    #expect(pieces.pieces.contains("low") && pieces.count == 16)
    #expect(pieces.encode("low lows").count == 3)
    for word in ["low", "lows", "news"] {
      let joined = pieces.encode(word).map { pieces.pieces[$0].replacingOccurrences(of: "##", with: "") }.joined()
      #expect(joined == word)
    }
  }
}

struct PretrainingTextTests {
  private func text(_ lines: [String]) -> LinesInMemory { LinesInMemory(lines: lines, origin: "test") }

  @Test func documentsAreDividedByBlankLines() throws {
    let documents = try Documents(text(["", "a b", "c", " ", "", "d", "e f", "g"]))
    #expect(documents.ranges == [1..<3, 5..<8])
    let empty: [[String]] = [["a", "b"], [], ["", ""]]
    for lines in empty {
      expectDataError(mentions: ["test", "two documents"]) { _ = try Documents(text(lines)) }
    }
  }

  @Test func samplesAreBERTs() throws {
    let grammar = SyntheticGrammar.small
    let lines = grammar.lines(documents: 30, seed: 4)
    var counts: [String: Int] = [:]
    for line in lines { for word in WordPiece.words(line) { counts[word, default: 0] += 1 } }
    let vocabulary = WordPiece(learning: 100, from: counts)
    let documents = try Documents(text(lines))
    let samples = PretrainingSamples(documents, vocabulary: vocabulary, longest: 28, padsToLongest: false)
    #expect(samples.count == lines.count { !$0.isEmpty })
    var random = SeededRandom(3)
    var masked = (all: 0, hidden: 0, kept: 0)
    var tokens = 0
    var randomNext = 0
    for round in 0..<8 {
      for index in 0..<samples.count {
        let sample = try samples.sample(index, &random)
        #expect(sample.tokens.count <= 28 && sample.tokens.count == sample.segments.count)
        #expect(sample.tokens[0] == vocabulary.classification)
        #expect(sample.tokens.last == vocabulary.separator)
        let end = try #require(sample.segments.firstIndex(of: 1))
        #expect(sample.tokens[end - 1] == vocabulary.separator)
        #expect((3..<sample.tokens.count - 1).contains(end))
        #expect((1...samples.mostMasked).contains(sample.masked.count))
        tokens += sample.tokens.count
        masked.all += sample.masked.count
        for (place, token) in sample.masked {
          if sample.tokens[place] == vocabulary.mask { masked.hidden += 1 }
          if sample.tokens[place] == token { masked.kept += 1 }
          #expect(token != vocabulary.separator && token != vocabulary.classification)
        }
        randomNext += sample.isRandomNext ? 1 : 0
      }
      _ = round
    }
    let n = Double(masked.all)
    let share = n / Double(tokens)
    #expect(abs(share - 0.145) < 0.02)
    // Four standard deviations; a random token is the right one now and then.
    let hidden = Double(masked.hidden) / n
    let kept = Double(masked.kept) / n
    #expect(abs(hidden - 0.8) < 4 * (0.16 / n).squareRoot())
    #expect(abs(kept - 0.101) < 4 * (0.09 / n).squareRoot())
    // Half, and the last sentences of all documents.
    let unrelated = Double(randomNext) / Double(8 * samples.count)
    #expect((0.5...0.7).contains(unrelated))
  }

  @Test func evaluationHidesTheSameWords() throws {
    let lines = SyntheticGrammar.small.lines(documents: 6, seed: 4)
    let vocabulary = WordPiece(learning: 60, from: ["a": 1, "b": 2])
    let documents = try Documents(text(lines))
    let samples = PretrainingSamples(
      documents, vocabulary: vocabulary, longest: 20, padsToLongest: true, isFixed: true)
    var (first, second) = (SeededRandom(1), SeededRandom(2))
    let batch = try samples.batch([0, 3, 5], epoch: 0, random: &first)
    #expect(try samples.batch([0, 3, 5], epoch: 4, random: &second) == batch)
    #expect(batch.inputs[0].shape == [3, 20])
    #expect(batch.inputs[3].shape == batch.targets[0].shape)
  }

  @Test func wordsOfTheGrammarAgree() {
    for line in SyntheticGrammar.small.lines(documents: 20, seed: 1) where !line.isEmpty {
      let words = line.split(separator: " ")
      #expect(words.count == 7 && words[6] == ".")
      for (determiner, noun) in [(words[0], words[2]), (words[4], words[5])] {
        let isPlural = determiner == "some" || determiner == "these"
        #expect(isPlural == noun.hasSuffix("s"))
      }
      #expect(words[3].hasSuffix("t") != words[2].hasSuffix("s"))
    }
  }
}

extension Computing {
  @Suite struct NaturalLanguageProcessingTests {
    @Test func hasThePublishedParameters() {
      // By its parts; the whole would take 0.5 GB.
      for (shape, encoder, total, all) in [
        (BERT.Shape.base(), 7_087_872, 109_482_240, 110_106_428),
        (BERT.Shape.large(), 12_596_224, 335_141_888, 336_226_108),
      ] {
        let layer = TransformerEncoderLayer(shape.stack).namedParameters().reduce(0) { $0 + $1.parameter.count }
        #expect(layer == encoder)
        let width = shape.stack.width
        let embeddings = (30_522 + 512 + 2) * width + 2 * width
        let body = embeddings + shape.stack.layers * layer + width * width + width
        let heads = width * width + 3 * width + 30_522 + 2 * width + 2
        #expect(body == total)
        #expect(body + heads == all)
      }
      // The parts are those of the model.
      let small = BERT(.small(vocabulary: 100, positions: 28))
      let width = 64
      let layer = TransformerEncoderLayer(BERT.Shape.small(vocabulary: 100, positions: 28).stack)
        .namedParameters().reduce(0) { $0 + $1.parameter.count }
      let embeddings = (100 + 28 + 2) * width + 2 * width
      let heads = 2 * (width * width + width) + 2 * width + 100 + 2 * width + 2
      #expect(small.parameterCount == embeddings + 2 * layer + heads)
    }

    @Test func flopsAreThoseOfTheFormula() throws {
      let shape = BERT.Shape.small(vocabulary: 100, positions: 28)
      let model = BERT(shape)
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      withoutGradients {
        let states = model(
          Tensor.random(in: 0..<100, [1, 28]), segments: Tensor.zeros([1, 28], type: .int64),
          lengths: Tensor(integers: [28], shape: [1]))
        _ = model.guesses(states, at: Tensor.range(4))
        _ = model.relationship(states)
      }
      func total(_ d: Int, _ f: Int, _ layers: Int, _ l: Int, _ masked: Int, _ v: Int) -> Int {
        let layer = 4 * l * d * d + 2 * l * l * d + 2 * l * d * f
        let heads = d * d + 2 * d + masked * (d * d + d * v)
        return 2 * (layers * layer + heads)
      }
      let small = Double(total(64, 256, 2, 28, 4, 100))
      #expect((Trace.sums - start).counterFLOPs == small)
      #expect(NaturalLanguageProcessing.info.small.forwardFLOPs == small)
      #expect(
        NaturalLanguageProcessing.info.paper.forwardFLOPs == Double(total(768, 3072, 12, 512, 76, 30_522)))
    }

    @Test func learnsAndGuesses() throws {
      Torch.seed(1)
      let benchmark = try NaturalLanguageProcessing(
        BenchmarkConfiguration(scale: .small, batchSize: 32, maximumEpochs: 20))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == NaturalLanguageProcessing.info.small.parameters)
      stage.model.train()
      var losses: [Double] = []
      let batches = stage.loader.batches(epoch: 0, limit: 40)
      while let batch = try batches.nextBatch()?.tensors() {
        let factor = stage.schedule.factor(step: losses.count, stepsPerEpoch: 70, total: 700)
        losses.append(try stage.step(TrainingStep(batch, rateFactor: factor)))
      }
      #expect(lossesFall(losses, by: 0.95))
      stage.model.train(false)
      #expect((0.01...1).contains(try withoutGradients { try stage.evaluate() }))
      let task = try benchmark.inference()
      task.model.train(false)
      let batch = try #require(try task.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      #expect(task.answer(batch).shape == batch.targets[0].shape)
    }

    @Test func readsDocuments() throws {
      let directory = try TemporaryDirectory()
      expectDataError(mentions: ["train.txt with val.txt", "found nothing"]) {
        _ = try NaturalLanguageProcessing(
          BenchmarkConfiguration(scale: .small, batchSize: 4, dataDirectory: directory.path, maximumEpochs: 1))
      }
      try directory.write(
        "train.txt", "The cat sat.\nIt slept all day.\n\nAnother text begins.\nIt ends here.\nReally.\n")
      try directory.write("val.txt", "A cat slept.\n\nIt sat.\n")
      let benchmark = try NaturalLanguageProcessing(
        BenchmarkConfiguration(scale: .small, batchSize: 4, dataDirectory: directory.path, maximumEpochs: 1))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      let batch = try #require(try stage.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(try stage.step(TrainingStep(batch)).isFinite)
      stage.model.train(false)
      #expect((0...1).contains(try withoutGradients { try stage.evaluate() }))
    }
  }
}

// Is speech read, transformed, recognized and measured as the formats and definitions say?
import CSndfile
import Foundation
import Testing

@testable import Workloads

/// What the tests of benchmarks over sequences share.
enum SequenceBenchmarks {
  /// Parameters below a part of a model.
  static func parameters(_ model: Module, below prefix: String) -> Int {
    model.namedParameters().filter { $0.path.hasPrefix(prefix + ".") }.reduce(0) { $0 + $1.parameter.count }
  }

  static func configuration(
    _ scale: Scale, batch: Int, data: String? = nil, seed: UInt64 = 1
  ) -> BenchmarkConfiguration {
    BenchmarkConfiguration(scale: scale, seed: seed, batchSize: batch, dataDirectory: data, maximumEpochs: 4)
  }

  /// Trains for some steps and gives the losses.
  static func train(_ stage: TrainingStage, steps: Int, epoch: Int = 0) throws -> [Double] {
    stage.model.train()
    var losses: [Double] = []
    let batches = stage.loader.batches(epoch: epoch, limit: steps)
    while let batch = try batches.nextBatch()?.tensors() { losses.append(try stage.step(TrainingStep(batch))) }
    return losses
  }

  static func evaluate(_ stage: TrainingStage) throws -> Double {
    stage.model.train(false)
    return try withoutGradients { try stage.evaluate() }
  }

  /// The first answer of an inference task.
  static func answer(_ task: InferenceTask) throws -> Tensor {
    task.model.train(false)
    let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
    return withoutGradients { task.answer(batch) }
  }

  /// FLOPs by flop_counter's rules.
  static func flops(_ body: () -> Tensor) throws -> Double {
    try Trace.openPrivately()
    defer { Trace.close() }
    let start = Trace.sums
    withoutGradients { _ = body() }
    return (Trace.sums - start).counterFLOPs
  }
}

extension Fixture {
  /// Encodes one channel by libsndfile.
  @discardableResult
  static func audio(
    _ samples: [Int16], to path: String, rate: Int = 16_000, format: Int = SF_FORMAT_FLAC, channels: Int = 1
  ) throws -> String {
    try FileManager.default.createDirectory(
      at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
    var info = SF_INFO()
    info.samplerate = Int32(rate)
    info.channels = Int32(channels)
    info.format = Int32(format | SF_FORMAT_PCM_16)
    let file = try #require(sf_open(path, Int32(SFM_WRITE), &info))
    defer { sf_close(file) }
    try #require(sf_write_short(file, samples, sf_count_t(samples.count)) == sf_count_t(samples.count))
    return path
  }
}

struct AudioTests {
  /// A sawtooth.
  private let samples = (0..<24_000).map { Int16(($0 * 37) % 4001 - 2000) }

  @Test(arguments: [(SF_FORMAT_FLAC, "flac"), (SF_FORMAT_WAV, "wav")])
  func readsBothFormats(format: Int, ending: String) throws {
    let directory = try TemporaryDirectory()
    let path = try Fixture.audio(samples, to: directory.path + "/a." + ending, format: format)
    let file = try AudioFile(path: path)
    #expect(file.sampleRate == 16_000 && file.frameCount == 24_000 && file.duration == 1.5)
    #expect(try file.samples() == samples)
  }

  @Test func tellsDamagedFiles() throws {
    let directory = try TemporaryDirectory()
    for (format, ending) in [(SF_FORMAT_FLAC, "flac"), (SF_FORMAT_WAV, "wav")] {
      let path = try Fixture.audio(samples, to: directory.path + "/whole." + ending, format: format)
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      let cut = try directory.write("cut." + ending, Array(bytes[..<(bytes.count / 2)]))
      expectDataError(mentions: [cut, "damaged"]) { _ = try AudioFile(path: cut).samples() }
    }
    let text = try directory.write("text.flac", "This is no music.")
    expectDataError(mentions: [text, "libsndfile"]) { _ = try AudioFile(path: text) }
    expectDataError(mentions: ["none.flac", "no such file"]) {
      _ = try AudioFile(path: directory.path + "/none.flac")
    }
    let stereo = try Fixture.audio(samples, to: directory.path + "/stereo.wav", format: SF_FORMAT_WAV, channels: 2)
    expectDataError(mentions: [stereo, "2 channels"]) { _ = try AudioFile(path: stereo) }
  }
}

struct SpectrogramTests {
  @Test(arguments: [2, 4, 6, 10, 16, 30, 160, 320, 14])
  func magnitudesEqualTheDefinition(length: Int) {
    let transform = RealFourierTransform(length: length)
    var workspace = RealFourierTransform.Workspace(transform)
    let signal = (0..<length).map { Float(($0 * 7919) % 31) / 31 - 0.4 }
    var result = [Float](repeating: 0, count: transform.binCount)
    signal.withUnsafeBufferPointer { signal in
      result.withUnsafeMutableBufferPointer { transform.magnitudes(of: signal, into: $0, &workspace) }
    }
    for (k, magnitude) in result.enumerated() {
      var (real, imaginary) = (0.0, 0.0)
      for (n, value) in signal.enumerated() {
        real += Double(value) * cos(2 * .pi * Double(k * n) / Double(length))
        imaginary -= Double(value) * sin(2 * .pi * Double(k * n) / Double(length))
      }
      #expect(abs(Double(magnitude) - (real * real + imaginary * imaginary).squareRoot()) < 1e-4)
    }
  }

  @Test func equalsThatOfPyTorch() {
    // Printed by Benchmarks/reference/sequences.py.
    let expected: [Float] = [2.96991, 1.04896, -0.95849, -0.92589, -0.88503, -0.02787]
    let samples = (0..<100).map { Int16(($0 * 7919) % 2003 - 1001) }
    let spectrogram = Spectrogram(window: 16, hop: 8)
    let frames = spectrogram.frameCount(samples: 100)
    #expect(frames == 13 && spectrogram.binCount == 9)
    var values = [Float](repeating: 0, count: 9 * 13)
    values.withUnsafeMutableBufferPointer { spectrogram.write(samples, into: $0, stride: 13) }
    for (place, value) in expected.enumerated() { #expect(abs(values[23 * place] - value) < 1e-3) }
    // 20 ms of 16 kHz every 10 ms.
    #expect(Spectrogram(sampleRate: 16_000).binCount == 161)
    #expect(Spectrogram(sampleRate: 16_000).frameCount(samples: 160_000) == 1001)
  }

  @Test func silenceIsZero() {
    let spectrogram = Spectrogram(window: 16, hop: 8)
    var values = [Float](repeating: 1, count: 9 * 6)
    values.withUnsafeMutableBufferPointer {
      spectrogram.write([Int16](repeating: 0, count: 40), into: $0, stride: 6)
    }
    #expect(values.allSatisfy { $0 == 0 })
  }
}

struct RecognitionMetricTests {
  @Test func distancesAreThoseWorkedOutByHand() {
    #expect(editDistance(Array("kitten"), Array("sitting")) == 3)
    #expect(editDistance(Array("flaw"), Array("lawn")) == 2)
    #expect(editDistance([1, 2, 3], [1, 2, 3]) == 0)
    #expect(editDistance([], [1, 2]) == 2 && editDistance([1, 2], []) == 2)
  }

  @Test func distancesEqualTheRecursiveDefinition() {
    func naive(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
      guard let x = a.first, let y = b.first else { return max(a.count, b.count) }
      if x == y { return naive(a.dropFirst(), b.dropFirst()) }
      return 1 + min(naive(a.dropFirst(), b), naive(a, b.dropFirst()), naive(a.dropFirst(), b.dropFirst()))
    }
    var random = SeededRandom(4)
    for _ in 0..<100 {
      let (a, b) = (
        (0..<random.integer(below: 6)).map { _ in random.integer(below: 3) },
        (0..<random.integer(below: 6)).map { _ in random.integer(below: 3) }
      )
      #expect(editDistance(a, b) == naive(a[...], b[...]))
    }
  }

  @Test func ratesAreOverAllWords() {
    var errors = RecognitionErrors()
    #expect(errors.wordErrorRate.isNaN)
    errors.add(reference: "THE CAT SAT ON THE MAT", hypothesis: "THE CAT SIT THE MAT")
    // One substitution and one deletion of six words.
    #expect(abs(errors.wordErrorRate - 2.0 / 6) < 1e-12)
    errors.add(reference: "NO", hypothesis: "NO NO NO")
    #expect(abs(errors.wordErrorRate - 4.0 / 7) < 1e-12)
    // SIT for SAT, no ON; NONO more: 1 + 2 + 4 of 17 + 2 letters.
    #expect(abs(errors.characterErrorRate - 7.0 / 19) < 1e-12)
  }

  @Test func decodingCollapsesRepeatsThenDropsBlanks() {
    // C C _ A A _ A T T, space, blank, apostrophe, S.
    let frames = [4, 4, 0, 2, 2, 0, 2, 21, 21, 28, 0, 1, 20]
    #expect(SpeechAlphabet.decode(frames) == "CAAT 'S")
    #expect(SpeechAlphabet.decode([0, 0]) == "")
    #expect(SpeechAlphabet.encode("AZ' ") == [2, 27, 1, 28])
    #expect(SpeechAlphabet.count == 29)
  }
}

struct LibriSpeechTests {
  /// Two speakers with two utterances of 1.5 s each, and one of 0.5 s, which is too short for training.
  static func write(to directory: TemporaryDirectory, rate: Int = 16_000) throws {
    for (split, speakers) in [("train-clean-100", ["19", "26"]), ("dev-clean", ["84"])] {
      for speaker in speakers {
        let folder = "\(split)/\(speaker)/198"
        for (number, count) in [24_000, 24_000, 8000].enumerated() {
          let samples = (0..<count).map { Int16(($0 * (number + 3)) % 801 - 400) }
          // One of the three has been converted.
          let isWave = number == 1
          try Fixture.audio(
            samples, to: "\(directory.path)/\(folder)/\(speaker)-198-000\(number).\(isWave ? "wav" : "flac")",
            rate: rate,
            format: isWave ? SF_FORMAT_WAV : SF_FORMAT_FLAC)
        }
        try directory.write(
          "\(folder)/\(speaker)-198.trans.txt",
          "\(speaker)-198-0000 NORTHANGER ABBEY\n\(speaker)-198-0001 IT'S A TEST\n\(speaker)-198-0002 A\n")
      }
    }
  }

  @Test func readsTheLayout() throws {
    let directory = try TemporaryDirectory()
    try Self.write(to: directory)
    let train = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 16_000)
    // Short utterances are not for training.
    #expect(train.count == 4)
    #expect((0..<4).map(train.transcript) == ["NORTHANGER ABBEY", "IT'S A TEST", "NORTHANGER ABBEY", "IT'S A TEST"])
    #expect(train.length(0) == 24_000)
    #expect(try train.samples(1) == (0..<24_000).map { Int16(($0 * 4) % 801 - 400) })
    #expect(try LibriSpeech(directory: directory.path, split: .validation, sampleRate: 16_000).count == 3)
    expectDataError(mentions: ["19-198-0000.flac", "16000 samples a second", "8000"]) {
      _ = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 8000)
    }
  }

  @Test func tellsWhatIsWrong() throws {
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["train-clean-100", "found nothing"]) {
      _ = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 16_000)
    }
    try directory.makeFolder("train-clean-100")
    expectDataError(mentions: ["train-clean-100", "no sample"]) {
      _ = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 16_000)
    }
    expectDataError(mentions: ["dev-clean or test-clean"]) {
      _ = try LibriSpeech(directory: directory.path, split: .validation, sampleRate: 16_000)
    }
    try directory.makeFolder("train-clean-100/19/198")
    expectDataError(mentions: ["19-198.trans.txt", "no such file"]) {
      _ = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 16_000)
    }
    for line in ["19-198-0000", "19-198-0000 lower case", "19-198-0000 SEE 4", "../../x HELLO"] {
      try directory.write("train-clean-100/19/198/19-198.trans.txt", "19-198-0009 GOOD\n" + line + "\n")
      expectDataError(mentions: ["19-198.trans.txt", "line 2", "A to Z"]) {
        _ = try LibriSpeech.transcripts(directory.path + "/train-clean-100/19/198/19-198.trans.txt")
      }
    }
    try directory.write("train-clean-100/19/198/19-198.trans.txt", "19-198-0000 HELLO\n")
    expectDataError(mentions: ["19-198-0000.flac", "trans.txt names it"]) {
      _ = try LibriSpeech(directory: directory.path, split: .train, sampleRate: 16_000)
    }
  }
}

struct SyntheticSpeechTests {
  @Test func isTheSameEverywhere() {
    let speech = SyntheticSpeech(.small, count: 20, seed: 1)
    #expect(speech.origin.hasPrefix("synthetic: "))
    for index in 0..<20 {
      let (samples, text) = (speech.samples(index), speech.transcript(index))
      #expect(samples.count == speech.length(index))
      #expect(text.utf8.allSatisfy { $0 == 0x20 || (0x41...0x4C).contains($0) })
      #expect((1...3).contains(text.split(separator: " ").count))
      #expect(SyntheticSpeech(.small, count: 20, seed: 1).samples(index) == samples)
    }
    #expect(SyntheticSpeech(.small, count: 2, seed: 2).samples(0) != speech.samples(0))
    let long = SyntheticSpeech(.librispeech, count: 6, seed: 1)
    #expect((0..<6).allSatisfy { (7 * 16_000...15 * 16_000).contains(long.length($0)) })
  }

  @Test func lettersHaveTheirPitch() {
    // Without noise, the strongest frequency of a letter's middle is its own.
    var kind = SyntheticSpeech.Kind.small
    kind.noise = 0
    let speech = SyntheticSpeech(kind, count: 5, seed: 3)
    for index in 0..<5 {
      let letter = speech.transcript(index).utf8.first.map { Int($0) - 0x41 } ?? 0
      // 20 ms of silence, then the letter of at least 60 ms.
      let part = speech.samples(index)[(160 + 160)...].prefix(160).map { Float($0) }
      let transform = RealFourierTransform(length: 160)
      var workspace = RealFourierTransform.Workspace(transform)
      var result = [Float](repeating: 0, count: 81)
      part.withUnsafeBufferPointer { signal in
        result.withUnsafeMutableBufferPointer { transform.magnitudes(of: signal, into: $0, &workspace) }
      }
      let strongest = result.indices.max { result[$0] < result[$1] } ?? 0
      #expect(abs(Double(strongest) * 50 - (400 + 150 * Double(letter))) <= 50)
    }
  }
}

extension Computing {
  @Suite struct SpeechRecognitionTests {
    @Test func paperModelHasThePublishedParameters() throws {
      let model = DeepSpeech2(.paper)
      #expect(model.parameterCount == 41_187_968 && model.parameterCount == SpeechRecognition.info.paper.parameters)
      let ledger = [
        ("conv.0.conv", 14_464), ("conv.1.conv", 236_576), ("rnns.0.rnn", 10_147_200), ("rnns.1.rnn", 7_689_600),
        ("rnns.4.rnn", 7_689_600), ("rnns.4.batch_norm", 1600), ("bn", 1600), ("fc", 23_200),
      ]
      for (part, count) in ledger {
        #expect(SequenceBenchmarks.parameters(model, below: part) == count, "\(part)")
      }
      func expected(_ frames: Double) -> Double {
        let convolutions = frames * (81 * 32 * 451 + 41 * 32 * 32 * 231)
        // The first state of a direction is zero and not multiplied.
        let recurrent = 2 * 3 * 800 * (frames * (1312 + 4 * 800) + (frames - 1) * 5 * 800)
        return 2 * (convolutions + recurrent + frames * 800 * 29)
      }
      // A tenth of a second: 6 of 11 frames come out; of ten seconds 501 of 1001.
      model.train(false)
      let flops = try SequenceBenchmarks.flops { model(Tensor.randomNormal([1, 1, 161, 11]), lengths: [6]) }
      #expect(flops == expected(6))
      #expect(SpeechRecognition.info.paper.forwardFLOPs == expected(501))
      #expect(abs(expected(501) / (SpeechRecognition.info.published?.forwardFLOPs ?? 0) - 1) < 0.01)
    }

    @Test func paddingChangesNothing() {
      let model = DeepSpeech2(.small)
      model.train(false)
      Torch.seed(1)
      let short = Tensor.randomNormal([1, 1, 81, 15])
      let both = Tensor.concatenated([Tensor.randomNormal([1, 1, 81, 21]), short.padded([0, 6])])
      let (alone, beside) = withoutGradients { (model(short, lengths: [8]), model(both, lengths: [11, 8])) }
      #expect(beside.shape == [11, 2, 29])
      #expect((beside.slice(0, 0..<8).select(1, 1) - alone.select(1, 0)).abs().max().item < 1e-5)
    }

    @Test func batchesComeFromShortToLongThenMixed() throws {
      let speech = SyntheticSpeech(.small, count: 50, seed: 1)
      let batches = SpeechBatches(speech, batchSize: 8, isShuffled: true, seed: 3)
      for epoch in 0..<3 {
        let bins = (0..<7).map { Array(batches.bin($0, epoch: epoch)) }
        #expect(Set(bins.joined()) == Set(0..<50))
        #expect(bins.contains { $0.count == 2 })
        let shortest = bins.map { speech.length($0[0]) }
        #expect((shortest == shortest.sorted()) == (epoch == 0))
      }
      var random = SeededRandom(1)
      let batch = try batches.batch(Array(0..<8), epoch: 0, random: &random)
      #expect(batch.inputs[0].shape[..<3] == [8, 1, 81])
      guard case .integers(let frames) = batch.inputs[1].storage else {
        Issue.record("wrong type")
        return
      }
      #expect(frames == frames.sorted(by: >) && frames[0] == batch.inputs[0].shape[3])
    }

    @Test func learnsAndRecognizes() throws {
      Torch.seed(1)
      let benchmark = try SpeechRecognition(SequenceBenchmarks.configuration(.small, batch: 8))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == SpeechRecognition.info.small.parameters)
      let losses = try SequenceBenchmarks.train(stage, steps: 12)
      // Utterances become longer from step to step, the loss of a frame smaller.
      #expect(losses.allSatisfy(\.isFinite) && losses[11] < losses[0])
      let answer = try SequenceBenchmarks.answer(benchmark.inference())
      #expect(answer.rank == 2 && answer.shape[1] == 8)
    }

    @Test func readsLibriSpeech() throws {
      let directory = try TemporaryDirectory()
      try LibriSpeechTests.write(to: directory)
      Torch.seed(1)
      let benchmark = try SpeechRecognition(
        SequenceBenchmarks.configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription == "\(directory.path) (4 for training, 3 for validation)")
      let stage = try benchmark.stage("")
      #expect(try SequenceBenchmarks.train(stage, steps: 1).allSatisfy(\.isFinite))
      #expect(try SequenceBenchmarks.evaluate(stage) >= 0)
      #expect(stage.measures().map(\.name) == ["CER"])
    }

    @Test func packedSequencesEqualEachAlone() {
      let lstm = LSTM(3, 4, isBidirectional: true)
      let x = Tensor.randomNormal([2, 5, 3])
      withoutGradients {
        let (packed, state) = lstm(x.packed(lengths: [5, 2], isBatchFirst: true))
        let outputs = packed.padded(steps: 6, isBatchFirst: true)
        #expect(outputs.shape == [2, 6, 8] && packed.data.shape == [7, 8])
        let (alone, last) = lstm(x.slice(0, 1..<2).slice(1, 0..<2), nil)
        #expect((outputs.select(0, 1).slice(0, 0..<2) - alone.select(0, 0)).abs().max().item < 1e-6)
        #expect(outputs.slice(1, 2..<6).select(0, 1).abs().max().item == 0)
        #expect((state.c.select(1, 1) - last.c.select(1, 0)).abs().max().item < 1e-6)
      }
    }

    @Test(arguments: [(7, 3, 5, 11), (1, 2, 3, 4), (12, 4, 6, 48)])
    func scanEqualsLibtorchsLayerForwardAndBack(steps: Int, n: Int, inputs: Int, hidden: Int) {
      Torch.seed(6)
      let gru = GRU(inputs, hidden, isBidirectional: true, isBatchFirst: false)
      let values = Tensor.randomNormal([steps, n, inputs])
      let weights = Tensor.randomNormal([steps, n, 2 * hidden])
      func gradients(_ layer: (Tensor) -> Tensor) -> [Tensor] {
        let x = Parameter(values.clone())
        let y = layer(x)
        (y * weights).sum().backward()
        let result = [y.detached()] + ([x] + gru.parameters()).map { $0.gradient?.clone() ?? .zeros([1]) }
        for parameter in gru.parameters() { parameter.gradient?.zero() }
        return result
      }
      for (ours, theirs) in zip(gradients { gru.scanned($0) }, gradients { gru($0) }) {
        #expect((ours - theirs).abs().max().item < 1e-5 * max(1, theirs.abs().max().item))
      }
      // Full lengths change nothing.
      let lengths = [Int](repeating: steps, count: n)
      #expect((gru.scanned(values, lengths: lengths) - gru.scanned(values)).abs().max().item == 0)
    }

    @Test func scanStopsAtEachSequencesEnd() {
      Torch.seed(7)
      let gru = GRU(3, 4, isBidirectional: true, isBatchFirst: false)
      let x = Parameter(Tensor.randomNormal([5, 2, 3]))
      let weights = Tensor.randomNormal([5, 2, 8])
      let both = gru.scanned(x, lengths: [2, 5])
      #expect(both.slice(0, 2..<5).select(1, 0).abs().max().item == 0)
      (both * weights).sum().backward()
      let together = gru.parameters().map { $0.gradient?.clone() ?? .zeros([1]) }
      for parameter in gru.parameters() { parameter.gradient?.zero() }
      // Libtorch's layer on each sequence alone; the gradients add up.
      let alone = Parameter(x.detached().clone())
      for (sequence, length) in [2, 5].enumerated() {
        let part = alone.slice(0, 0..<length).slice(1, sequence..<sequence + 1)
        let y = gru(part)
        #expect((y.select(1, 0) - both.slice(0, 0..<length).select(1, sequence)).abs().max().item < 1e-6)
        (y * weights.slice(0, 0..<length).slice(1, sequence..<sequence + 1)).sum().backward()
      }
      for (ours, parameter) in zip(together, gru.parameters()) {
        #expect((ours - (parameter.gradient ?? .zeros([1]))).abs().max().item < 1e-4)
      }
      let (ours, theirs) = (x.gradient ?? .zeros([1]), alone.gradient ?? .zeros([1]))
      #expect((ours - theirs).abs().max().item < 1e-5)
      #expect(ours.slice(0, 2..<5).select(1, 0).abs().max().item == 0)
    }

    @Test func scanIsCountedByItsProducts() throws {
      let (steps, n, inputs, hidden) = (6.0, 2.0, 5.0, 8.0)
      let gru = GRU(5, 8, isBatchFirst: false)
      // The first step's state is zero: nothing to multiply.
      let flops = try SequenceBenchmarks.flops { gru.scanned(Tensor.randomNormal([6, 2, 5])) }
      #expect(flops == 2 * n * 3 * hidden * (steps * inputs + (steps - 1) * hidden))
    }
  }
}

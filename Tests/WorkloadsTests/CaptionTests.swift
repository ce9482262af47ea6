// Are images with captions read, described and measured as the format and the definitions say?
import Foundation
import Testing

@testable import Workloads

struct PerplexityTests {
  @Test func isTheNumberOfEquallyLikelyWords() {
    var uniform = Perplexity()
    #expect(uniform.value.isNaN)
    // Ten words, each one of eight.
    uniform.add(crossEntropy: 10 * log(8), words: 10)
    #expect(abs(uniform.value - 8) < 1e-12)
    // Words count alike, not batches: e^((10 ln 8 + 5 ln 2) / 15) = 2^(35/15).
    uniform.add(crossEntropy: 5 * log(2), words: 5)
    #expect(abs(uniform.value - pow(2, 35.0 / 15)) < 1e-12)
    #expect(uniform.words == 15)
  }
}

struct WordVocabularyTests {
  @Test func wordsAreSplitAndCounted() {
    #expect(WordVocabulary.tokens("A man's hat, well-worn.") == ["a", "man's", "hat", ",", "well-worn", "."])
    #expect(WordVocabulary.tokens("  ") == [])
    let vocabulary = WordVocabulary.frequent(["a": 9, "cat": 4, "dog": 4, "emu": 3], atLeast: 4)
    #expect(vocabulary.words == ["<pad>", "<start>", "<end>", "<unk>", "a", "cat", "dog"])
    #expect(vocabulary.number(of: "dog") == 6 && vocabulary.number(of: "emu") == WordVocabulary.unknown)
    #expect(WordVocabulary(["x", "x", "<pad>", "y"]).count == 6)
  }
}

struct CocoCaptionTests {
  private static let captions = """
    {"info": {"year": 2014}, "images": [
      {"id": 7, "file_name": "COCO_7.jpg", "height": 60, "width": 80, "license": 1},
      {"id": 9, "file_name": "COCO_9.jpg", "height": 50, "width": 40}],
     "annotations": [
      {"image_id": 7, "id": 1, "caption": "A cat on a mat."}, {"image_id": 9, "id": 2, "caption": "A cat, a mat."},
      {"image_id": 7, "id": 3, "caption": "A cat on a mat."}, {"image_id": 7, "id": 4, "caption": "A cat on the mat."}
     ]}
    """

  static func write(to directory: TemporaryDirectory) throws {
    for split in ["train", "val"] {
      try directory.write("annotations/captions_\(split)2014.json", captions)
      try directory.write("\(split)2014/COCO_7.jpg", Fixture.jpeg(Fixture.gradient(80, 60), 80, 60))
      try directory.write("\(split)2014/COCO_9.jpg", Fixture.jpeg(Fixture.gradient(40, 50), 40, 50))
    }
  }

  @Test func readsCaptionsAndImages() throws {
    let directory = try TemporaryDirectory()
    try Self.write(to: directory)
    let train = try CocoCaptions(directory: directory.path, split: .train, side: 24, seed: 1)
    #expect(train.count == 4 && train.shape == [3, 24, 24])
    // Four times or more: a (7), the full stop, cat and mat (4); "on" only three times.
    #expect(train.vocabulary.words[4...] == ["a", ".", "cat", "mat"])
    #expect(train.caption(0) == [4, 6, WordVocabulary.unknown, 4, 7, 5])
    #expect((0..<4).map(train.image) == [0, 1, 0, 0])
    let validation = try CocoCaptions(
      directory: directory.path, split: .validation, side: 24, vocabulary: train.vocabulary, seed: 1)
    func pixels(_ source: CocoCaptions, _ index: Int, epoch: Int) throws -> [Float] {
      var planes = [Float](repeating: 0, count: 3 * 24 * 24)
      try planes.withUnsafeMutableBufferPointer { try source.write(index, epoch: epoch, into: $0) }
      return planes
    }
    // Validation images are the same in every epoch, training images are cut anew.
    #expect(try pixels(validation, 0, epoch: 0) == pixels(validation, 3, epoch: 1))
    #expect(try pixels(train, 0, epoch: 0) != pixels(train, 0, epoch: 1))
    #expect(try pixels(train, 0, epoch: 1) == pixels(train, 0, epoch: 1))
    // The middle pixel: red 60 + 120 / 2 in both.
    let middle = try pixels(validation, 0, epoch: 0)[12 * 24 + 12]
    #expect(abs((middle * 0.229 + 0.485) * 255 - 120) < 6)
  }

  @Test func tellsWhatIsWrong() throws {
    let directory = try TemporaryDirectory()
    func open() throws { _ = try CocoCaptions(directory: directory.path, split: .train, side: 24, seed: 1) }
    expectDataError(mentions: ["captions_train2014.json", "found nothing"]) { try open() }
    try directory.write("annotations/captions_train2014.json", Self.captions)
    expectDataError(mentions: ["the folder train2014"]) { try open() }
    try directory.makeFolder("train2014")
    let cases: [(String, [String])] = [
      (String(Self.captions.dropLast(30)), ["damaged"]),
      (Self.captions.replacingOccurrences(of: "\"id\": 2,", with: ""), ["annotations[1] has no \"id\""]),
      (Self.captions.replacingOccurrences(of: "\"id\": 2,", with: "\"id\": \"2\","), ["annotations[1].id"]),
      (Self.captions.replacingOccurrences(of: "\"image_id\": 9", with: "\"image_id\": 8"), ["names image 8"]),
      (Self.captions.replacingOccurrences(of: "\"id\": 9", with: "\"id\": 7"), ["image 7 is there twice"]),
      (Self.captions.replacingOccurrences(of: "COCO_9", with: "../COCO_9"), ["another folder"]),
      ("{\"images\": [], \"annotations\": []}", ["no sample"]),
      ("", ["damaged"]),
    ]
    for (text, mentions) in cases {
      try directory.write("annotations/captions_train2014.json", text)
      expectDataError(mentions: ["captions_train2014.json"] + mentions) { try open() }
    }
    try directory.write("annotations/captions_train2014.json", Self.captions)
    let source = try CocoCaptions(directory: directory.path, split: .train, side: 24, seed: 1)
    expectDataError(mentions: ["COCO_9.jpg"]) {
      var planes = [Float](repeating: 0, count: 3 * 24 * 24)
      try planes.withUnsafeMutableBufferPointer { try source.write(1, epoch: 0, into: $0) }
    }
  }
}

struct SyntheticDrawingTests {
  @Test func captionsSayWhatIsDrawn() throws {
    let scenes = SyntheticDrawings(imageCount: 30, side: 32, seed: 1)
    #expect(scenes.origin.hasPrefix("synthetic: ") && scenes.count == 60 && scenes.vocabulary.count == 19)
    for image in 0..<30 {
      let (things, isVertical) = scenes.scene(image)
      #expect(isVertical ? things[0].y < things[1].y : things[0].x < things[1].x)
      let said = scenes.caption(2 * image).map { scenes.vocabulary.words[$0] }
      #expect(said.count == 9 && said[0] == "a" && said[5] == "a")
      #expect(said[3] == SyntheticDrawings.things[things[0].thing] && said[6] == SyntheticDrawings.sizes[things[1].size])
      #expect(["above", "left"].contains(said[4]) && (said[4] == "above") == isVertical)
      let other = scenes.caption(2 * image + 1).map { scenes.vocabulary.words[$0] }
      #expect(Array(other[5...]) == Array(said[..<4]) && ["below", "right"].contains(other[4]))
      // Both captions are of the same image, and the first thing's colour is at its centre.
      var planes = [Float](repeating: 0, count: 3 * 32 * 32)
      planes.withUnsafeMutableBufferPointer { scenes.write(2 * image, epoch: 0, into: $0) }
      var again = planes
      again.withUnsafeMutableBufferPointer { scenes.write(2 * image + 1, epoch: 5, into: $0) }
      #expect(planes == again)
    }
    #expect(SyntheticDrawings(imageCount: 1, side: 8, words: 50, seed: 1).vocabulary.count == 50)
  }
}

extension Computing {
  @Suite struct ImageToTextTests {
    @Test func inceptionHasThePublishedParameters() throws {
      let encoder = InceptionV3()
      #expect(encoder.parameterCount == 23_834_568)
      let ledger = [
        ("Conv2d_1a_3x3", 928), ("Mixed_5b", 255_904), ("Mixed_6a", 1_153_280), ("Mixed_7c", 6_076_800),
        ("fc", 2_049_000),
      ]
      for (part, count) in ledger {
        #expect(SequenceBenchmarks.parameters(encoder, below: part) == count, "\(part)")
      }
      #expect(encoder.namedParameters().contains { $0.path == "Mixed_6e.branch7x7dbl_5.bn.weight" })
      let model = CaptionGenerator(.paper, encoder: encoder, isFrozen: true, words: ImageToText.paperWords)
      #expect(model.parameterCount == 34_197_925)
      #expect(model.trained.reduce(0) { $0 + $1.count } == 10_363_357)
      for (part, count) in [
        ("linear", 612_651), ("bn", 598), ("embed", 2_977_143), ("lstm", 1_665_024), ("output", 5_107_941),
      ] { #expect(SequenceBenchmarks.parameters(model, below: part) == count, "\(part)") }
      #expect(ImageToText.info.paper.parameters == model.parameterCount)

      // A caption of nine words and its end, at 224 pixels; the encoder alone at 299.
      model.train(false)
      let words = Tensor(integers: Array(4..<13), shape: [1, 9])
      let flops = try SequenceBenchmarks.flops {
        model(Tensor.randomNormal([1, 3, 224, 224]), words: words, lengths: [10])
      }
      #expect(flops == ImageToText.info.paper.forwardFLOPs)
      #expect(abs(flops - (ImageToText.info.published?.forwardFLOPs ?? 0)) < 0.01 * flops)
      let large = try SequenceBenchmarks.flops { encoder(Tensor.randomNormal([1, 3, 299, 299])) }
      #expect(abs(large / 2 - 5.713e9) < 0.001e9)
    }

    @Test func frozenEncoderStaysAsItIs() throws {
      let model = CaptionGenerator(.small, encoder: SmallInception(), isFrozen: true, words: 19)
      model.train()
      let before = model.namedBuffers().filter { $0.path.hasPrefix("encoder.") }.map { $0.buffer.floats() }
      let words = Tensor(integers: [4, 5, 6, 7], shape: [2, 2])
      model(Tensor.randomNormal([2, 3, 32, 32]), words: words, lengths: [3, 3]).sum().backward()
      let after = model.namedBuffers().filter { $0.path.hasPrefix("encoder.") }.map { $0.buffer.floats() }
      #expect(before == after)
      for (path, parameter) in model.namedParameters() {
        #expect((parameter.gradient == nil) == path.hasPrefix("encoder."), "\(path)")
      }
    }

    @Test func batchesAreInTheOrderOfAPackedSequence() throws {
      struct Three: CaptionSource {
        let count = 3
        let shape = [3, 1, 1]
        let origin = "synthetic: three"
        let vocabulary = WordVocabulary(["x"])
        func caption(_ index: Int) -> [Int] { [[4], [5, 6, 7], [8, 9]][index] }
        func image(_ index: Int) -> Int { index }
        func write(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) {
          planes.update(repeating: Float(index))
        }
      }
      var random = SeededRandom(1)
      let batch = try CaptionBatches(source: Three()).batch([0, 1, 2], epoch: 0, random: &random)
      #expect(batch.inputs[0].storage == .floats([1, 1, 1, 2, 2, 2, 0, 0, 0]))
      #expect(batch.inputs[1].storage == .integers([5, 6, 7, 8, 9, 0, 4, 0, 0]))
      #expect(batch.inputs[2].storage == .integers([4, 3, 2]))
      #expect(batch.targets[0].storage == .integers([5, 8, 4, 6, 9, 2, 7, 2, 2]))
    }

    @Test func describingFollowsTheLikeliestWords() {
      // Greedy words, fed back as a caption, are the likeliest at every place.
      Torch.seed(2)
      let model = CaptionGenerator(.small, encoder: SmallInception(), isFrozen: false, words: 19)
      model.train(false)
      let images = Tensor.randomNormal([2, 3, 32, 32])
      withoutGradients {
        let words = model.describe(images, limit: 5)
        #expect(words.shape == [2, 5])
        let logits = model(images, words: words, lengths: [6, 6]).view([6, 2, 19])
        #expect(logits.argmax(2).slice(0, 0..<5).permuted([1, 0]).integers() == words.integers())
      }
    }

    @Test func learnsAndDescribes() throws {
      Torch.seed(1)
      let benchmark = try ImageToText(SequenceBenchmarks.configuration(.small, batch: 32))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == ImageToText.info.small.parameters)
      let losses = try SequenceBenchmarks.train(stage, steps: 30)
      #expect(losses.allSatisfy(\.isFinite) && losses[29] < 0.8 * losses[0])
      #expect(try SequenceBenchmarks.answer(benchmark.inference()).shape == [32, ImageToText.longestCaption])
    }

    @Test func readsCoco() throws {
      let directory = try TemporaryDirectory()
      try CocoCaptionTests.write(to: directory)
      Torch.seed(1)
      let benchmark = try ImageToText(SequenceBenchmarks.configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path) && benchmark.dataDescription.contains("8 words"))
      let stage = try benchmark.stage("")
      #expect(try SequenceBenchmarks.train(stage, steps: 2).allSatisfy(\.isFinite))
      // Better than nothing known: eight words.
      #expect((1...20).contains(try SequenceBenchmarks.evaluate(stage)))
    }
  }
}

// Are images decoded, cut and scaled rightly, and are bad files and folders told apart?
import CTurboJPEG
import Foundation
import Testing

@testable import Workloads

struct ImageDataTests {
  private func decode(_ bytes: [UInt8], minimumScale: Double = 1) throws -> RGBImage {
    let directory = try TemporaryDirectory()
    return try EncodedImage(path: directory.write("image", bytes)).decode(minimumScale: minimumScale)
  }

  private func largestDifference(_ a: [UInt8], _ b: [UInt8]) -> Int {
    zip(a, b).map { abs(Int($0) - Int($1)) }.max() ?? 0
  }

  @Test func decodesBaselineAndProgressiveJPEG() throws {
    let pixels = Fixture.gradient(40, 24)
    for flags in [0, Int32(TJFLAG_PROGRESSIVE)] {
      let image = try decode(Fixture.jpeg(pixels, 40, 24, flags: flags))
      #expect((image.width, image.height) == (40, 24))
      #expect(largestDifference(image.pixels, pixels) <= 6)
    }
  }

  @Test func decodesGreyJPEG() throws {
    let grey = (0..<(16 * 16)).map { UInt8(50 + $0 / 2) }
    let image = try decode(Fixture.jpeg(grey, 16, 16, format: TJPF_GRAY, sampling: TJSAMP_GRAY))
    #expect(largestDifference(image.pixels, grey.flatMap { [$0, $0, $0] }) <= 4)
  }

  @Test func decodesCMYKJPEG() throws {
    // With Adobe's marker, which libjpeg writes, 255 is no ink. Left half: white; right half: cyan ink only.
    let ink = (0..<(16 * 16)).flatMap { pixel -> [UInt8] in pixel % 16 < 8 ? [255, 255, 255, 255] : [0, 255, 255, 255] }
    let image = try decode(Fixture.jpeg(ink, 16, 16, format: TJPF_CMYK))
    #expect(largestDifference(Array(image.pixels[0..<3]), [255, 255, 255]) <= 8)
    #expect(largestDifference(Array(image.pixels[45..<48]), [0, 255, 255]) <= 8)
  }

  @Test func decodesPNG() throws {
    let pixels = Fixture.gradient(13, 7)
    #expect(try decode(Fixture.png(pixels, 13, 7)).pixels == pixels)
    let grey = (0..<35).map { UInt8($0 * 7) }
    #expect(try decode(Fixture.png(grey, 7, 5, channels: 1)).pixels == grey.flatMap { [$0, $0, $0] })
    // The colours stay as stored where the image is transparent.
    var clear: [UInt8] = []
    var opaque: [UInt8] = []
    for red in 0..<9 {
      clear += [UInt8(red * 20), 100, 200, 0]
      opaque += [UInt8(red * 20), 100, 200]
    }
    #expect(try decode(Fixture.png(clear, 3, 3, channels: 4)).pixels == opaque)
  }

  @Test func scalesWhileDecoding() throws {
    let bytes = try Fixture.jpeg(Fixture.gradient(100, 60), 100, 60)
    for (minimum, width, height) in [
      (1.0, 100, 60), (0.51, 100, 60), (0.5, 50, 30), (0.3, 50, 30), (0.2, 25, 15), (0.01, 13, 8),
    ] {
      let image = try decode(bytes, minimumScale: minimum)
      #expect((image.width, image.height) == (width, height))
    }
  }

  @Test func tellsCorruptImages() throws {
    let directory = try TemporaryDirectory()
    let jpeg = try Fixture.jpeg(Fixture.gradient(64, 64), 64, 64)
    let png = try Fixture.png(Fixture.gradient(64, 64), 64, 64)
    var flipped = png
    flipped[png.count / 2] ^= 0xFF
    let cases: [(String, [UInt8], String)] = [
      ("short.JPEG", Array(jpeg[..<(jpeg.count * 2 / 3)]), "remature end"),
      ("header.JPEG", Array(jpeg[..<20]), "cannot decode"),
      ("short.png", Array(png[..<(png.count / 2)]), "cannot decode"),
      ("flipped.png", flipped, "cannot decode"),
      ("empty.jpg", [], "empty"),
      ("text.jpg", Array("hello".utf8), "neither"),
    ]
    for (name, bytes, reason) in cases {
      let path = try directory.write(name, bytes)
      expectDataError(mentions: [path, reason, "remove it"]) { _ = try EncodedImage(path: path).decode() }
    }
    expectDataError(mentions: ["missing.jpg", "cannot read"]) {
      _ = try EncodedImage(path: directory.path + "/missing.jpg")
    }
  }

  // MARK: Resampling

  private func resample(_ image: RGBImage, _ box: PixelBox, side: Int, mirrored: Bool = false) -> [Float] {
    let plain = ChannelStatistics(mean: [0, 0, 0], deviation: [1, 1, 1])
    var result = [Float](repeating: .nan, count: 3 * side * side)
    result.withUnsafeMutableBufferPointer {
      image.write(box, side: side, isMirrored: mirrored, statistics: plain, into: $0)
    }
    return result.map { $0 * 255 }
  }

  /// The definition: every pixel of the box weighted by a triangle around the target's centre, in two dimensions.
  private func naive(_ image: RGBImage, _ box: PixelBox, side: Int) -> [Float] {
    let scale = (box.width / Double(side), box.height / Double(side))
    let support = (max(scale.0, 1), max(scale.1, 1))
    var result: [Float] = []
    for channel in 0..<3 {
      for y in 0..<side {
        for x in 0..<side {
          var (sum, weights) = (0.0, 0.0)
          for row in Int(box.y)..<Int((box.y + box.height).rounded(.up)) {
            for column in Int(box.x)..<Int((box.x + box.width).rounded(.up)) {
              let dx = (Double(column) + 0.5 - (box.x + (Double(x) + 0.5) * scale.0)) / support.0
              let dy = (Double(row) + 0.5 - (box.y + (Double(y) + 0.5) * scale.1)) / support.1
              let weight = max(0, 1 - abs(dx)) * max(0, 1 - abs(dy))
              sum += weight * Double(image.pixels[(row * image.width + column) * 3 + channel])
              weights += weight
            }
          }
          result.append(Float(sum / weights))
        }
      }
    }
    return result
  }

  @Test func resamplingEqualsItsDefinition() {
    var generator = SeededRandom(1)
    for (width, height, side) in [(8, 8, 8), (9, 5, 4), (5, 9, 7), (31, 20, 6), (3, 3, 8), (1, 1, 2)] {
      let image = RGBImage(
        width: width, height: height,
        pixels: (0..<(width * height * 3)).map { _ in UInt8(generator.integer(below: 256)) })
      var boxes = [PixelBox(x: 0, y: 0, width: Double(width), height: Double(height))]
      boxes.append(.random(width: width, height: height, generator: &generator))
      for box in boxes {
        let got = resample(image, box, side: side)
        let expected = naive(image, box, side: side)
        #expect(zip(got, expected).allSatisfy { abs($0 - $1) < 1e-3 }, "\(width)×\(height) \(box) to \(side)")
      }
    }
  }

  @Test func identityAndMirror() {
    let pixels = Fixture.gradient(6, 6)
    let image = RGBImage(width: 6, height: 6, pixels: pixels)
    let box = PixelBox(x: 0, y: 0, width: 6, height: 6)
    let planes = resample(image, box, side: 6)
    let mirrored = resample(image, box, side: 6, mirrored: true)
    for channel in 0..<3 {
      for y in 0..<6 {
        for x in 0..<6 {
          let at = (channel * 6 + y) * 6
          #expect(abs(planes[at + x] - Float(pixels[(y * 6 + x) * 3 + channel])) < 1e-3)
          #expect(abs(mirrored[at + x] - planes[at + 5 - x]) < 1e-4)
        }
      }
    }
  }

  @Test func cropsLieInTheImage() {
    var generator = SeededRandom(2)
    for _ in 0..<2000 {
      let (width, height) = (1 + generator.integer(below: 600), 1 + generator.integer(below: 600))
      let box = PixelBox.random(width: width, height: height, generator: &generator)
      #expect(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0)
      #expect(box.x + box.width <= Double(width) && box.y + box.height <= Double(height))
    }
    #expect(
      PixelBox.centre(width: 512, height: 256, resize: 256, crop: 224)
        == PixelBox(x: 144, y: 16, width: 224, height: 224))
  }

  // MARK: Folders

  private func makeFolder(valName: String = "val") throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let jpeg = try Fixture.jpeg(Fixture.gradient(50, 40), 50, 40)
    let png = try Fixture.png(Fixture.gradient(30, 60), 30, 60)
    for name in ["n02", "n01"] {
      try directory.write("train/\(name)/b.JPEG", jpeg)
      try directory.write("train/\(name)/a.png", png)
      try directory.write("train/\(name)/notes.txt", "not an image")
      try directory.write("\(valName)/\(name)/c.jpg", jpeg)
    }
    return directory
  }

  @Test(arguments: ["val", "validation"]) func readsImageFolders(valName: String) throws {
    let directory = try makeFolder(valName: valName)
    let train = try ImageFolder(directory: directory.path, split: .train, side: 16, seed: 1)
    let validation = try ImageFolder(
      directory: directory.path, split: .validation, side: 16, classes: train.classes, seed: 1)
    #expect(train.classes == ["n01", "n02"])
    #expect(train.count == 4 && validation.count == 2)
    #expect(train.origin == directory.path)
    func load(_ source: ImageFolder, _ index: Int, _ epoch: Int) throws -> (Int64, [Float]) {
      var planes = [Float](repeating: .nan, count: 3 * 16 * 16)
      var label: Int64 = -1
      try planes.withUnsafeMutableBufferPointer { label = try source.write(index, epoch: epoch, into: $0) }
      return (label, planes)
    }
    #expect(try (0..<4).map { try load(train, $0, 0).0 } == [0, 0, 1, 1])
    let first = try load(train, 1, 0)
    #expect(first.1.allSatisfy { $0.isFinite && abs($0) < 3 })
    // The augmentation depends on seed, epoch and index alone; validation has none.
    #expect(try load(train, 1, 0).1 == first.1)
    #expect(try load(train, 1, 1).1 != first.1)
    #expect(try load(validation, 0, 0).1 == load(validation, 0, 5).1)
  }

  @Test func toleratesFewUnreadableImagesOnly() throws {
    let directory = try TemporaryDirectory()
    let jpeg = try Fixture.jpeg(Fixture.gradient(8, 8), 8, 8)
    for index in 0..<1000 { try directory.write("train/a/\(1000 + index).jpg", index == 7 ? [1, 2, 3] : jpeg) }
    var planes = [Float](repeating: 0, count: 3 * 64)
    let tolerant = try ImageFolder(directory: directory.path, split: .train, side: 8, seed: 1)
    for epoch in 0..<2 {
      var label: Int64 = -1
      try planes.withUnsafeMutableBufferPointer { label = try tolerant.write(7, epoch: epoch, into: $0) }
      #expect(label == 0)
    }
    let warnings = tolerant.newWarnings()
    #expect(warnings.count == 1 && warnings[0].contains("1007.jpg"))
    #expect(tolerant.newWarnings().isEmpty)

    try FileManager.default.removeItem(atPath: directory.path + "/train/a/1999.jpg")
    let strict = try ImageFolder(directory: directory.path, split: .train, side: 8, seed: 1)
    expectDataError(mentions: ["1007.jpg", "cannot decode"]) {
      try planes.withUnsafeMutableBufferPointer { _ = try strict.write(7, epoch: 0, into: $0) }
    }
  }

  @Test func tellsWrongFolders() throws {
    let directory = try TemporaryDirectory()
    func open() throws { _ = try ImageFolder(directory: directory.path, split: .train, side: 8, seed: 1) }
    expectDataError(mentions: ["does not exist", "--data"]) {
      _ = try ImageFolder(directory: directory.path + "/nothing", split: .train, side: 8, seed: 1)
    }
    let file = try directory.write("file", "x")
    expectDataError(mentions: ["is a file"]) { _ = try ImageFolder(directory: file, split: .train, side: 8, seed: 1) }
    expectDataError(mentions: ["train/CLASS", "found file"], open)
    try directory.makeFolder("train")
    expectDataError(mentions: ["one folder a class"], open)
    try directory.makeFolder("train/a")
    expectDataError(mentions: ["no sample", ".jpeg"], open)
    try directory.write("train/a/x.jpg", "not yet opened")
    try open()
    try directory.write("val/b/x.jpg", "of a class that train lacks")
    expectDataError(mentions: ["val/b", "no class"]) {
      _ = try ImageFolder(directory: directory.path, split: .validation, side: 8, classes: ["a"], seed: 1)
    }
  }
}

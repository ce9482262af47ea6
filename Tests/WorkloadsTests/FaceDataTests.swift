// Are NumPy files, lists of faces and LFW's pairs read rightly, and bad ones told?
import Foundation
import Testing

@testable import Workloads

/// A `.npy` file of format version 1 or 2.
func npy(
  _ data: [UInt8], type: String, shape: String, version: UInt8 = 1, fortran: Bool = false
) -> [UInt8] {
  var header = "{'descr': '\(type)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }"
  let start = version == 1 ? 10 : 12
  while (start + header.utf8.count + 1) % 64 != 0 { header += " " }
  header += "\n"
  let count = header.utf8.count
  let length = (0..<(start - 8)).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
  return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data
}

private func littleEndian(_ values: [Float]) -> [UInt8] {
  values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) } }
}

struct NPYTests {
  private func read(_ bytes: [UInt8]) throws -> NPYImage {
    let directory = try TemporaryDirectory()
    return try NPYImage(path: directory.write("depth.npy", bytes))
  }

  @Test func readsEveryTypeOrderAndVersion() throws {
    let floats = littleEndian([1, -2.5, 3, 4, 5, 6e8])
    for version: UInt8 in [1, 2, 3] {
      let image = try read(npy(floats, type: "<f4", shape: "(2, 3)", version: version))
      #expect((image.height, image.width) == (2, 3))
      #expect(image.values == [1, -2.5, 3, 4, 5, 6e8])
    }
    // Column after column.
    #expect(
      try read(npy(floats, type: "<f4", shape: "(2, 3)", fortran: true)).values == [1, 3, 5, -2.5, 4, 6e8])
    #expect(try read(npy([1, 44, 255, 254], type: ">i2", shape: "(1, 2)")).values == [300, -2])
    #expect(try read(npy([44, 1, 254, 255], type: "<u2", shape: "(1, 2, 1)")).values == [300, 65534])
    #expect(try read(npy([7, 200], type: "|u1", shape: "(1, 2, 1)")).values == [7, 200])
    #expect(try read(npy([0, 0, 0, 0, 0, 0, 0xF8, 0x3F], type: "<f8", shape: "(1, 1)")).values == [1.5])
    // 1.5, −2, the largest half and the smallest.
    #expect(
      try read(npy([0, 0x3E, 0, 0xC0, 0xFF, 0x7B, 1, 0], type: "<f2", shape: "(2, 2)")).values
        == [1.5, -2, 65504, 0x1p-24])
  }

  @Test func tellsDamage() throws {
    let directory = try TemporaryDirectory()
    let good = npy(littleEndian([1, 2, 3, 4]), type: "<f4", shape: "(2, 2)")
    let cases: [(String, [UInt8], String)] = [
      ("short", Array(good.dropLast()), "promises 144"), ("header", Array(good[..<20]), "within its header"),
      ("magic", Array("hello world".utf8), "does not begin like"), ("empty", [], "empty"),
      ("version", Array(good[..<6]) + [9] + Array(good[7...]), "version"),
      ("type", npy([0, 0], type: "<c8", shape: "(1, 1)"), "<c8"),
      ("flat", npy(littleEndian([1]), type: "<f4", shape: "(1,)"), "(height, width)"),
      ("huge", npy([], type: "<f4", shape: "(99999999, 99999999)"), "99999999"),
      ("negative", npy([], type: "<f4", shape: "(-1, 4)"), "shape"),
    ]
    for (name, bytes, reason) in cases {
      let path = try directory.write(name + ".npy", bytes)
      expectDataError(mentions: [path, reason]) { _ = try NPYImage(path: path) }
    }
    expectDataError(mentions: ["missing.npy"]) { _ = try NPYImage(path: directory.path + "/missing.npy") }
  }

  @Test func depthIsStandardizedWithoutItsHoles() {
    let plane = DepthPlane(width: 2, height: 3, distances: [500, 700, 0, .nan, -1, .infinity])
    #expect(plane.values == [-1, 1, 0, 0, 0, 0])
    #expect(DepthPlane(width: 2, height: 1, distances: [5, 5]).values == [0, 0])
  }
}

struct RGBDFacesTests {
  private func write(_ directory: TemporaryDirectory, _ list: String) throws {
    for index in 0..<4 {
      let shade = UInt8(40 + 50 * index)
      try directory.write("rgb/\(index).jpg", Fixture.jpeg([UInt8](repeating: shade, count: 3 * 64), 8, 8))
      let depths = (0..<16).map { Float(500 + $0 % 4 * (index + 1)) }
      try directory.write("depth/\(index).npy", npy(littleEndian(depths), type: "<f4", shape: "(4, 4)"))
    }
    try directory.write("train.csv", list)
  }

  @Test func readsAList() throws {
    let directory = try TemporaryDirectory()
    try write(
      directory,
      "cls_name,rgb_image_path,dep_image_path\nzoe,rgb/0.jpg,depth/0.npy\r\n\"adam\",\(directory.path)/rgb/3.jpg,depth/3.npy\n"
    )
    let faces = try RGBDFaces(
      DataDirectory(directory.path), part: ["train"], side: 4, framing: .whole, seed: 1)
    #expect(faces.classes == ["adam", "zoe"])
    #expect(faces.shape == [4, 4, 4])
    var planes = [Float](repeating: 9, count: 64)
    var labels: [Int64] = []
    for index in 0..<2 {
      try planes.withUnsafeMutableBufferPointer { labels.append(try faces.write(index, epoch: 0, into: $0)) }
    }
    #expect(labels == [1, 0])
    // Grey 190, and distances that rise along each row.
    let grey: Float = 190 / 127.5 - 1
    #expect(planes[..<48].allSatisfy { abs($0 - grey) < 0.02 })
    #expect(planes[48..<52].elementsEqual(planes[60..<64]))
    let rises = zip(planes[48..<51], planes[49..<52]).allSatisfy { $0 < $1 }
    #expect(rises)
    // In training half of the images are mirrored, colour and depth alike.
    let mirrored = try RGBDFaces(
      DataDirectory(directory.path), part: ["train"], side: 4, framing: .randomCrop(enlarged: 4), seed: 1)
    let falls = try (0..<20).count { epoch -> Bool in
      try planes.withUnsafeMutableBufferPointer { _ = try mirrored.write(0, epoch: epoch, into: $0) }
      return planes[48] > planes[51]
    }
    #expect((3...17).contains(falls))
  }

  @Test func tellsBadLists() throws {
    let directory = try TemporaryDirectory()
    let head = "rgb_image_path,dep_image_path,cls_name\n"
    for (list, texts) in [
      ("a,b,c\n", ["line 1", "rgb_image_path"]), (head, ["no sample"]), ("", ["no sample"]),
      (head + "rgb/0.jpg,depth/0.npy,zoe\nrgb/0.jpg,,zoe\n", ["line 3"]),
      (head + "rgb/0.jpg\n", ["line 2"]),
    ] {
      try write(directory, list)
      expectDataError(mentions: ["train.csv"] + texts) {
        _ = try RGBDFaces(DataDirectory(directory.path), part: ["train"], side: 4, framing: .whole, seed: 1)
      }
    }
    try write(directory, head + "rgb/0.jpg,depth/0.npy,zoe\n")
    expectDataError(mentions: ["train.csv", "line 2", "zoe"]) {
      _ = try RGBDFaces(
        DataDirectory(directory.path), part: ["train"], side: 4, framing: .whole, classes: ["adam"], seed: 1)
    }
    expectDataError(mentions: ["test.csv"]) {
      _ = try RGBDFaces(DataDirectory(directory.path), part: ["test", "val"], side: 4, framing: .whole, seed: 1)
    }
    try write(directory, head + "rgb/9.jpg,depth/0.npy,zoe\n")
    let faces = try RGBDFaces(DataDirectory(directory.path), part: ["train"], side: 4, framing: .whole, seed: 1)
    var planes = [Float](repeating: 0, count: 64)
    expectDataError(mentions: ["rgb/9.jpg"]) {
      _ = try planes.withUnsafeMutableBufferPointer { try faces.write(0, epoch: 0, into: $0) }
    }
  }
}

struct LabeledFacesTests {
  private func makeFaces(_ directory: TemporaryDirectory) throws {
    for (name, count) in [("Ann_Lee", 3), ("Bo", 2), ("Cy", 1)] {
      for index in 1...count {
        let jpeg = try Fixture.jpeg([UInt8](repeating: UInt8(60 * index), count: 3 * 64), 8, 8)
        try directory.write("lfw/\(name)/\(name)_000\(index).jpg", jpeg)
      }
    }
  }

  @Test func readsPairs() throws {
    let directory = try TemporaryDirectory()
    try makeFaces(directory)
    try directory.write(
      "lfw/pairs.txt", "2\t1\nAnn_Lee\t1\t3\nAnn_Lee\t1\tCy\t1\nBo\t2\t1\nCy\t1\tBo\t2\n")
    let pairs = try LabeledFaces.load(DataDirectory(directory.path), side: 4)
    #expect(pairs.photographs.count == 5)
    let expected: [[FacePairs.Pair]] = [
      [.init(first: 0, second: 1, isSame: true), .init(first: 0, second: 2, isSame: false)],
      [.init(first: 3, second: 4, isSame: true), .init(first: 2, second: 3, isSame: false)],
    ]
    #expect(pairs.folds == expected)
  }

  @Test func tellsBadPairs() throws {
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["pairs.txt"]) { _ = try LabeledFaces.load(DataDirectory(directory.path), side: 4) }
    try makeFaces(directory)
    for (text, mentions) in [
      ("", ["no sample"]), ("hello\n", ["line 1"]), ("2\t1\nAnn_Lee\t1\n", ["line 2"]),
      ("2\t1\nAnn_Lee\t1\t9\n", ["line 2", "Ann_Lee_0009"]), ("2\t1\nAnn_Lee\t1\tx\n", ["line 2"]),
      ("2\t1\nAnn_Lee\t1\t3\nAnn_Lee\t1\tCy\t1\nBo\t2\t1\n", ["3 pairs", "2 folds of 2 × 1"]),
    ] {
      try directory.write("pairs.txt", text)
      expectDataError(mentions: ["pairs.txt"] + mentions) {
        _ = try LabeledFaces.load(DataDirectory(directory.path), side: 4)
      }
    }
  }

  @Test func tripletsAreOfTwoPeople() throws {
    let directory = try TemporaryDirectory()
    for (person, shade) in [("a", 20), ("b", 220)] {
      for index in 0..<2 {
        let shade = UInt8(shade + 10 * index)
        try directory.write(
          "train/\(person)/\(index).png", Fixture.png([UInt8](repeating: shade, count: 3 * 16), 4, 4))
      }
    }
    try directory.write("train/single/0.png", Fixture.png([UInt8](repeating: 0, count: 48), 4, 4))
    let folder = try #require(DataDirectory(directory.path).firstDirectory(of: ["train"]))
    let people = try IdentityFolders(folder, side: 4, framing: .whole, seed: 1)
    #expect(people.identityCount == 2)
    let triplets = FaceTriplets(photographs: people, count: 100)
    var random = SeededRandom(1)
    let batch = try triplets.batch(Array(0..<8), epoch: 0, random: &random)
    #expect(batch.inputs[0].shape == [24, 3, 4, 4])
    #expect(batch.samples == 8)
    guard case .floats(let values) = batch.inputs[0].storage else {
      Issue.record("wrong type")
      return
    }
    let shades = (0..<24).map { (values[$0 * 48] + 1) * 127.5 }
    for index in 0..<8 {
      let (anchor, positive, negative) = (shades[index], shades[8 + index], shades[16 + index])
      let between = abs(anchor - positive)
      #expect(abs(between - 10) < 0.1)
      let isSamePerson = (anchor < 100) == (negative < 100)
      #expect(!isSamePerson)
    }
    try FileManager.default.removeItem(atPath: directory.path + "/train/b")
    expectDataError(mentions: ["two people"]) {
      _ = try IdentityFolders(folder, side: 4, framing: .whole, seed: 1)
    }
  }
}

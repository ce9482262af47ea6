// Are MNIST, MovieLens and Gowalla read as published, and are bad files told with file and line?
import Foundation
import Testing

@testable import Workloads

struct MNISTTests {
  private let pixels = (0..<(3 * 4 * 4)).map { UInt8($0) }

  @Test(arguments: [false, true]) func readsIDX(compressed: Bool) throws {
    let directory = try TemporaryDirectory()
    let images = Fixture.idxImages(pixels, count: 3, side: 4)
    let labels = Fixture.idxLabels([7, 0, 9])
    let ending = compressed ? ".gz" : ""
    try directory.write("t10k-images-idx3-ubyte" + ending, compressed ? Fixture.gzip(images) : images)
    try directory.write("t10k-labels-idx1-ubyte" + ending, compressed ? Fixture.gzip(labels) : labels)
    let read = try MNIST.load(directory: directory.path, split: .test)
    #expect(read.pixels == pixels && read.labels == [7, 0, 9])
    #expect((read.height, read.width, read.count) == (4, 4, 3))
    let source = GreyImageSource(images: read, origin: directory.path)
    var planes = [Float](repeating: 0, count: 16)
    var label: Int64 = -1
    try planes.withUnsafeMutableBufferPointer { label = try source.write(2, epoch: 0, into: $0) }
    #expect(label == 9)
    #expect(abs(planes[0] - (32.0 / 255 - 0.1307) / 0.3081) < 1e-6)
  }

  @Test func tellsDamagedFiles() throws {
    let good = Fixture.idxImages(pixels, count: 3, side: 4)
    let cases: [([UInt8], [UInt8], [String])] = [
      ([1] + good.dropFirst(), Fixture.idxLabels([1, 2, 3]), ["images", "magic number is 0x01000803"]),
      (good, [0, 0, 8, 3] + Fixture.bigEndian([1]), ["labels", "1 dimension"]),
      (good.dropLast(1), Fixture.idxLabels([1, 2, 3]), ["images", "claims 3×4×4", "47"]),
      (good + [1], Fixture.idxLabels([1, 2, 3]), ["images", "49"]),
      ([0, 0, 8, 3], Fixture.idxLabels([1, 2, 3]), ["shorter than its 16-byte header"]),
      ([0, 0, 8, 3] + [UInt8](repeating: 255, count: 12), Fixture.idxLabels([1, 2, 3]), ["claims 4294967295"]),
      (good, Fixture.idxLabels([1, 2]), ["2 labels for the 3 images"]),
      (good, Fixture.idxLabels([1, 2, 10]), ["label 10"]),
      (Fixture.idxImages([], count: 0, side: 4), Fixture.idxLabels([]), ["no sample"]),
      (Array(try Fixture.gzip(good).dropLast(12)), Fixture.idxLabels([1, 2, 3]), ["ends early"]),
    ]
    for (images, labels, texts) in cases {
      let directory = try TemporaryDirectory()
      try directory.write("train-images-idx3-ubyte", Array(images))
      try directory.write("train-labels-idx1-ubyte", labels)
      expectDataError(mentions: texts) { _ = try MNIST.load(directory: directory.path, split: .train) }
    }
  }

  @Test func tellsWrongDirectories() throws {
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["train-images-idx3-ubyte", "found nothing"]) {
      _ = try MNIST.load(directory: directory.path, split: .train)
    }
    expectDataError(mentions: ["does not exist"]) {
      _ = try MNIST.load(directory: directory.path + "/x", split: .train)
    }
  }
}

struct MovieLensTests {
  /// 25 ratings of user 5 in falling order of time, 19 of user 6.
  private func ratings(_ separator: String, _ rating: String = "4") -> String {
    let first = (0..<25).map { [5, 100 + $0, 0, 1000 - $0].map(String.init).joined(separator: "|") }
    let second = (0..<19).map { [6, 100 + $0, 0, $0].map(String.init).joined(separator: "|") }
    return (first + second).map { line in
      var fields = line.split(separator: "|").map(String.init)
      fields[2] = rating
      return fields.joined(separator: separator)
    }.joined(separator: "\n") + "\n"
  }

  @Test func readsAllThreeFormats() throws {
    let files = [
      ("u.data", ratings("\t")), ("ratings.dat", ratings("::")),
      (
        "ratings.csv",
        "userId,movieId,rating,timestamp\r\n" + ratings(",", "3.5").replacingOccurrences(of: "\n", with: "\r\n")
      ),
    ]
    for (name, text) in files {
      let directory = try TemporaryDirectory()
      try directory.write(name, text)
      let read = try MovieLens.load(directory: directory.path)
      // User 6 has too few ratings; the other's are oldest first.
      #expect(read.userCount == 1 && read.itemCount == 25 && read.count == 25)
      #expect(Array(read.items(of: 0)) == (0..<25).reversed().map { Int32($0) })
    }
  }

  @Test func readsALastLineWithoutEnd() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("u.data", "1\t2\t3\t4\n1\t3\t3\t5")
    #expect(try MovieLens.read(path, format: .tabs).count == 2)
  }

  @Test func linesMayCrossTheBuffer() throws {
    // 200 000 lines are more than the 1 MB buffer, several times over.
    let directory = try TemporaryDirectory()
    var text = ""
    for index in 0..<200_000 { text += "\(index % 1000)::\(index)::5::\(index)\n" }
    let path = try directory.write("ratings.dat", text)
    let read = try MovieLens.read(path, format: .colons)
    #expect(read.count == 200_000 && read.userCount == 1000 && read.itemCount == 200_000)
    #expect(Array(read.items(of: 999).prefix(3)) == [999, 1999, 2999])
  }

  @Test func tellsBadLines() throws {
    let lines = [
      "1\t2\t3", "1\t2\t\t4", "1\t2\t3\t4\t5", "x\t2\t3\t4", "1,2,3,4", "1\t2\t3\tnever",
      "1\t99999999999999999999\t3\t4", "1\t2\t-\t4",
    ]
    for line in lines {
      let directory = try TemporaryDirectory()
      let path = try directory.write("u.data", "1\t2\t3\t4\n\n" + line + "\n")
      expectDataError(mentions: [path, "line 3", "user TAB item"]) {
        _ = try MovieLens.load(directory: directory.path)
      }
    }
    // Bytes which are no text are shown harmlessly.
    let directory = try TemporaryDirectory()
    try directory.write("u.data", [0x1B, 0x5B, 0x33, 0xFF, 0x0A])
    expectDataError(mentions: ["\"·[3·\""]) { _ = try MovieLens.load(directory: directory.path) }
  }

  @Test func tellsEmptyAndWrongDirectories() throws {
    let directory = try TemporaryDirectory()
    try directory.write("movies.csv", "x")
    expectDataError(mentions: ["u.data", "ratings.dat", "ratings.csv", "found movies.csv"]) {
      _ = try MovieLens.load(directory: directory.path)
    }
    try directory.write("ratings.csv", "userId,movieId,rating,timestamp\n")
    expectDataError(mentions: ["no sample"]) { _ = try MovieLens.load(directory: directory.path) }
    try directory.write("ratings.csv", "userId,movieId,rating,timestamp\n1,2,3.0,4\n")
    expectDataError(mentions: ["at least 20 ratings"]) { _ = try MovieLens.load(directory: directory.path) }
  }
}

struct GowallaTests {
  /// 16 users and 16 places, everyone everywhere, newest first as in SNAP's file; user 99 has one check-in, and every
  /// user visits place 1000 twice.
  private var checkIns: String {
    var lines: [String] = []
    for user in 0..<16 {
      lines.append("\(user)\t2010-12-31T23:59:59Z\t30.2\t-97.7\t1000")
      for visit in (0..<16).reversed() {
        lines.append("\(user)\t2010-10-\(10 + visit)T23:55:27Z\t30.23\t-97.79\t\(1000 + (visit + user) % 16)")
      }
    }
    lines.append("99\t2010-10-10T23:55:27Z\t30.23\t-97.79\t1000")
    return lines.joined(separator: "\n") + "\n"
  }

  @Test(arguments: [false, true]) func readsRawCheckIns(compressed: Bool) throws {
    let directory = try TemporaryDirectory()
    if compressed {
      try directory.write("loc-gowalla_totalCheckins.txt.gz", Fixture.gzip(Array(checkIns.utf8)))
    } else {
      try directory.write("loc-gowalla_totalCheckins.txt", checkIns)
    }
    let split = try Gowalla.load(directory: directory.path)
    #expect(split.userCount == 16 && split.itemCount == 17)
    #expect((0..<16).allSatisfy { split.train.items(of: $0).count == 13 && split.test.items(of: $0).count == 3 })
    // User 0 visits the places in order. The repeated place keeps its first time.
    let number = Array(split.train.items(of: 0) + split.test.items(of: 0))
    #expect(Set(number) == Set(1...16))
    // User 1 begins one place further on the same round.
    let shifted = Array(split.train.items(of: 1) + split.test.items(of: 1))
    #expect(shifted == Array(number[1...] + number[..<1]))
  }

  @Test func readsPreparedSplits() throws {
    for folder in ["", "test/"] {
      let directory = try TemporaryDirectory()
      try directory.write(folder + "train.txt", "7 30 1\n7 10 1\n8 30 1\n")
      try directory.write(folder + "test.txt", "7 30 1\n8 10 1\n")
      let split = try Gowalla.load(directory: directory.path)
      #expect(split.userCount == 2 && split.itemCount == 3)
      #expect(Array(split.train.items(of: 0)) == [1, 2] && Array(split.train.items(of: 1)) == [1])
      #expect(Array(split.test.items(of: 0)) == [1] && Array(split.test.items(of: 1)) == [2])
    }
  }

  @Test func tellsBadFiles() throws {
    for line in [
      "0\t2010-10-19\t1\t2\t3", "0\t2010-10-19T23:55:27Z\t1\t2", "0 2010-10-19T23:55:27Z 1 2 3",
      "0\t2010-10-19T23:5x:27Z\t1\t2\t3",
    ] {
      let directory = try TemporaryDirectory()
      try directory.write("loc-gowalla_totalCheckins.txt", line + "\n")
      expectDataError(mentions: ["line 1", "latitude"]) { _ = try Gowalla.load(directory: directory.path) }
    }
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["train.txt with test.txt", "loc-gowalla_totalCheckins.txt[.gz]"]) {
      _ = try Gowalla.load(directory: directory.path)
    }
    try directory.write("train.txt", "1 2 1\n")
    try directory.write("test.txt", "1 3 1\n")
    expectDataError(mentions: ["test.txt, line 1", "train.txt has"]) { _ = try Gowalla.load(directory: directory.path) }
    try directory.write("test.txt", "1 2\n")
    expectDataError(mentions: ["test.txt, line 1", "user item 1"]) { _ = try Gowalla.load(directory: directory.path) }
  }
}

struct InteractionTests {
  @Test func filtersUntilStable() {
    // Removing item 2 (one user) leaves user 1 with one item, whose removal leaves item 1 with one user.
    let all = Interactions(histories: [[0, 3], [1, 2], [0, 1, 3]], itemCount: 4)
    let left = all.filtered(minimumPerUser: 2, minimumPerItem: 2)
    #expect(left == Interactions(histories: [[0, 1], [0, 1]], itemCount: 2))
    #expect(all.filtered(minimumPerUser: 1) == all)
    #expect(all.filtered(minimumPerUser: 5).userCount == 0)
  }

  @Test func bisectionEqualsSearch() {
    var generator = SeededRandom(9)
    let histories = (0..<30).map { _ in
      Array(generator.permutation(50).prefix(generator.integer(below: 20)).map { Int32($0) })
    }
    let sorted = Interactions(histories: histories, itemCount: 50).sortedByItem()
    for user in 0..<30 {
      for item in Int32(0)..<50 {
        #expect(sorted.sortedContains(item, user: user) == histories[user].contains(item))
      }
    }
  }

  @Test func identifiersOfAnySizeGetNumbers() {
    var map = IdentifierMap()
    #expect([7, 5_000_000_000, -3, 7, 0, -3].map { map.number(of: $0) } == [0, 1, 2, 0, 3, 2])
    #expect(map.count == 4 && map.known(8) == nil && map.known(9_000_000) == nil && map.known(-3) == 2)
  }
}

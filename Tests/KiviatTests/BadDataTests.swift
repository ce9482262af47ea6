// What do the benchmarks say of a data directory that is missing, of another format, damaged or empty?
import Foundation
import ProfileModel
import Testing

/// Data sets that can't be used, and what the message must name.
private struct BadData: CustomTestStringConvertible {
  var benchmark: String
  var flaw: String
  /// File name → content.
  var files: [String: Data]
  /// Parts of the message: which file, what is wrong.
  var words: [String]
  var testDescription: String { "\(benchmark): \(flaw)" }

  init(_ benchmark: String, _ flaw: String, _ files: [String: Data], says words: String...) {
    (self.benchmark, self.flaw, self.files, self.words) = (benchmark, flaw, files, words)
  }

  /// An IDX header (magic 0 0 8 D, then sizes), big-endian.
  static func idx(_ sizes: Int..., bytes: Int) -> Data {
    var data = Data([0, 0, 8, UInt8(sizes.count)])
    for size in sizes { data += withUnsafeBytes(of: UInt32(size).bigEndian) { Data($0) } }
    return data + Data(repeating: 1, count: bytes)
  }

  static let foreign = Data("this is something else\n".utf8)

  static let all: [BadData] =
    ["image-classification", "recommendation", "spatial-transformer", "learning-to-rank"].flatMap { name in
      [
        BadData(name, "an empty folder", [:], says: "data", "xpected"),
        BadData(name, "another data set", ["notes.txt": foreign], says: "notes.txt", "xpected"),
      ]
    } + [
      BadData(
        "image-classification", "no images", ["train/cat/readme.txt": foreign, "val/cat/readme.txt": foreign],
        says: "train"),
      BadData(
        "image-classification", "every image is damaged",
        Dictionary(
          uniqueKeysWithValues: (0..<8).flatMap { index in
            ["train", "val"].flatMap { split in
              ["cat", "dog"].map { ("\(split)/\($0)/\(index).jpg", Data([0xFF, 0xD8, 0xFF, 0xE0]) + foreign) }
            }
          }), says: ".jpg"),
      BadData(
        "recommendation", "a line that is no rating", ["u.data": Data("1\t2\t3\t4\nabc\n".utf8)], says: "u.data",
        "line 2"),
      BadData(
        "recommendation", "a header and no ratings", ["ratings.csv": Data("userId,movieId,rating,timestamp\n".utf8)],
        says: "ratings.csv"),
      BadData("recommendation", "an empty file", ["u.data": Data()], says: "u.data"),
      BadData(
        "spatial-transformer", "a file cut short",
        [
          "train-images-idx3-ubyte": idx(100, 28, 28, bytes: 5000), "train-labels-idx1-ubyte": idx(100, bytes: 100),
          "t10k-images-idx3-ubyte": idx(1, 28, 28, bytes: 784), "t10k-labels-idx1-ubyte": idx(1, bytes: 1),
        ], says: "train-images-idx3-ubyte"),
      BadData(
        "spatial-transformer", "a wrong magic number",
        ["train-images-idx3-ubyte": foreign, "train-labels-idx1-ubyte": idx(1, bytes: 1)],
        says: "train-images-idx3-ubyte"),
      BadData(
        "spatial-transformer", "labels for fewer images",
        ["train-images-idx3-ubyte": idx(2, 28, 28, bytes: 1568), "train-labels-idx1-ubyte": idx(1, bytes: 1)],
        says: "train-labels-idx1-ubyte"),
      BadData(
        "spatial-transformer", "a damaged gzip file",
        ["train-images-idx3-ubyte.gz": Data([0x1F, 0x8B]) + foreign, "train-labels-idx1-ubyte.gz": foreign], says: ".gz"
      ),
      BadData(
        "learning-to-rank", "a line that is no check-in", ["loc-gowalla_totalCheckins.txt": foreign],
        says: "loc-gowalla_totalCheckins.txt", "line 1"),
    ]
}

@Suite(
  .serialized, .enabled(if: Programs.hasWorkload, "needs kiviat-workload, which is built where libtorch is installed"))
struct BadDataTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  @Test(arguments: BadData.all)
  private func badData(_ bad: BadData) throws {
    for (name, content) in bad.files.merging(["data/.keep": Data()], uniquingKeysWith: { $1 }) {
      let path = workplace.file(name.hasPrefix("data/") ? name : "data/" + name)
      try FileManager.default.createDirectory(
        at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
      try content.write(to: URL(fileURLWithPath: path))
    }
    let ended = try workplace.start(
      [Programs.workload, "run", bad.benchmark, "--data", "data", "--steps", "2", "--threads", "1"]
    ).wait(timeout: 120)
    #expect([1, 64].contains(ended.status), "\(ended)")
    for word in bad.words { #expect(ended.errors.contains(word), "\(word) in: \(ended)") }
  }

  @Test(arguments: ["image-classification", "recommendation", "spatial-transformer", "learning-to-rank"])
  func missingDirectory(_ benchmark: String) throws {
    let ended = try workplace.start(
      [Programs.workload, "run", benchmark, "--data", "no/such/folder", "--steps", "2"]
    ).wait(timeout: 120)
    #expect([1, 64].contains(ended.status) && ended.errors.contains("no/such/folder"), "\(ended)")
  }

  @Test func fileForDirectory() throws {
    try workplace.write("text", to: "data")
    let ended = try workplace.start(
      [Programs.workload, "run", "recommendation", "--data", "data", "--steps", "2"]
    ).wait(timeout: 120)
    #expect([1, 64].contains(ended.status) && ended.errors.contains("data"), "\(ended)")
  }

  /// Through `kiviat`: the benchmark's message and status come through, and nothing is left that looks like a result.
  @Test func throughKiviat() throws {
    try FileManager.default.createDirectory(atPath: workplace.file("data"), withIntermediateDirectories: true)
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "p.kiviat", "recommendation", "--data", "data", "--steps", "2", timeout: 180)
    #expect([1, 64].contains(ended.status) && ended.errors.contains("u.data"), "\(ended)")
    if workplace.exists("p.kiviat") {
      let data = try #require(try workplace.profile().repetitions.first)
      #expect(data.repetition.exitStatus == ended.status && data.steps.isEmpty)
    }
  }

  @Test(arguments: [
    ["--threads", "0"], ["--batch", "0"], ["--steps", "0"], ["--steps", "-5"], ["--epochs", "0"], ["--scale", "giant"],
    ["--mode", "dream"], ["--device", "abacus"], ["--seed", "-1"], ["--batch", "99999999999999999999"],
  ])
  func settingsOutOfRange(_ arguments: [String]) throws {
    let ended = try workplace.start([Programs.workload, "run", "recommendation"] + arguments).wait(timeout: 120)
    #expect(ended.status == 64 && ended.errors.contains(arguments[0]), "\(ended)")
  }

  @Test func unknownBenchmark() throws {
    let ended = try workplace.start([Programs.workload, "run", "image-clasification"]).wait(timeout: 120)
    #expect(ended.status == 64 && ended.errors.contains("image-classification"), "\(ended)")
  }

  /// A small run of each, trained and asked: it ends well and its profile holds what a benchmark's must.
  @Test(
    arguments: ["image-classification", "recommendation", "spatial-transformer", "learning-to-rank"],
    ["train", "infer"])
  func goodRun(benchmark: String, mode: String) throws {
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "p.kiviat", benchmark, "--mode", mode, "--steps", "2", timeout: 300)
    #expect(ended.status == 0, "\(ended)")
    let profile = try workplace.profile()
    let data = try #require(profile.repetitions.first)
    #expect(profile.settings["kind"] == "benchmark" && profile.settings["benchmark"] != nil)
    #expect((profile.settings["data"] ?? "").contains("synthetic"), "\(profile.settings)")
    #expect(!data.kernels.isEmpty && (data.quantity("model.parameters")?.value.value?.number ?? 0) > 0)
    #expect(mode == "train" ? !data.steps.isEmpty : !data.queries.isEmpty)
    // Every operation's name is known to the rules; what is not is named here.
    let unknown = Set(data.kernels.filter { $0.category == .uncategorized }.map(\.name))
    #expect(unknown.isEmpty, "\(unknown)")
  }
}

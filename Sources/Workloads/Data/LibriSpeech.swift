// LibriSpeech's layout: split/speaker/chapter with an audio file an utterance and one transcript file a chapter.
import Foundation

/// Where utterances come from, decoded or made one at a time. Safe to use from a loading thread.
protocol SpeechSource: Sendable {
  /// Number of utterances.
  var count: Int { get }
  /// Samples a second.
  var sampleRate: Int { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// Samples of an utterance, before it is read.
  func length(_ index: Int) -> Int
  /// What is said: A–Z, apostrophes and single spaces.
  func transcript(_ index: Int) -> String
  /// The sound. Throws `DataError` when it can't be read.
  func samples(_ index: Int) throws -> [Int16]
}

/// Utterances of LibriSpeech (Panayotov et al., ICASSP 2015), in FLAC as published or converted to WAV.
struct LibriSpeech: SpeechSource {
  /// A part of the data set.
  enum Split {
    /// All of `train-*`.
    case train
    /// `dev-clean`, or `test-clean` where that is missing.
    case validation
  }

  /// An utterance's file and text.
  private struct Utterance {
    var path: String
    var transcript: String
    var length: Int
  }

  /// Utterances for training last 1 to 15 seconds, as in the reference implementation.
  static let durations = 1.0...15.0

  let origin: String
  let sampleRate: Int
  private let utterances: [Utterance]

  var count: Int { utterances.count }
  func length(_ index: Int) -> Int { utterances[index].length }
  func transcript(_ index: Int) -> String { utterances[index].transcript }
  func samples(_ index: Int) throws -> [Int16] { try AudioFile(path: utterances[index].path).samples() }

  /// Reads the transcripts and the headers of the audio files.
  ///
  /// - Parameter path: a directory that has `train-clean-100/19/198/19-198-0000.flac` and the like, or has a
  ///   `LibriSpeech` that does.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, sampleRate: Int) throws(DataError) {
    let given = try DataDirectory(path)
    let directory = given.firstDirectory(of: ["LibriSpeech"]) ?? given
    let names = try directory.subdirectories()
    let folders: [String]
    switch split {
    case .train: folders = names.filter { $0.hasPrefix("train-") }
    case .validation: folders = Array(["dev-clean", "test-clean"].filter(names.contains).prefix(1))
    }
    guard !folders.isEmpty else {
      throw directory.wrongFormat(expected: [
        split == .train
          ? "train-clean-100 (or other train-*), with SPEAKER/CHAPTER/*.flac (or .wav) and *.trans.txt"
          : "dev-clean or test-clean, with SPEAKER/CHAPTER/*.flac (or .wav) and *.trans.txt"
      ])
    }
    var utterances: [Utterance] = []
    for folder in folders {
      let root = try DataDirectory(directory.path(of: folder))
      for speaker in try root.subdirectories() {
        let speakerRoot = try DataDirectory(root.path(of: speaker))
        for chapter in try speakerRoot.subdirectories() {
          let chapterRoot = try DataDirectory(speakerRoot.path(of: chapter))
          let transcripts = chapterRoot.path(of: "\(speaker)-\(chapter).trans.txt")
          for (id, text) in try Self.transcripts(transcripts) {
            guard let file = chapterRoot.first(of: [id + ".flac", id + ".wav"]) else {
              throw .unreadable(
                path: chapterRoot.path(of: id + ".flac"), reason: "\(transcripts) names it, and there is no such file")
            }
            let audio = try AudioFile(path: file)
            guard audio.sampleRate == sampleRate else {
              throw .unsuitable(
                path: file, reason: "it has \(audio.sampleRate) samples a second, the model takes \(sampleRate)")
            }
            // A clip shorter than two windows has nothing to recognize.
            guard audio.duration > 0.04, split == .validation || Self.durations.contains(audio.duration) else {
              continue
            }
            utterances.append(Utterance(path: file, transcript: text, length: audio.frameCount))
          }
        }
      }
    }
    guard !utterances.isEmpty else {
      throw .empty(
        path: directory.path(of: folders[0]),
        expected: "SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt with utterances of "
          + "\(Int(Self.durations.lowerBound)) to \(Int(Self.durations.upperBound)) seconds")
    }
    origin = path
    self.sampleRate = sampleRate
    self.utterances = utterances
  }

  /// The lines `19-198-0000 NORTHANGER ABBEY` of a chapter.
  static func transcripts(_ path: String) throws(DataError) -> [(id: String, text: String)] {
    guard FileManager.default.fileExists(atPath: path) else {
      throw .unreadable(path: path, reason: "there is no such file")
    }
    var lines: [(id: String, text: String)] = []
    try ByteStream(path: path).forEachLine { (line, number) throws(DataError) in
      if FieldScanner(line).isAtEnd { return }
      let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
      let text = words.dropFirst().joined(separator: " ")
      guard words.count > 1, !words[0].contains("/"), text.utf8.allSatisfy(SpeechAlphabet.contains) else {
        throw .malformedLine(
          path: path, line: number, text: FieldScanner.excerpt(line),
          expected: "an utterance's id, a space and words of A to Z and apostrophes")
      }
      lines.append((words[0], text))
    }
    return lines
  }
}

/// The 29 labels of English speech: blank, apostrophe, A to Z, space.
enum SpeechAlphabet {
  /// In the order of their numbers; `_` is CTC's blank.
  static let labels = Array("_'ABCDEFGHIJKLMNOPQRSTUVWXYZ ".utf8)
  /// The number of labels.
  static var count: Int { labels.count }

  static func contains(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x27 || (0x41...0x5A).contains(byte) }

  /// The numbers of a text's letters.
  static func encode(_ text: String) -> [Int] {
    text.utf8.map { $0 == 0x27 ? 1 : $0 == 0x20 ? labels.count - 1 : Int($0) - 0x41 + 2 }
  }

  /// The text of the most likely label of each frame: repeats are one, blanks none (greedy decoding: Graves et al.
  /// 2006).
  static func decode(_ frames: some Sequence<Int>) -> String {
    var text: [UInt8] = []
    var last = 0
    for label in frames {
      if label != last, label != 0 { text.append(labels[label]) }
      last = label
    }
    return String(decoding: text, as: UTF8.self)
  }
}

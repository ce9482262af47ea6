// Google's robot pushing data set: what a robot's camera sees while its arm pushes things about.
import Foundation

/// Videos with what the robot was told to do and where its arm was. Safe to use from a loading thread.
protocol PushingVideos: Sendable {
  /// Number of videos.
  var count: Int { get }
  /// Frames of a video that are used.
  var frames: Int { get }
  /// Width and height of a frame, in pixels.
  var side: Int { get }
  /// Numbers in a state, and in an action.
  var stateWidth: Int { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// A video.
  ///
  /// - Throws: `DataError` for one that can't be read.
  func video(_ index: Int) throws(DataError) -> PushingVideo
}

/// One video.
struct PushingVideo: Sendable {
  /// [frames, 3, side, side], 0 to 1.
  var images: [Float]
  /// [frames, width]: the position of the arm.
  var states: [Float]
  /// [frames, width]: what the arm is told at that frame.
  var actions: [Float]
}

/// A split of the data set of Finn, Goodfellow and Levine (NIPS 2016): TFRecord files of `tf.Example`s with, for each
/// frame i, `move/i/image/encoded` (a JPEG of 640×512), `move/i/endeffector/vec_pitch_yaw` (five floats: the state) and
/// `move/i/commanded_pose/vec_pitch_yaw` (five floats: the action).
struct RobotPushing: PushingVideos {
  enum Split { case train, test }

  /// x, y, z, pitch and yaw.
  let stateWidth = 5
  let frames: Int
  let side: Int
  let origin: String
  private let files: [TFRecordFile]
  /// The number of the first record of each file, and of all at the end.
  private let starts: [Int]

  var count: Int { starts.last ?? 0 }

  /// Finds the records: `push_train` and `push_testnovel` (or `push_testseen`) below `DIR` or `DIR/push`; without
  /// them, 95 % of the files in `DIR` are for training, as in the authors' program.
  ///
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, frames: Int, side: Int) throws(DataError) {
    let directory = try DataDirectory(path)
    let root = directory.firstDirectory(of: ["push"]) ?? directory
    let paths: [String]
    if let train = root.firstDirectory(of: ["push_train"]),
      let test = root.firstDirectory(of: ["push_testnovel", "push_testseen"])
    {
      let folder = split == .train ? train : test
      paths = try Self.records(in: folder)
      guard !paths.isEmpty else { throw .empty(path: folder.path, expected: "files *.tfrecord*") }
    } else {
      let all = try Self.records(in: root)
      guard all.count >= 2 else {
        throw root.wrongFormat(expected: [
          "push_train/*.tfrecord* with push_testnovel/*.tfrecord* (or push_testseen)", "at least two *.tfrecord* files",
        ])
      }
      let boundary = min(max(all.count * 95 / 100, 1), all.count - 1)
      paths = Array(split == .train ? all[..<boundary] : all[boundary...])
    }
    var files: [TFRecordFile] = []
    var starts = [0]
    for path in paths {
      let file = try TFRecordFile(path: path)
      starts.append((starts.last ?? 0) + file.count)
      files.append(file)
    }
    guard starts.last ?? 0 > 0 else { throw .empty(path: paths[0], expected: "at least one record") }
    origin = path
    self.frames = frames
    self.side = side
    self.files = files
    self.starts = starts
  }

  private static func records(in directory: DataDirectory) throws(DataError) -> [String] {
    try directory.entries().filter { $0.contains(".tfrecord") }.map(directory.path(of:))
  }

  func video(_ index: Int) throws(DataError) -> PushingVideo {
    // The last file that begins at or before the record.
    var (low, high) = (0, files.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= index { low = middle } else { high = middle }
    }
    let file = files[low]
    let record = index - starts[low]
    let example = try TFExample(try file.record(record), path: file.path, record: file.name(record))
    let size = 3 * side * side
    var video = PushingVideo(images: [Float](repeating: 0, count: frames * size), states: [], actions: [])
    for frame in 0..<frames {
      let name = "move/\(frame)/image/encoded"
      let encoded = try EncodedImage(
        try example.bytes(name), path: "\(file.path), \(file.name(record)), \(name)")
      // The centre of 512×512, down to the frame; libjpeg does the first halvings.
      let square = Double(min(encoded.width, encoded.height))
      let image = try encoded.decode(minimumScale: Double(side) / square)
      let box = PixelBox.centre(width: image.width, height: image.height, resize: side, crop: side)
      video.images.withUnsafeMutableBufferPointer { buffer in
        image.write(
          box, side: side, isMirrored: false, statistics: .unit,
          into: UnsafeMutableBufferPointer(rebasing: buffer[frame * size..<(frame + 1) * size]))
      }
      video.states += try example.floats("move/\(frame)/endeffector/vec_pitch_yaw", count: stateWidth)
      video.actions += try example.floats("move/\(frame)/commanded_pose/vec_pitch_yaw", count: stateWidth)
    }
    return video
  }
}

/// Videos as a data set: inputs are images f32 [n, frames, 3, side, side], states and actions f32 [n, frames, width].
struct PushingBatches: Dataset {
  let source: any PushingVideos

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var all = PushingVideo(images: [], states: [], actions: [])
    all.images.reserveCapacity(indices.count * source.frames * 3 * source.side * source.side)
    for index in indices {
      let video = try source.video(index)
      all.images += video.images
      all.states += video.states
      all.actions += video.actions
    }
    let (n, frames) = (indices.count, source.frames)
    return Batch(
      samples: n,
      inputs: [
        HostTensor(all.images, shape: [n, frames, 3, source.side, source.side]),
        HostTensor(all.states, shape: [n, frames, source.stateWidth]),
        HostTensor(all.actions, shape: [n, frames, source.stateWidth]),
      ])
  }
}

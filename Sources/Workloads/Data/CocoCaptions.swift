// COCO's captions: one JSON file a split beside a folder of JPEG files.
import Foundation

/// Images with captions. Safe to use from a loading thread.
protocol CaptionSource: Sendable {
  /// Number of captions; an image may have several.
  var count: Int { get }
  /// Channels, height, width.
  var shape: [Int] { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// What the captions are made of.
  var vocabulary: WordVocabulary { get }
  /// The words of a caption as numbers, without begin and end.
  func caption(_ index: Int) -> [Int]
  /// The image of a caption. Captions of one image have the same number.
  func image(_ index: Int) -> Int
  /// Writes the image of a caption as normalized planes; `epoch` chooses the augmentation of a training image.
  func write(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) throws
}

/// Captions of COCO 2014 or 2017 (Lin et al., ECCV 2014).
struct CocoCaptions: CaptionSource {
  /// A part of the data set.
  enum Split: String {
    case train
    case validation = "val"
  }

  /// Words that occur less often in the training captions are unknown, as in the reference implementation.
  static let minimumOccurrences = 4

  let origin: String
  let shape: [Int]
  let vocabulary: WordVocabulary
  private let split: Split
  private let seed: UInt64
  private let files: [String]
  private let images: [Int]
  private let captions: [[Int32]]

  var count: Int { captions.count }
  func caption(_ index: Int) -> [Int] { captions[index].map { Int($0) } }
  func image(_ index: Int) -> Int { images[index] }

  /// Reads the captions; no image is opened yet.
  ///
  /// - Parameters:
  ///   - path: the directory with `annotations/captions_train2014.json`, `captions_val2014.json`, `train2014` and
  ///     `val2014` (or 2017).
  ///   - side: width and height of the images that come out, in pixels.
  ///   - vocabulary: the training captions', for the other split; nil to make one.
  ///   - seed: of the augmentation.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, side: Int, vocabulary known: WordVocabulary? = nil, seed: UInt64)
    throws(DataError)
  {
    let directory = try DataDirectory(path)
    let years = ["2014", "2017"]
    func name(_ year: String) -> String { "captions_\(split.rawValue)\(year).json" }
    guard
      let year = years.first(where: { directory.first(of: ["annotations/" + name($0), name($0)]) != nil }),
      let annotations = directory.first(of: ["annotations/" + name(year), name(year)])
    else {
      throw directory.wrongFormat(expected: [
        "annotations/\(name("2014")) with \(split.rawValue)2014/*.jpg (or 2017)"
      ])
    }
    guard let folder = directory.firstDirectory(of: [split.rawValue + year]) else {
      throw directory.wrongFormat(expected: ["the folder \(split.rawValue)\(year) with the images of \(annotations)"])
    }
    let file = try AnnotationFile.read(annotations)
    var numbers: [Int: Int] = [:]
    var files: [String] = []
    for image in file.images {
      guard !image.file_name.contains("/"), numbers.updateValue(files.count, forKey: image.id) == nil else {
        throw .corruptFile(path: annotations, reason: "image \(image.id) is there twice or lies in another folder")
      }
      files.append(folder.path(of: image.file_name))
    }
    var images: [Int] = []
    var words: [[String]] = []
    for annotation in file.annotations {
      guard let image = numbers[annotation.image_id] else {
        throw .corruptFile(
          path: annotations,
          reason: "annotation \(annotation.id) names image \(annotation.image_id), which is not there")
      }
      images.append(image)
      words.append(WordVocabulary.tokens(annotation.caption))
    }
    guard !words.isEmpty else { throw .empty(path: annotations, expected: "annotations with a caption") }
    let vocabulary: WordVocabulary
    if let known {
      vocabulary = known
    } else {
      var counts: [String: Int] = [:]
      for word in words.joined() { counts[word, default: 0] += 1 }
      vocabulary = .frequent(counts, atLeast: Self.minimumOccurrences)
    }
    origin = path
    shape = [3, side, side]
    self.vocabulary = vocabulary
    self.split = split
    self.seed = seed
    self.files = files
    self.images = images
    captions = words.map { $0.map { Int32(vocabulary.number(of: $0)) } }
  }

  /// Scales the shorter side to 4/3 of the crop (299 for 224), then crops: a random part and a random mirror image for
  /// training, the middle otherwise.
  func write(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) throws {
    let encoded = try EncodedImage(path: files[images[index]])
    let side = shape[1]
    var box = PixelBox.centre(width: encoded.width, height: encoded.height, resize: side * 4 / 3, crop: side)
    var isMirrored = false
    if split == .train {
      var random = SeededRandom(seed, epoch, index)
      box.x = random.uniform(0...max(Double(encoded.width) - box.width, 0))
      box.y = random.uniform(0...max(Double(encoded.height) - box.height, 0))
      isMirrored = random.chance(0.5)
    }
    let image = try encoded.decode(minimumScale: Double(side) / box.width)
    box = box.scaled(Double(image.width) / Double(encoded.width), Double(image.height) / Double(encoded.height))
    image.write(box, side: side, isMirrored: isMirrored, statistics: .imageNet, into: planes)
  }
}

/// The parts of a caption file that matter here.
private struct AnnotationFile: Decodable {
  struct Image: Decodable {
    var id: Int
    var file_name: String
  }
  struct Annotation: Decodable {
    var id: Int
    var image_id: Int
    var caption: String
  }
  var images: [Image]
  var annotations: [Annotation]

  /// - Throws: `DataError.corruptFile` with the place in the file.
  static func read(_ path: String) throws(DataError) -> AnnotationFile {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    do {
      return try JSONDecoder().decode(AnnotationFile.self, from: data)
    } catch DecodingError.keyNotFound(let key, let context) {
      throw .corruptFile(path: path, reason: "\(place(context.codingPath)) has no \"\(key.stringValue)\"")
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
      throw .corruptFile(path: path, reason: "\(place(context.codingPath)): \(context.debugDescription)")
    } catch DecodingError.dataCorrupted(let context) {
      let detail = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"].map { " (\($0))" } ?? ""
      throw .corruptFile(path: path, reason: "\(context.debugDescription)\(detail)")
    } catch {
      throw .corruptFile(path: path, reason: "\(error)")
    }
  }

  /// `annotations[3].caption`.
  private static func place(_ path: [any CodingKey]) -> String {
    let text = path.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined()
    return text.isEmpty ? "the file" : String(text.drop { $0 == "." })
  }
}

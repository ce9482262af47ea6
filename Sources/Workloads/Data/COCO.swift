// COCO in its own layout: images in folders and one JSON file a split with boxes and outlines.
import Foundation

/// One split of COCO's "instances" (2017: 118 287 images to train, 5000 to validate). Annotations are held in memory,
/// pixels are read when they are asked for.
struct COCO: ObjectSource {
  /// A part of the data set.
  enum Split: String, Sendable { case train, val }

  static let years = ["2017", "2014"]

  let origin: String
  let classNames: [String]
  var count: Int { images.count }
  private let images: [(path: String, objects: [ObjectAnnotation])]

  // MARK: The file

  private struct File: Decodable {
    struct Image: Decodable {
      var id: Int
      var file_name: String
      var width: Int
      var height: Int
    }
    struct Annotation: Decodable {
      var id: Int
      var image_id: Int
      var category_id: Int
      var bbox: [Float]
      var iscrowd: Int?
      var segmentation: Segmentation?
    }
    struct Category: Decodable {
      var id: Int
      var name: String
    }
    var images: [Image]
    var annotations: [Annotation]
    var categories: [Category]
  }

  /// Polygons, or runs as numbers or as text.
  private enum Segmentation: Decodable {
    case polygons([[Float]])
    case counts([Int], size: [Int])
    case text(String, size: [Int])

    enum Key: String, CodingKey { case counts, size }

    init(from decoder: any Decoder) throws {
      if let polygons = try? decoder.singleValueContainer().decode([[Float]].self) {
        self = .polygons(polygons)
        return
      }
      let container = try decoder.container(keyedBy: Key.self)
      let size = try container.decode([Int].self, forKey: .size)
      if let text = try? container.decode(String.self, forKey: .counts) {
        self = .text(text, size: size)
      } else {
        self = .counts(try container.decode([Int].self, forKey: .counts), size: size)
      }
    }

    /// nil when it does not fit the image.
    func outline(_ image: File.Image) -> Outline? {
      switch self {
      case .polygons(let polygons):
        let isSound = polygons.allSatisfy { polygon in
          polygon.count >= 6 && polygon.count % 2 == 0 && polygon.allSatisfy { abs($0) < 1_000_000 }
        }
        return isSound ? .polygons(polygons) : nil
      case .counts(let counts, let size):
        guard size == [image.height, image.width] else { return nil }
        return RunLengthMask(counts: counts, width: image.width, height: image.height).map { .runs($0) }
      case .text(let text, let size):
        guard size == [image.height, image.width] else { return nil }
        return RunLengthMask(compressed: text.utf8, width: image.width, height: image.height).map { .runs($0) }
      }
    }
  }

  // MARK: Reading

  /// Reads a split's annotations.
  ///
  /// - Parameter skipsEmpty: leaves out images without any object to learn.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, skipsEmpty: Bool = false) throws(DataError) {
    let directory = try DataDirectory(path)
    func name(_ year: String) -> String { "annotations/instances_\(split.rawValue)\(year).json" }
    guard let year = Self.years.first(where: { directory.first(of: [name($0)]) != nil }),
      let pictures = directory.firstDirectory(of: [split.rawValue + year, "images/" + split.rawValue + year])
    else {
      throw directory.wrongFormat(expected: [
        "\(name("2017")) with the images in \(split.rawValue)2017 (COCO; 2014 likewise)"
      ])
    }
    let list = directory.path(of: name(year))
    let file = try Self.decode(list)
    func fail(_ reason: String) -> DataError { .corruptFile(path: list, reason: reason) }

    // Categories' numbers have gaps: 1 to 90 for 80 of them.
    let categories = file.categories.sorted { $0.id < $1.id }
    var labels: [Int: Int] = [:]
    for (index, category) in categories.enumerated() {
      guard labels.updateValue(index + 1, forKey: category.id) == nil else {
        throw fail("category \(category.id) is there twice")
      }
    }
    var places: [Int: Int] = [:]
    for (index, image) in file.images.enumerated() {
      guard places.updateValue(index, forKey: image.id) == nil else { throw fail("image \(image.id) is there twice") }
      guard !image.file_name.isEmpty, !image.file_name.contains("/") else {
        throw fail("image \(image.id) has the file name \"\(image.file_name)\"")
      }
      guard (1...1 << 16).contains(image.width), (1...1 << 16).contains(image.height) else {
        throw fail("image \(image.id) has \(image.width)×\(image.height) pixels")
      }
    }
    var objects = [[ObjectAnnotation]](repeating: [], count: file.images.count)
    for annotation in file.annotations {
      let subject = "annotation \(annotation.id)"
      guard let place = places[annotation.image_id] else {
        throw fail("\(subject) is of image \(annotation.image_id), which is not in the list")
      }
      guard let label = labels[annotation.category_id] else {
        throw fail("\(subject) is of category \(annotation.category_id), which is not in the list")
      }
      let bbox = annotation.bbox
      guard bbox.count == 4, bbox.allSatisfy({ $0.isFinite }) else {
        throw fail("\(subject) has the box \(bbox); expected x, y, width and height")
      }
      let image = file.images[place]
      let box = Box(bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3])
        .intersection(Box(0, 0, Float(image.width), Float(image.height)))
      var outline: Outline?
      if let segmentation = annotation.segmentation {
        outline = segmentation.outline(image)
        guard outline != nil else {
          throw fail("\(subject) has an outline that does not fit image \(image.id), \(image.width)×\(image.height)")
        }
      }
      // Some boxes have no width: nothing to learn, and the tools of COCO drop them too.
      guard box.width > 0, box.height > 0 else { continue }
      objects[place].append(
        ObjectAnnotation(box: box, label: label, isIgnored: annotation.iscrowd == 1, outline: outline))
    }
    images = file.images.indices.filter { index in !skipsEmpty || objects[index].contains { !$0.isIgnored } }
      .map { (pictures.path(of: file.images[$0].file_name), objects[$0]) }
    guard !images.isEmpty, !categories.isEmpty else {
      throw .empty(path: list, expected: "images with objects, and categories")
    }
    classNames = categories.map(\.name)
    origin = path
  }

  private static func decode(_ path: String) throws(DataError) -> File {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    do {
      return try JSONDecoder().decode(File.self, from: data)
    } catch let error as DecodingError {
      throw .corruptFile(path: path, reason: reason(error))
    } catch {
      throw .corruptFile(path: path, reason: error.localizedDescription)
    }
  }

  /// Where in the file, and what.
  private static func reason(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
      (context.codingPath + [last].compactMap { $0 }).map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }
        .joined()
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context, key)) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "\(place(context)): \(context.debugDescription)"
    case .dataCorrupted(let context):
      let detail = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"] as? String
      return place(context) + (place(context).isEmpty ? "" : ": ") + (detail ?? context.debugDescription)
    @unknown default: return "\(error)"
    }
  }

  func annotations(_ index: Int) -> [ObjectAnnotation] { images[index].objects }

  func image(_ index: Int) throws(DataError) -> RGBImage { try EncodedImage(path: images[index].path).decode() }
}

// PASCAL VOC in its own layout: JPEGImages/*.jpg, Annotations/*.xml, ImageSets/Main/*.txt.

/// One split of a year of PASCAL VOC (2007: 5011 images to train, 4952 to test). Annotations are read and checked when
/// it is opened, pixels when they are asked for.
struct VOC: ObjectSource {
  /// The twenty classes; the first has the label 1.
  static let classes = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
  ]

  /// A part of the data set. Each can be named by several lists, the first that exists counts.
  enum Split: Sendable {
    case train, test

    var lists: [String] { self == .train ? ["trainval.txt", "train.txt"] : ["test.txt", "val.txt"] }
  }

  let origin: String
  var count: Int { images.count }
  var classNames: [String] { Self.classes }
  private let images: [(path: String, objects: [ObjectAnnotation])]

  /// Reads the list of a split and its annotations.
  ///
  /// - Parameter path: the directory itself, or one that holds `VOCdevkit/VOC2007` or `VOC2007`.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split) throws(DataError) {
    let directory = try DataDirectory(path)
    let years = ["VOC2007", "VOC2012"]
    let root = directory.firstDirectory(of: years.map { "VOCdevkit/" + $0 } + years) ?? directory
    guard let lists = root.firstDirectory(of: ["ImageSets/Main"]), let list = lists.first(of: split.lists),
      let annotations = root.firstDirectory(of: ["Annotations"]),
      let pictures = root.firstDirectory(of: ["JPEGImages"])
    else {
      throw root.wrongFormat(expected: [
        "JPEGImages/*.jpg with Annotations/*.xml and ImageSets/Main/\(split.lists[0]) (PASCAL VOC)"
      ])
    }
    var images: [(path: String, objects: [ObjectAnnotation])] = []
    try ByteStream(path: list).forEachLine { line, number throws(DataError) in
      // Lists of one class have −1, 0 or 1 behind the name.
      var scanner = FieldScanner(line)
      let name = String(decoding: scanner.field(endingAt: 0x20), as: UTF8.self)
      if name.isEmpty && scanner.isAtEnd { return }
      guard !name.isEmpty, !name.contains("/") else {
        throw .malformedLine(path: list, line: number, text: FieldScanner.excerpt(line), expected: "an image's name")
      }
      images.append(
        (pictures.path(of: name + ".jpg"), try Self.objects(annotations.path(of: name + ".xml"))))
    }
    guard !images.isEmpty else { throw .empty(path: list, expected: "one image's name a line") }
    origin = path
    self.images = images
  }

  func annotations(_ index: Int) -> [ObjectAnnotation] { images[index].objects }

  func image(_ index: Int) throws(DataError) -> RGBImage { try EncodedImage(path: images[index].path).decode() }

  /// The objects of an annotation.
  static func objects(_ path: String) throws(DataError) -> [ObjectAnnotation] {
    let root = try XMLTree.read(path)
    guard root.name == "annotation" else {
      throw .malformedLine(
        path: path, line: root.line, text: "<\(root.name)>", expected: "an annotation of PASCAL VOC, <annotation>")
    }
    func element(_ name: String, in parent: XMLTree) throws(DataError) -> XMLTree {
      guard let child = parent[name] else {
        throw .malformedLine(
          path: path, line: parent.line, text: "<\(parent.name)> without one", expected: "<\(name)> in it")
      }
      return child
    }
    var objects: [ObjectAnnotation] = []
    for object in root.children where object.name == "object" {
      let name = try element("name", in: object)
      guard let place = classes.firstIndex(of: name.text) else {
        throw .malformedLine(
          path: path, line: name.line, text: name.text,
          expected: "one of the classes \(classes.joined(separator: ", "))")
      }
      let box = try element("bndbox", in: object)
      func edge(_ name: String) throws(DataError) -> Float {
        let edge = try element(name, in: box)
        // A few annotations have fractions.
        guard let value = Float(edge.text), value >= 0, value < 1_048_576 else {
          throw .malformedLine(path: path, line: edge.line, text: edge.text, expected: "a pixel's number as <\(name)>")
        }
        return value
      }
      // Pixels count from 1, and the last one belongs to the object.
      let edges = Box(try edge("xmin") - 1, try edge("ymin") - 1, try edge("xmax"), try edge("ymax"))
      guard edges.x2 > edges.x1, edges.y2 > edges.y1 else {
        throw .malformedLine(
          path: path, line: box.line, text: edges.coordinates.map { String($0) }.joined(separator: " "),
          expected: "a box whose xmax and ymax are not below xmin and ymin")
      }
      objects.append(
        ObjectAnnotation(box: edges, label: place + 1, isIgnored: object["difficult"]?.text == "1", outline: nil))
    }
    return objects
  }
}

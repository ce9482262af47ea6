// ShapeNet's solids with their renderings, in the two forms in which they are passed on.
import Foundation

/// How a data set of solids is divided.
enum SolidSplit: String {
  case train, validation

  /// As file names have it.
  var names: [String] { self == .train ? ["train"] : ["val", "test"] }
}

/// Makes volumes and pictures as large as a model wants them.
enum SolidScaling {
  /// A coarser cube: a voxel is full when any of those that it is made of is.
  static func coarser(_ voxels: [Float], side: Int, to target: Int) -> [Float] {
    guard side != target else { return voxels }
    let factor = side / target
    var result = [Float](repeating: 0, count: target * target * target)
    for (index, value) in voxels.enumerated() where value >= 0.5 {
      let (z, y, x) = (index / (side * side), index / side % side, index % side)
      result[(z / factor * target + y / factor) * target + x / factor] = 1
    }
    return result
  }

  /// Planes [3, target, target] from pixels [side, side, 3]: means of squares.
  static func planes(_ pixels: ArraySlice<Float>, side: Int, to target: Int) -> [Float] {
    let factor = side / target
    let share = 1 / Float(factor * factor)
    var result = [Float](repeating: 0, count: 3 * target * target)
    for (index, value) in pixels.enumerated() {
      let (row, column, channel) = (index / (3 * side), index / 3 % side, index % 3)
      result[(channel * target + row / factor) * target + column / factor] += value * share
    }
    return result
  }
}

/// The TFRecords of perspective transformer nets: `SYNSET_train.tfrecords`, `SYNSET_val.tfrecords` (or `_test`), each
/// record a `tf.Example` with the floats `image` [24, 64, 64, 3], `mask` [24, 64, 64, 1] and `vox` [32, 32, 32, 1]. The
/// masks are not read: silhouettes are made of the volumes, as in the authors' program.
struct ShapeNetRecords: Solids {
  /// In the files.
  private static let storedSide = 64
  private static let storedVoxels = 32

  let views = 24
  let imageSide: Int
  let volumeSide: Int
  let origin: String
  private let files: [TFRecordFile]
  /// File and record of each solid.
  private let places: [(file: Int, record: Int)]

  var count: Int { places.count }

  /// Whether a directory has such files.
  static func isThere(_ directory: DataDirectory) throws(DataError) -> Bool {
    try directory.entries().contains { $0.hasSuffix("_train.tfrecords") }
  }

  /// Finds the records of a split.
  ///
  /// - Throws: `DataError`.
  init(_ directory: DataDirectory, split: SolidSplit, imageSide: Int, volumeSide: Int) throws(DataError) {
    let entries = try directory.entries()
    let ending = split.names.map { "_\($0).tfrecords" }.first { end in entries.contains { $0.hasSuffix(end) } }
    guard let ending else {
      throw directory.wrongFormat(expected: ["SYNSET_train.tfrecords with SYNSET_val.tfrecords (or _test)"])
    }
    var files: [TFRecordFile] = []
    var places: [(file: Int, record: Int)] = []
    for name in entries where name.hasSuffix(ending) {
      let file = try TFRecordFile(path: directory.path(of: name))
      places += (0..<file.count).map { (file: files.count, record: $0) }
      files.append(file)
    }
    guard !places.isEmpty else { throw .empty(path: files[0].path, expected: "at least one record") }
    self.files = files
    self.places = places
    self.imageSide = imageSide
    self.volumeSide = volumeSide
    origin = directory.path
  }

  func solid(_ index: Int, view: Int) throws(DataError) -> Solid {
    let place = places[index]
    let file = files[place.file]
    let example = try TFExample(
      try file.record(place.record), path: file.path, record: file.name(place.record))
    let pixels = Self.storedSide * Self.storedSide * 3
    let images = try example.floats("image", count: views * pixels)
    let voxels = Self.storedVoxels
    let volume = try example.floats("vox", count: voxels * voxels * voxels)
    return Solid(
      image: SolidScaling.planes(images[view * pixels..<(view + 1) * pixels], side: Self.storedSide, to: imageSide),
      volume: SolidScaling.coarser(volume, side: voxels, to: volumeSide))
  }
}

/// The folders of 3D-R2N2 (Choy et al. 2016): `ShapeNetVox32/SYNSET/MODEL/model.binvox` with
/// `ShapeNetRendering/SYNSET/MODEL/rendering/00.png` … `23.png`. Of each synset's models, in the order of their names,
/// the first 80 % are for training.
struct ShapeNetFolders: Solids {
  let views: Int
  let imageSide: Int
  let volumeSide: Int
  let origin: String
  private let volumes, renderings: DataDirectory
  /// SYNSET/MODEL.
  private let models: [String]

  var count: Int { models.count }

  private static let volumeFolder = "ShapeNetVox32"
  private static let renderingFolder = "ShapeNetRendering"

  /// Lists the models of a split; none is opened yet.
  ///
  /// - Throws: `DataError`, also for a model without renderings.
  init(_ directory: DataDirectory, split: SolidSplit, imageSide: Int, volumeSide: Int) throws(DataError) {
    guard let volumes = directory.firstDirectory(of: [Self.volumeFolder]),
      let renderings = directory.firstDirectory(of: [Self.renderingFolder])
    else {
      throw directory.wrongFormat(expected: [
        "SYNSET_train.tfrecords with SYNSET_val.tfrecords (or _test)",
        "\(Self.volumeFolder)/SYNSET/MODEL/model.binvox with \(Self.renderingFolder)/SYNSET/MODEL/rendering/00.png …",
      ])
    }
    var models: [String] = []
    var views: Int?
    for synset in try volumes.subdirectories() {
      let all = try DataDirectory(volumes.path(of: synset)).subdirectories()
      let boundary = all.count * 4 / 5
      for model in split == .train ? all[..<boundary] : all[boundary...] {
        models.append(synset + "/" + model)
        guard views == nil else { continue }
        let folder = try DataDirectory(renderings.path(of: synset + "/" + model + "/rendering"))
        views = try folder.entries().count { $0.hasSuffix(".png") }
      }
    }
    guard let views, views > 0 else {
      throw .empty(
        path: volumes.path, expected: "folders SYNSET/MODEL, at least five a synset, and their renderings")
    }
    self.volumes = volumes
    self.renderings = renderings
    self.models = models
    self.views = views
    self.imageSide = imageSide
    self.volumeSide = volumeSide
    origin = directory.path
  }

  func solid(_ index: Int, view: Int) throws(DataError) -> Solid {
    let number = view < 10 ? "0\(view)" : "\(view)"
    let path = renderings.path(of: "\(models[index])/rendering/\(number).png")
    let encoded = try EncodedImage(path: path)
    let box = PixelBox.centre(
      width: encoded.width, height: encoded.height, resize: imageSide, crop: imageSide)
    let decoded = try encoded.decode()
    let image = [Float](unsafeUninitializedCapacity: 3 * imageSide * imageSide) { buffer, count in
      decoded.write(
        box, side: imageSide, isMirrored: false, statistics: .unit,
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<(3 * imageSide * imageSide)]))
      count = 3 * imageSide * imageSide
    }
    let file = volumes.path(of: models[index] + "/model.binvox")
    let (side, voxels) = try Binvox.read(file)
    guard side >= volumeSide, side % volumeSide == 0 else {
      throw .unsuitable(
        path: file, reason: "it has \(side)³ voxels, the model makes \(volumeSide)³, and one does not divide the other")
    }
    return Solid(image: image, volume: SolidScaling.coarser(voxels, side: side, to: volumeSide))
  }
}

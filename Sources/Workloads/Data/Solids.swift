// What a reconstruction learns from: solids as volumes, each with pictures from all around.

/// Solids with pictures. Safe to use from a loading thread.
protocol Solids: Sendable {
  /// Number of solids.
  var count: Int { get }
  /// Pictures of each.
  var views: Int { get }
  /// Width and height of a picture, in pixels.
  var imageSide: Int { get }
  /// Width, height and depth of a volume, in voxels.
  var volumeSide: Int { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// One picture and the volume of a solid.
  ///
  /// - Throws: `DataError` for one that can't be read.
  func solid(_ index: Int, view: Int) throws(DataError) -> Solid
}

/// A solid, as one picture shows it and as it is.
struct Solid: Sendable {
  /// [3, side, side], 0 to 1.
  var image: [Float]
  /// [side, side, side]: height, then depth, then width. 1 where there is something.
  var volume: [Float]
}

/// Solids as a data set: inputs are pictures f32 [n, 3, side, side], targets volumes f32 [n, 1, side, side, side].
struct SolidBatches: Dataset {
  let source: any Solids
  /// Every picture of every solid is a sample; otherwise every solid is, in a random picture.
  let hasAllViews: Bool

  var count: Int { hasAllViews ? source.count * source.views : source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var (images, volumes): ([Float], [Float]) = ([], [])
    for index in indices {
      let solid =
        hasAllViews
        ? try source.solid(index / source.views, view: index % source.views)
        : try source.solid(index, view: random.integer(below: source.views))
      images += solid.image
      volumes += solid.volume
    }
    let (n, side, voxels) = (indices.count, source.imageSide, source.volumeSide)
    return Batch(
      samples: n, inputs: [HostTensor(images, shape: [n, 3, side, side])],
      targets: [HostTensor(volumes, shape: [n, 1, voxels, voxels, voxels])])
  }
}

// The binvox format: a volume of voxels, run by run.
import Foundation

/// Voxels as 3D-R2N2 ships ShapeNet's.
enum Binvox {
  /// Reads a cube of voxels: [side, side, side] as height, depth, width; 1 where there is something.
  ///
  /// The file begins with lines `#binvox 1`, `dim D H W`, `translate …`, `scale …`, `data`; then pairs of a value
  /// (0 or 1) and a count (1 to 255). In the file, the height runs fastest, then the depth, then the width.
  ///
  /// - Throws: `DataError`.
  static func read(_ path: String) throws(DataError) -> (side: Int, voxels: [Float]) {
    let bytes = try ByteStream(path: path).readAll(limit: 1 << 28)
    var position = 0
    func line() -> String? {
      guard let end = bytes[position...].prefix(256).firstIndex(of: 0x0A) else { return nil }
      defer { position = end + 1 }
      return String(decoding: bytes[position..<end], as: UTF8.self).trimmingCharacters(in: .whitespaces)
    }
    guard let magic = line(), magic.hasPrefix("#binvox") else {
      throw .corruptFile(path: path, reason: "it does not begin with #binvox")
    }
    var side = 0
    while true {
      guard let text = line() else { throw .corruptFile(path: path, reason: "its header has no line \"data\"") }
      if text == "data" { break }
      let words = text.split(separator: " ")
      if words.first == "dim" {
        let sizes = words.dropFirst().compactMap { Int($0) }
        guard sizes.count == 3, sizes.allSatisfy({ $0 == sizes[0] }), (1...512).contains(sizes[0]) else {
          throw .corruptFile(path: path, reason: "its line \"\(text)\" does not describe a cube of 1 to 512 voxels")
        }
        side = sizes[0]
      }
    }
    guard side > 0 else { throw .corruptFile(path: path, reason: "its header has no line \"dim\"") }
    let total = side * side * side
    var voxels = [Float](repeating: 0, count: total)
    var done = 0
    while done < total {
      guard position + 2 <= bytes.count else {
        throw .corruptFile(path: path, reason: "it ends after \(done) of \(total) voxels")
      }
      let (value, count) = (bytes[position], Int(bytes[position + 1]))
      position += 2
      guard value <= 1, count > 0, done + count <= total else {
        throw .corruptFile(
          path: path, reason: "the run of \(count) voxels of value \(value) at byte \(position - 2) cannot be")
      }
      if value == 1 {
        for index in done..<done + count {
          let (width, depth, height) = (index / (side * side), index / side % side, index % side)
          voxels[(height * side + depth) * side + width] = 1
        }
      }
      done += count
    }
    guard position == bytes.count else {
      throw .corruptFile(path: path, reason: "\(bytes.count - position) bytes follow the last voxel")
    }
    return (side, voxels)
  }
}

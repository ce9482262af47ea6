// From a FLAC or WAV file to samples, by libsndfile.
import CSndfile
import Foundation

/// A sound file, opened, of which only the header has been read.
final class AudioFile {
  let path: String
  /// Samples a second.
  let sampleRate: Int
  /// Samples of each channel; from the header, so more than there are when the file was cut short.
  let frameCount: Int
  private let channels: Int
  private let handle: OpaquePointer

  /// - Throws: `DataError.unreadable`, `.corruptFile`.
  init(path: String) throws(DataError) {
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw .unreadable(
        path: path,
        reason: FileManager.default.fileExists(atPath: path) ? "permission denied" : "no such file")
    }
    try Self.checkLength(ofWave: path)
    var info = SF_INFO()
    guard let handle = sf_open(path, Int32(SFM_READ), &info) else {
      throw .corruptFile(path: path, reason: "libsndfile says \"\(String(cString: sf_strerror(nil)))\"")
    }
    self.handle = handle
    self.path = path
    sampleRate = Int(info.samplerate)
    frameCount = Int(info.frames)
    channels = Int(info.channels)
    // A longest recording of a day and 48 kHz; more is a damaged header, and would be reserved at once.
    guard channels == 1, frameCount >= 0, frameCount < 1 << 32, sampleRate > 0 else {
      throw .corruptFile(
        path: path,
        reason: "it has \(channels) channels of \(frameCount) samples at \(sampleRate) Hz; speech has one channel")
    }
  }

  deinit { sf_close(handle) }

  /// A WAV file that was cut short: libsndfile would take what is there for everything.
  private static func checkLength(ofWave path: String) throws(DataError) {
    guard let file = FileHandle(forReadingAtPath: path) else { return }
    defer { try? file.close() }
    guard let head = try? file.read(upToCount: 8), head.count == 8, head.starts(with: Array("RIFF".utf8)),
      let length = try? file.seekToEnd()
    else { return }
    // Programs that write into a pipe don't know the length, and put in the largest.
    let claimed = head[head.startIndex + 4..<head.endIndex].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard claimed + 8 <= length || claimed >= 0x7FFF_0000 else {
      throw .corruptFile(path: path, reason: "its header claims \(claimed + 8) bytes, it has \(length)")
    }
  }

  /// Seconds.
  var duration: Double { Double(frameCount) / Double(sampleRate) }

  /// All samples, 16 bit (deeper ones are cut to that).
  ///
  /// - Throws: `DataError.corruptFile` where there are fewer than the header says.
  func samples() throws(DataError) -> [Int16] {
    let samples = [Int16](unsafeUninitializedCapacity: frameCount) { buffer, count in
      count = buffer.baseAddress.map { max(Int(sf_readf_short(handle, $0, sf_count_t(frameCount))), 0) } ?? 0
    }
    guard samples.count == frameCount, sf_error(handle) == Int32(SF_ERR_NO_ERROR) else {
      throw .corruptFile(
        path: path,
        reason: "it ends after \(samples.count) of \(frameCount) samples (libsndfile: "
          + "\(String(cString: sf_strerror(handle))))")
    }
    return samples
  }
}

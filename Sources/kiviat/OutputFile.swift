// Where a result goes: a file that is replaced only when it is complete, or stdout.
import Foundation

/// A place for a result, checked before the work begins.
struct OutputFile {
  /// `nil` for stdout.
  let path: String?

  /// - Parameter argument: what the user gave with `-o`; `-` is stdout.
  init(_ argument: String) throws {
    guard argument != "-" else {
      path = nil
      return
    }
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: argument, isDirectory: &isDirectory), isDirectory.boolValue {
      throw Failure(message: "\(argument) is a directory: name a file in it with -o")
    }
    // Not NSString.deletingLastPathComponent: Foundation on Linux traps on ".".
    let parent = argument.lastIndex(of: "/").map { String(argument[...$0]) } ?? "."
    guard access(parent, W_OK) == 0 else {
      throw Failure(
        message:
          "can't write \(argument): \(String(cString: strerror(errno))) (\(parent)); choose another place with -o")
    }
    path = argument
  }

  func write(_ text: String) throws {
    let data = Data(text.utf8)
    do {
      guard let path else {
        try FileHandle.standardOutput.write(contentsOf: data)
        return
      }
      // A device such as /dev/full can't be replaced, only written.
      if (try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType) == .typeRegular
        || !FileManager.default.fileExists(atPath: path)
      {
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)
      } else {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.write(contentsOf: data)
        try handle.close()
      }
    } catch {
      throw Failure(message: "can't write \(path ?? "to stdout"): \(Self.cause(error)); nothing else was changed")
    }
  }

  /// What the system says of an error.
  static func cause(_ error: any Error) -> String {
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    let system = underlying ?? (error as NSError)
    return system.domain == NSPOSIXErrorDomain
      ? String(cString: strerror(Int32(system.code))) : (error as NSError).localizedDescription
  }
}

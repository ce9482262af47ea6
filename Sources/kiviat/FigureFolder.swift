// Where do figures and tables for papers go?
import Foundation
import Report

/// A folder for figures, made before the work begins.
struct FigureFolder {
  let path: String

  init(_ argument: String) throws {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: argument, isDirectory: &isDirectory) {
      guard isDirectory.boolValue else {
        throw Failure(message: "\(argument) is a file: name a folder with --figures")
      }
    } else {
      do {
        try FileManager.default.createDirectory(atPath: argument, withIntermediateDirectories: true)
      } catch {
        throw Failure(
          message: "can't make the folder \(argument): \(OutputFile.cause(error)); choose another place with --figures")
      }
    }
    guard access(argument, W_OK) == 0 else {
      throw Failure(
        message:
          "can't write into \(argument): \(String(cString: strerror(errno))); choose another place with --figures")
    }
    path = argument
  }

  /// Writes the files over those of the same names; what was written, in words.
  func write(_ files: [FigureFile]) throws -> String {
    for file in files { try OutputFile("\(path)/\(file.name)").write(file.contents) }
    let figures = files.count { $0.name.hasSuffix(".svg") }
    let tables = files.count { $0.name.hasSuffix(".csv") } - figures
    return "wrote \(figures) figure\(figures == 1 ? "" : "s") and \(tables) table\(tables == 1 ? "" : "s") into \(path)"
  }
}

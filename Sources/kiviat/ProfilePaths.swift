// Which profiles does an argument of `kiviat report` mean, and where does their report go?
import Foundation
import Report
import Suites

enum ProfilePaths {
  /// The profile itself, or those of a folder: a suite's in its order, others by name.
  static func profiles(_ argument: String) throws -> [String] {
    guard isFolder(argument) else { return [argument] }
    let record: SuiteRecord?
    do { record = try SuiteRecord.read(folder: argument) } catch { throw Failure(message: "\(error)") }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: argument).filter { $0.hasSuffix(".kiviat") }.sorted()
    } catch {
      throw Failure(message: "can't read the folder \(argument): \(error.localizedDescription)")
    }
    for run in record?.runs ?? [] where !names.contains(run.profile) && run.state != .leftOut {
      Terminal.warning("\(run.id) has no profile: \(run.sentence)")
    }
    guard !names.isEmpty else {
      throw Failure(message: "there is no profile in \(argument); write some: kiviat profile SUITE -o \(argument)")
    }
    let order = (record?.runs ?? []).map(\.profile).filter(names.contains)
    return (order + names.filter { !order.contains($0) }).map {
      argument.hasSuffix("/") ? argument + $0 : "\(argument)/\($0)"
    }
  }

  /// `run.html` beside `run.kiviat`, `report.html` in a folder.
  static func report(besides argument: String, _ format: ReportFormat) -> String {
    isFolder(argument)
      ? (argument.hasSuffix("/") ? argument : argument + "/") + "report." + format.fileExtension
      : argument.replacingSuffix(".kiviat", with: "." + format.fileExtension)
  }

  static func isFolder(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }
}

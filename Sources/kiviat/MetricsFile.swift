// Which metrics and events does a user's file add (--metrics FILE)?
import Foundation
import Metrics
import ProfileModel
import Profiler
import Suites

/// A user's file, read and checked against this machine's processor.
struct MetricsFile {
  /// Its text, which goes into the profile.
  var text: String
  /// Its name, without the folder.
  var name: String
  /// What it says.
  var metrics: UserMetrics

  private static let longest = 1 << 20

  /// Reads a file.
  ///
  /// - Throws: `Failure` with file, line, cause and way out.
  init(_ path: String, family: MetricFamily) throws {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
      throw Failure(
        message: "--metrics \(path): \(isDirectory.boolValue ? "it is a folder" : "there is no such file")", status: 64)
    }
    guard let file = FileHandle(forReadingAtPath: path), let bytes = try? file.read(upToCount: Self.longest + 1) else {
      throw Failure(message: "--metrics \(path): it can't be read, or is empty", status: 64)
    }
    guard bytes.count <= Self.longest, let text = String(bytes: bytes, encoding: .utf8) else {
      throw Failure(message: "--metrics \(path): it is longer than 1 MiB, or no UTF-8 text", status: 64)
    }
    self.text = text
    name = (path as NSString).lastPathComponent
    do {
      metrics = try UserMetrics(text, named: path, to: family)
    } catch {
      throw Failure(message: "\(error)", status: 64)
    }
    // Names of events are perf's and libpfm4's: only they know whether they exist.
    for event in metrics.events where !event.isMachineWide {
      do {
        _ = try MetricEvents().spec(event)
      } catch {
        throw Failure(
          message: ManifestError(file: path, line: event.sourceLine, "event '\(event.name)': \(error)").description,
          status: 64)
      }
    }
  }

  /// The file's events, those of its groups together, the others alone.
  func specs(firstGroup: Int) throws(EventError) -> [PerfEventSpec] {
    let events = MetricEvents()
    var specs = try events.specs(metrics.groups, of: metrics.family, firstGroup: firstGroup)
    let grouped = Set(metrics.groups.flatMap(\.events))
    for event in metrics.events where !grouped.contains(event.name) && !event.isMachineWide {
      specs.append(try events.spec(event))
    }
    return specs
  }
}

extension MetricFamily {
  /// The family of this machine's processor.
  static func ofThisMachine(_ host: Profiler.Host) -> MetricFamily? {
    try? MetricCatalogue.family(of: CPUIdentity(host: host.quantities))
  }
}

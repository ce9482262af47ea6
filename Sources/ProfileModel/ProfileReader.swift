// Reads a profile file whole. Opens every version ever written.
import Foundation
import GRDB

/// The first bytes of an SQLite file: enough to tell a profile from anything else without opening it.
struct ProfileFileHeader {
  let isSQLite: Bool
  let isProfile: Bool

  init?(descriptor: Int32) {
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = pread(descriptor, &bytes, 100, 0)
    guard count >= 0 else { return nil }
    isSQLite = count == 100 && bytes.starts(with: Array("SQLite format 3\0".utf8))
    // SQLite keeps the application id big-endian at offset 68 (file format, section 1.3).
    let id = bytes[68..<72].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    isProfile = isSQLite && id == UInt32(bitPattern: ProfileSchema.applicationID)
  }
}

extension Profile {
  /// Reads a profile file.
  ///
  /// - Throws: `ProfileError`.
  public init(contentsOf path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? ProfileError.notFound(path: path)
        : ProfileError.notReadable(path: path, detail: String(cString: strerror(errno)))
    }
    var status = stat()
    fstat(descriptor, &status)
    let header = ProfileFileHeader(descriptor: descriptor)
    close(descriptor)
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw ProfileError.notReadable(path: path, detail: "it is a directory")
    }
    guard header?.isProfile == true else { throw ProfileError.notAProfile(path: path) }
    do {
      self = try ProfileFile.open(path).read { db in
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= ProfileSchema.version else { throw ProfileError.fromTheFuture(path: path, version: version) }
        return try Profile(version: version, db)
      }
    } catch let error as DatabaseError {
      throw ProfileError.damaged(path: path, detail: error.message ?? "\(error.resultCode)")
    }
  }

  private init(version: Int32, _ db: Database) throws {
    self.init(schemaVersion: version)
    for row in try Row.fetchAll(db, sql: "SELECT name, value FROM setting") { settings[row[0]] = row[1] }
    var data: [Int: RepetitionData] = [:]
    for row in try Row.fetchAll(db, sql: "SELECT * FROM repetition ORDER BY idx") {
      let repetition = Repetition(
        index: row["idx"], startedAtUnixNanoseconds: row["started_at_unix_ns"],
        startMonotonicNanoseconds: row["start_monotonic_ns"], wallNanoseconds: row["wall_ns"],
        state: Repetition.State(rawValue: row["state"]) ?? .running, exitStatus: row["exit_status"],
        signal: row["signal"])
      data[repetition.index] = RepetitionData(repetition: repetition)
    }
    func each(_ table: String, order: String, _ body: (Row, inout RepetitionData) -> Void) throws {
      let rows = try Row.fetchCursor(db, sql: "SELECT * FROM \(table) ORDER BY repetition, \(order)")
      while let row = try rows.next() {
        let index: Int = row["repetition"]
        guard data[index] != nil else { continue }
        body(row, &data[index]!)
      }
    }
    for row in try Row.fetchAll(db, sql: "SELECT * FROM quantity WHERE repetition = -1 ORDER BY name") {
      host.append(Self.quantity(row))
    }
    try each("quantity", order: "name") { $1.quantities.append(Self.quantity($0)) }
    try each("collector", order: "name") { row, data in
      data.collectors.append(
        CollectorState(
          row["name"], CollectorState.Outcome(rawValue: row["outcome"]) ?? .unavailable, method: row["method"],
          reason: row["reason"], remedy: row["remedy"]))
    }
    try each("counter", order: "position") { row, data in
      data.counters.append(
        CounterTotal(
          event: row["event"], unit: row["unit"], group: row["event_group"],
          value: Self.measured(row["value"] as Double?, row), enabledNanoseconds: row["enabled_ns"],
          runningNanoseconds: row["running_ns"]))
    }
    for row in try Row.fetchAll(db, sql: "SELECT * FROM series ORDER BY name") {
      series.append(Series(name: row["name"], unit: row["unit"], provenance: Self.provenance(row)))
    }
    try each("point", order: "series, time_ns") { row, data in
      data.points.append(SeriesPoint(series: row["series"], timeNanoseconds: row["time_ns"], value: row["value"]))
    }
    try each("thread", order: "start_ns, pid, tid") { row, data in data.threads.append(Self.thread(row)) }
    try each("sample", order: "stack, pid, tid, kernel") { row, data in
      let kernel: Int64 = row["kernel"]
      data.samples.append(
        SampleTotal(
          stack: row["stack"], pid: row["pid"], tid: row["tid"], kernel: kernel < 0 ? nil : kernel,
          samples: row["samples"], weightNanoseconds: row["weight_ns"]))
    }
    try each("kernel", order: "id") { row, data in data.kernels.append(Self.kernel(row)) }
    try each("training_step", order: "step") { row, data in
      data.steps.append(
        TrainingStep(
          step: row["step"], epoch: row["epoch"], timeNanoseconds: row["time_ns"],
          durationNanoseconds: row["duration_ns"],
          samples: row["samples"], loss: row["loss"] as Double? ?? .nan))
    }
    try each("training_epoch", order: "time_ns") { row, data in
      data.epochs.append(
        TrainingEpoch(
          epoch: row["epoch"], stage: row["stage"], timeNanoseconds: row["time_ns"],
          durationNanoseconds: row["duration_ns"], samples: row["samples"],
          meanLoss: row["mean_loss"] as Double? ?? .nan,
          metric: row["metric"], quality: row["quality"] as Double? ?? .nan))
    }
    try each("inference_query", order: "idx") { row, data in
      data.queries.append(
        InferenceQuery(index: row["idx"], latencyNanoseconds: row["latency_ns"], samples: row["samples"]))
    }
    try each("note", order: "position") { row, data in
      data.notes.append(Note(Note.Level(rawValue: row["level"]) ?? .info, row["message"]))
    }
    let frameRows = try Row.fetchCursor(db, sql: "SELECT * FROM frame")
    while let row = try frameRows.next() {
      frames[row["id"]] = Frame(
        function: row["function"], module: row["module"], file: row["file"], line: row["line"],
        kind: Frame.Kind(rawValue: row["kind"]) ?? .unknown)
    }
    let stackRows = try Row.fetchCursor(db, sql: "SELECT * FROM stack")
    while let row = try stackRows.next() {
      stacks[row["id"]] = StackNode(parent: row["parent"], frame: row["frame"])
    }
    repetitions = data.values.sorted { $0.repetition.index < $1.repetition.index }
  }

  private static func provenance(_ row: Row) -> Provenance {
    Provenance(
      Provenance.Source(rawValue: row["source"] as String? ?? "") ?? .derived, runningFraction: row["running_fraction"],
      detail: row["detail"])
  }

  private static func measured<T>(_ value: T?, _ row: Row) -> Measured<T> {
    guard let value else {
      return .unavailable(Unavailable(row["reason"] as String? ?? "not measured", remedy: row["remedy"]))
    }
    return .measured(value, provenance(row))
  }

  private static func quantity(_ row: Row) -> Quantity {
    let stored: DatabaseValue = row["value"]
    let value: QuantityValue? =
      switch stored.storage {
      case .string(let text): .text(text)
      case .double(let number): .number(number)
      case .int64(let number): .number(Double(number))
      default: nil
      }
    return Quantity(row["name"], unit: row["unit"], measured(value, row))
  }

  private static func thread(_ row: Row) -> ThreadRecord {
    var thread = ThreadRecord(
      pid: row["pid"], tid: row["tid"], parentPID: row["parent_pid"], name: row["name"],
      startNanoseconds: row["start_ns"],
      endNanoseconds: row["end_ns"])
    thread.runningNanoseconds = row["running_ns"]
    thread.runnableNanoseconds = row["runnable_ns"]
    thread.blockedLockNanoseconds = row["blocked_lock_ns"]
    thread.blockedIONanoseconds = row["blocked_io_ns"]
    thread.sleepingNanoseconds = row["sleeping_ns"]
    thread.blockedOtherNanoseconds = row["blocked_other_ns"]
    thread.exitStatus = row["exit_status"]
    return thread
  }

  private static func kernel(_ row: Row) -> KernelRecord {
    func brief<T: DatabaseValueConvertible>(_ column: String, _ value: T?) -> Measured<T> {
      let detail: String? = row["\(column)_detail"]
      guard let value else { return .unavailable(Unavailable(detail ?? "not measured")) }
      let source = Provenance.Source(rawValue: row["\(column)_source"] as String? ?? "") ?? .declared
      return .measured(value, Provenance(source, detail: detail))
    }
    return KernelRecord(
      id: row["id"], name: row["name"], category: KernelCategory(rawValue: row["category"]) ?? .uncategorized,
      phase: KernelRecord.Phase(rawValue: row["phase"]) ?? .other, modulePath: row["module_path"],
      thread: row["thread"], shapes: row["shapes"], types: row["types"], calls: row["calls"],
      totalNanoseconds: row["total_ns"], selfNanoseconds: row["self_ns"],
      threadCPUNanoseconds: brief("cpu", row["cpu_ns"] as Int64?), flops: brief("flops", row["flops"] as Double?),
      bytes: brief("bytes", row["bytes"] as Double?))
  }
}

/// Opening a profile that may have been left mid-write.
private enum ProfileFile {
  /// Read-write where possible: after a crash SQLite must roll the journal back before anyone can read.
  static func open(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.busyMode = .timeout(5)
    if access(path + "-journal", F_OK) == 0, let queue = try? DatabaseQueue(path: path, configuration: configuration) {
      return queue
    }
    configuration.readonly = true
    return try DatabaseQueue(path: path, configuration: configuration)
  }
}

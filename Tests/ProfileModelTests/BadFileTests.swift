// What happens to files that are damaged, foreign, locked or in the way, and to those whose writer died?
import Foundation
import GRDB
import Testing

@testable import ProfileModel

/// What an exit test leaves for its parent, which knows the child only by its own process id.
private func crashFile(_ name: String, parent: pid_t) -> String {
  FileManager.default.temporaryDirectory.appendingPathComponent("kiviat-\(name)-\(parent).kiviat").path
}

private func remove(_ path: String) {
  for suffix in ["", "-journal", ".old", ".old-journal"] { unlink(path + suffix) }
}

/// One committed "second" of a run: its point and its total.
private func write(second: Int64, to writer: ProfileWriter) throws {
  try writer.write { t in
    try t.repetition(
      Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0, wallNanoseconds: second))
    try t.point(SeriesPoint(series: "threads", timeNanoseconds: second, value: 1), repetition: 0)
  }
}

@Suite(.serialized) struct CrashTests {
  @Test func killedBetweenTransactions() async throws {
    let path = crashFile("between", parent: getpid())
    defer { remove(path) }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      let writer = try ProfileWriter(creating: crashFile("between", parent: getppid()), settings: ["a": "b"])
      for second in Int64(1)...5 { try write(second: second, to: writer) }
      kill(getpid(), SIGKILL)
    }
    let data = try #require(try Profile(contentsOf: path).repetitions.first)
    #expect(data.repetition.state == .running)
    #expect(data.repetition.wallNanoseconds == 5 && data.points.count == 5)
  }

  /// Killed in the middle of a transaction so large that SQLite has begun to write it into the file.
  @Test func killedWithinTransactionIsRolledBack() async throws {
    let path = crashFile("within", parent: getpid())
    defer { remove(path) }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      let writer = try ProfileWriter(creating: crashFile("within", parent: getppid()))
      for second in Int64(1)...3 { try write(second: second, to: writer) }
      try writer.write { t in
        for id in Int64(0)..<20_000 {
          try t.frame(Frame(function: String(repeating: "f", count: 400), module: "m", kind: .user), id: id)
        }
        kill(getpid(), SIGKILL)
      }
    }
    #expect(access(path + "-journal", F_OK) == 0, "the test wants a hot journal")
    let profile = try Profile(contentsOf: path)
    #expect(profile.repetitions.first?.points.count == 3)
    #expect(profile.frames.isEmpty)
    #expect(access(path + "-journal", F_OK) != 0)
  }

  /// The next run keeps the killed one's file, with the journal that it needs.
  @Test func killedFileIsKeptAsOld() async throws {
    let path = crashFile("old", parent: getpid())
    defer { remove(path) }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      let writer = try ProfileWriter(creating: crashFile("old", parent: getppid()), settings: ["run": "first"])
      try write(second: 1, to: writer)
      try writer.write { t in
        for id in Int64(0)..<20_000 {
          try t.frame(Frame(function: String(repeating: "f", count: 400), module: "m", kind: .user), id: id)
        }
        kill(getpid(), SIGKILL)
      }
    }
    _ = try ProfileWriter(creating: path, settings: ["run": "second"])
    #expect(try Profile(contentsOf: path).settings == ["run": "second"])
    let old = try Profile(contentsOf: path + ".old")
    #expect(old.settings == ["run": "first"] && old.frames.isEmpty && old.repetitions.count == 1)
  }

  /// No more room (here: the limit on file sizes, which needs no root): what was committed stays.
  @Test func fullDiskKeepsWhatWasCommitted() async throws {
    let path = crashFile("full", parent: getpid())
    defer { remove(path) }
    await #expect(processExitsWith: .success) {
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 400_000, rlim_max: 400_000)
      setrlimit(__rlimit_resource_t(1), &limit)
      let writer = try ProfileWriter(creating: crashFile("full", parent: getppid()))
      var written: Int64 = 0
      do {
        while written < 10_000 {
          try writer.write { t in
            for id in 0..<Int64(100) {
              try t.frame(
                Frame(function: String(repeating: "f", count: 100), module: "m", kind: .user), id: written + id)
            }
          }
          written += 100
        }
        exit(1)
      } catch ProfileError.notWritable {
        // The writer lives on, and so does the profile.
        let count = try Profile(contentsOf: crashFile("full", parent: getppid())).frames.count
        exit(count == Int(written) && written > 0 ? 0 : 2)
      }
    }
    #expect(try Profile(contentsOf: path).frames.count >= 100)
  }
}

@Suite struct BadFileTests {
  let folder = TemporaryFolder()

  private func make(_ name: String = "good.kiviat", seed: UInt64 = 1) throws -> String {
    var maker = RecordMaker(seed: seed)
    let path = folder.file(name)
    try maker.profile(repetitions: 1, count: 6).write(to: path)
    return path
  }

  private func error(reading path: String) -> ProfileError? {
    do {
      _ = try Profile(contentsOf: path)
      return nil
    } catch {
      return error as? ProfileError
    }
  }

  @Test func notThere() {
    let path = folder.file("none.kiviat")
    #expect(error(reading: path) == .notFound(path: path))
    #expect("\(ProfileError.notFound(path: path))".contains("kiviat profile -o"))
  }

  @Test(arguments: ["", "x", "SQLite format 3\0", String(repeating: "garbage ", count: 1000), "{\"json\": true}"])
  func notAProfile(content: String) throws {
    let path = folder.file("foreign")
    try content.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(error(reading: path) == .notAProfile(path: path))
  }

  @Test func otherSQLiteFileIsNoProfile() throws {
    let path = folder.file("other.db")
    try DatabaseQueue(path: path).inDatabase { try $0.execute(sql: "CREATE TABLE setting (name, value)") }
    #expect(error(reading: path) == .notAProfile(path: path))
  }

  @Test func directoryAndDevicesAreRefused() {
    #expect(error(reading: folder.path) == .notReadable(path: folder.path, detail: "it is a directory"))
    #expect(error(reading: "/dev/zero") == .notReadable(path: "/dev/zero", detail: "it is not a regular file"))
    let fifo = folder.file("fifo")
    mkfifo(fifo, 0o600)
    #expect(error(reading: fifo) == .notReadable(path: fifo, detail: "it is not a regular file"))
  }

  @Test(.enabled(if: geteuid() != 0, "root may read every file"))
  func unreadable() throws {
    let path = try make()
    chmod(path, 0)
    #expect(error(reading: path) == .notReadable(path: path, detail: "Permission denied"))
  }

  @Test func fromTheFuture() throws {
    let path = try make()
    try DatabaseQueue(path: path).inDatabase { try $0.execute(sql: "PRAGMA user_version = 99") }
    #expect(error(reading: path) == .fromTheFuture(path: path, version: 99))
    #expect("\(ProfileError.fromTheFuture(path: path, version: 99))".contains("update Kiviat"))
  }

  @Test func withoutATable() throws {
    let path = try make()
    try DatabaseQueue(path: path).inDatabase { try $0.execute(sql: "DROP TABLE sample") }
    guard case .damaged(_, let detail) = error(reading: path) else { throw ProfileError.notFound(path: "an error") }
    #expect(detail.contains("sample"))
  }

  /// A view under a table's name could keep the reader busy for ever.
  @Test func viewIsNoTable() throws {
    let path = try make()
    try DatabaseQueue(path: path).inDatabase {
      try $0.execute(
        sql: """
          DROP TABLE note;
          CREATE VIEW note AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n)
            SELECT 0 AS repetition, i AS position, 'info' AS level, 'x' AS message FROM n
          """)
    }
    guard case .damaged = error(reading: path) else { throw ProfileError.notFound(path: "an error") }
  }

  /// Every length that a copy cut short can have, in steps.
  @Test func truncatedFilesAreToldFromWholeOnes() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: make()))
    for length in stride(from: 0, to: whole.count, by: 1500) {
      let path = folder.file("cut.kiviat")
      try whole.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect(error(reading: path) != nil, "\(length) of \(whole.count) bytes")
    }
  }

  /// Flipped bytes: an error or a profile, and never a crash.
  @Test(arguments: 0..<60)
  func flippedBytesDoNotCrash(seed: Int) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: make()))
    var random = SeededGenerator(state: UInt64(seed))
    for _ in 0..<(1 << (seed % 12)) {
      bytes[Int.random(in: 100..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
    }
    let path = folder.file("flipped.kiviat")
    try bytes.write(to: URL(fileURLWithPath: path))
    do { _ = try Profile(contentsOf: path) } catch { #expect(error is ProfileError, "\(error)") }
  }

  /// Text where a number belongs, NULL where nothing may be missing, numbers beyond every range: in every column.
  @Test func wrongTypesAreDamage() throws {
    let good = try make()
    let columns = try DatabaseQueue(path: good).read { db in
      try ProfileSchema.tables.flatMap { table in
        try String.fetchAll(db, sql: "SELECT name FROM pragma_table_info(?)", arguments: [table]).map { (table, $0) }
      }
    }
    let bad = folder.file("bad.kiviat")
    for (table, column) in columns {
      for value in ["'text'", "NULL", "x'00ff'", "9223372036854775807"] {
        try? FileManager.default.removeItem(atPath: bad)
        try FileManager.default.copyItem(atPath: good, toPath: bad)
        // A copy of the table without types and constraints takes anything.
        try DatabaseQueue(path: bad).inDatabase { db in
          try db.execute(
            sql: """
              PRAGMA synchronous = OFF;
              CREATE TABLE copied AS SELECT * FROM \(table);
              DROP TABLE \(table);
              UPDATE copied SET \(column) = \(value);
              ALTER TABLE copied RENAME TO \(table)
              """)
        }
        do { _ = try Profile(contentsOf: bad) } catch {
          guard case ProfileError.damaged = error else {
            Issue.record("\(table).\(column) = \(value): \(error)")
            continue
          }
        }
      }
    }
  }

  // MARK: Writing

  private func error(writing path: String) -> ProfileError? {
    do {
      _ = try ProfileWriter(creating: path)
      return nil
    } catch {
      return error as? ProfileError
    }
  }

  @Test func twoWritersOfOneFile() throws {
    let path = folder.file("a.kiviat")
    let first = try ProfileWriter(creating: path, settings: ["who": "first"])
    #expect(error(writing: path) == .inUse(path: path))
    // The first is not disturbed.
    try first.write { try $0.setting("still", "here") }
    #expect(try Profile(contentsOf: path).settings == ["who": "first", "still": "here"])
  }

  /// `kiviat profile -- true` has 40 ms for everything, in a release build; this bound is for a debug one on a busy machine.
  @Test func creatingIsQuick() throws {
    let clock = ContinuousClock()
    let times = try (0..<5).map { index in
      try clock.measure { _ = try ProfileWriter(creating: folder.file("\(index).kiviat"), settings: ["a": "b"]) }
    }
    #expect(times.min()! < .milliseconds(60))
    print("creating a profile: \(times.sorted().map { $0.formatted(.units(allowed: [.microseconds])) })")
  }

  @Test func pathIsFreeAfterTheWriter() throws {
    let path = folder.file("a.kiviat")
    _ = try ProfileWriter(creating: path, settings: ["run": "1"])
    _ = try ProfileWriter(creating: path, settings: ["run": "2"])
    #expect(try Profile(contentsOf: path).settings["run"] == "2")
    #expect(try Profile(contentsOf: path + ".old").settings["run"] == "1")
  }

  @Test(arguments: ["important.txt", "other.db"])
  func otherFilesAreLeftAlone(name: String) throws {
    let path = folder.file(name)
    let content = Data("not a profile".utf8)
    try content.write(to: URL(fileURLWithPath: path))
    #expect(error(writing: path) == .wouldOverwrite(path: path))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
  }

  @Test func emptyFileIsTaken() throws {
    let path = folder.file("empty")
    try Data().write(to: URL(fileURLWithPath: path))
    #expect(error(writing: path) == nil)
  }

  @Test func placesThatCanNotBeWritten() {
    let missing = folder.file("no/such/folder/a.kiviat")
    guard case .notWritable(_, let detail) = error(writing: missing) else {
      Issue.record("no error")
      return
    }
    #expect(detail.contains("does not exist"))
    for path in [folder.path, "/dev/full", "/dev/null", "/proc/a.kiviat", ""] {
      guard case .notWritable = error(writing: path) else {
        Issue.record("no error for \(path)")
        continue
      }
    }
    #expect(access("/dev/full", F_OK) == 0)
  }

  @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
  func folderWithoutPermission() {
    chmod(folder.path, 0o500)
    defer { chmod(folder.path, 0o700) }
    let path = folder.file("a.kiviat")
    #expect(error(writing: path) == .notWritable(path: path, detail: "Permission denied"))
  }

  @Test func everyErrorSaysCauseAndWayOut() {
    let path = "/tmp/a b.kiviat"
    let errors: [ProfileError] = [
      .notFound(path: path), .notAProfile(path: path), .damaged(path: path, detail: "d"),
      .fromTheFuture(path: path, version: 2), .notReadable(path: path, detail: "d"),
      .notWritable(path: path, detail: "d"),
      .inUse(path: path), .wouldOverwrite(path: path),
    ]
    for error in errors {
      #expect("\(error)".contains(path))
      #expect(!"\(error)".contains("\n"))
    }
  }
}

// What happens with places that can't be written, settings that make no sense, and machines that forbid measuring?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct BadSettingTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  // MARK: Output

  /// Found before the run: the command has not begun.
  @Test(arguments: ["/no/such/folder/p.kiviat", "/dev/full", "/dev/null", "/proc/p.kiviat", "."])
  func unwritablePlace(_ place: String) throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", place, "--", "touch", "begun")
    #expect(ended.status == 1 && ended.errors.contains("can't write") && ended.errors.contains("-o"), "\(ended)")
    #expect(!workplace.exists("begun"))
  }

  @Test(.enabled(if: !Machine.isRoot, "root may write everywhere"))
  func folderWithoutPermission() throws {
    chmod(workplace.path, 0o500)
    defer { chmod(workplace.path, 0o700) }
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "true")
    #expect(ended.status == 1 && ended.errors.contains("Permission denied"), "\(ended)")
  }

  @Test func otherFileIsLeftAlone() throws {
    try workplace.write("my thesis", to: "thesis.txt")
    let ended = try workplace.kiviat("profile", "-q", "-o", "thesis.txt", "--", "touch", "begun")
    #expect(ended.status == 1 && ended.errors.contains("left alone"), "\(ended)")
    #expect(try String(contentsOfFile: workplace.file("thesis.txt"), encoding: .utf8) == "my thesis")
    #expect(!workplace.exists("begun"))
  }

  /// No room for even the empty tables: said before the command begins. The limit on file sizes stands for a full disk.
  @Test func fullBeforeTheRun() throws {
    let ended = try workplace.start(
      ["bash", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""] + Programs.kiviat
        + ["profile", "-q", "-o", "p.kiviat", "--", "touch", "begun"]
    ).wait()
    #expect(ended.status == 1 && ended.errors.contains("can't write p.kiviat"), "\(ended)")
    #expect(!workplace.exists("begun") && !workplace.exists("p.kiviat"))
  }

  @Test func reportToFullDevice() throws {
    #expect(try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "true").status == 0)
    let ended = try workplace.kiviat("report", "p.kiviat", "-o", "/dev/full", "--format", "json")
    #expect(ended.status == 1 && ended.errors.contains("No space left"), "\(ended)")
    let missing = try workplace.kiviat("report", "p.kiviat", "-o", "no/such/folder/p.html")
    #expect(missing.status == 1 && missing.errors.contains("can't write"), "\(missing)")
  }

  @Test func twoRunsOfOneFile() throws {
    let first = try workplace.start(
      Programs.kiviat + ["profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "touch ready; sleep 2; exit 5"])
    first.until { workplace.exists("ready") }
    let second = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "touch", "begun")
    #expect(second.status == 1 && second.errors.contains("another kiviat is writing p.kiviat"), "\(second)")
    #expect(!workplace.exists("begun"))
    #expect(try first.wait().status == 5)
    #expect(try workplace.profile().repetitions.first?.repetition.exitStatus == 5)
  }

  // MARK: Settings

  @Test(arguments: [
    ["profile"], ["profile", "--"], ["profile", "-r", "0", "--", "true"], ["profile", "-r", "-1", "--", "true"],
    ["profile", "-r", "many", "--", "true"], ["profile", "-F", "-1", "--", "true"],
    ["profile", "--kernel-events", "cycels", "--", "true"],
    ["profile", "--kernel-events", "duration_time", "--", "true"],
    ["profile", "--kernel-events", "r1,r2,r3,r4,r5,r6,r7,r8,r9", "--", "true"],
    ["profile", "-F", "1000000000", "--", "true"], ["profile", "-F", "x", "--", "true"],
    ["profile", "--unwind", "magic", "--", "true"], ["profile", "--counters", "some", "--", "true"],
    ["profile", "--no-such-option", "--", "true"], ["profile", "--steps", "10", "--", "true"],
    ["profile", "--steps", "0", "recommendation"], ["profile", "--batch", "-4", "recommendation"],
    ["profile", "--scale", "huge", "recommendation"], ["profile", "--mode", "guess", "recommendation"],
    ["report"], ["report", "p.kiviat", "--format", "interpretive-dance"], ["no-such-verb"],
  ])
  func outOfRange(_ arguments: [String]) throws {
    let ended = try workplace.start(Programs.kiviat + arguments).wait()
    #expect(ended.status == 64, "\(arguments): \(ended)")
    #expect(!ended.errors.isEmpty && ended.output.isEmpty)
  }

  @Test(arguments: [
    ("instrctions", "instructions"), ("cycels", "cycles"), ("task-clok", "task-clock"), ("page-fault", "page-faults"),
  ])
  func unknownEventIsSuggested(typed: String, meant: String) throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "-e", typed, "--", "touch", "begun")
    #expect(ended.status == 64 && ended.errors.contains(typed) && ended.errors.contains("'\(meant)'"), "\(ended)")
    #expect(!workplace.exists("begun") && !workplace.exists("p.kiviat"))
  }

  @Test(arguments: ["", ",", "{", "{cycles", "cycles}", "{}", "{{cycles}}", "cycles:::", "\u{0301}", "🙂"])
  func malformedEvents(_ events: String) throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "-e", events, "--", "touch", "begun")
    #expect(ended.status == 64 && !ended.errors.isEmpty, "\(ended)")
    #expect(!workplace.exists("begun"))
  }

  @Test(.enabled(if: Programs.hasWorkload, "needs kiviat-workload, which is built where libtorch is installed"))
  func unknownBenchmark() throws {
    let ended = try workplace.kiviat("profile", "-q", "recomendation")
    #expect(ended.status == 64 && ended.errors.contains("recomendation"), "\(ended)")
    #expect(ended.errors.contains("recommendation"), "it names the known ones")
  }

  /// Copies the program into the workplace, by another process: a program can't be started while any process holds it open
  /// for writing, as a test that is forked just then would.
  private func copyProgram() throws {
    let copied = try workplace.start(["/bin/cp", Programs.kiviat[0], workplace.file("kiviat")]).wait()
    try #require(copied.status == 0, "\(copied)")
  }

  /// Without libtorch there is no `kiviat-workload`: the message says what to install.
  @Test func benchmarkWithoutLibtorch() throws {
    // A copy of the program has nothing beside it.
    try copyProgram()
    let ended = try workplace.start(
      [workplace.file("kiviat"), "profile", "recommendation"],
      environment: ["PATH": "/usr/bin:/bin", "KIVIAT_WORKLOAD": ""]
    ).wait()
    #expect(ended.status == 1 && ended.errors.contains("libtorch-dev"), "\(ended)")
  }

  // MARK: Permission

  /// As somebody who may not measure the kernel: less is measured, the file says why and which command changes that.
  @Test(
    .enabled(if: (Machine.paranoid ?? -1) >= 2, "perf_event_paranoid is below 2: everybody may measure here"),
    .enabled(if: !Machine.isRoot || Machine.has("setpriv"), "root needs setpriv to become somebody else"))
  func paranoidLevelTooHigh() throws {
    try copyProgram()
    chmod(workplace.path, 0o777)
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all"]
    let ended = try workplace.start(
      (Machine.isRoot ? nobody : []) + [
        workplace.file("kiviat"), "profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "exit 6",
      ]
    ).wait()
    #expect(ended.status == 6, "\(ended)")
    let collectors = try #require(try workplace.profile().repetitions.first).collectors
    let limited = collectors.filter { ($0.reason ?? "").contains("perf_event_paranoid") }
    #expect(!limited.isEmpty, "\(collectors)")
    #expect(limited.contains { ($0.remedy ?? "").contains("sysctl") }, "\(limited)")
  }
}

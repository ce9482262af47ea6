// What happens to a suite whose benchmarks finish, fail, diverge, are interrupted and are taken up again?
import Foundation
import ProfileModel
import Testing

/// `kiviat-workload` as these tests need it: a script that logs what a benchmark of that name would.
private let fakeWorkload = #"""
  #!/bin/sh
  # list --json | run NAME --option value …
  if [ "$1" = list ]; then cat "$FAKE/list.json"; exit 0; fi
  name=$2; shift 2; seed=0; target=0.8
  echo "$name $*" >>"$FAKE/calls"
  while [ $# -gt 1 ]; do
    case $1 in --seed) seed=$2;; --target) target=$2;; esac
    shift
  done
  log=$KIVIAT_RUN_DIRECTORY/workload.jsonl
  step() { echo "{\"step\":{\"step\":$1,\"epoch\":0,\"time\":$2,\"durationNanoseconds\":1000000,\"samples\":4,\"loss\":$3}}" >>"$log"; }
  now=$(awk '{printf "%d", $1 * 1000000000}' /proc/uptime)
  echo '{"setting":{"name":"seed","value":"'$seed'"}}' >>"$log"
  echo '{"setting":{"name":"batch_size","value":"4"}}' >>"$log"
  echo '{"setting":{"name":"optimizer","value":"SGD learning_rate=0.1 momentum=0.0 weight_decay=0.0 nesterov=false"}}' >>"$log"
  step 0 $now 2.5
  case $name in
  F-1)
    step 1 $((now + 1000000)) 0.5
    echo "{\"epoch\":{\"epoch\":0,\"stage\":\"\",\"time\":$((now + 2000000)),\"durationNanoseconds\":2000000,\"samples\":8,\"meanLoss\":1.5,\"metric\":\"HR@10\",\"quality\":0.85}}" >>"$log"
    echo "{\"result\":{\"reached\":true,\"metric\":\"HR@10\",\"target\":$target,\"quality\":0.85,\"epochs\":1}}" >>"$log" ;;
  F-2)
    step 1 $((now + 1000000)) '"nan"'
    echo '{"diverged":{"step":1,"message":"the loss is nan in step 1, epoch 0"}}' >>"$log"
    echo "Error: training diverged: the loss is nan in step 1, epoch 0" >&2; exit 1 ;;
  F-3) echo "Error: train/cat.jpg:1: this is no JPEG" >&2; exit 1 ;;
  F-4) : >"$FAKE/ready"; exec sleep 30 ;;
  esac
  """#

private let fakeList: String = {
  func scale(_ target: Double) -> String {
    #"{"target":{"metric":"HR@10","value":\#(target),"isHigherBetter":true},"batchSize":4,"maximumEpochs":2,"optimizer":"SGD","parameters":25557032,"forwardFLOPs":8178368512}"#
  }
  let benchmarks = (1...4).map { number in
    #"{"id":"F-\#(number)","name":"fake-\#(number)","task":"Faking","model":"A model","dataSet":"Data","dataFormat":"f","small":\#(scale(0.8)),"paper":\#(scale(0.9))}"#
  }
  return "[\(benchmarks.joined(separator: ","))]"
}()

@Suite(.serialized) struct SuiteTests {
  let workplace: Workplace

  init() throws {
    workplace = try Workplace()
    try workplace.write(fakeWorkload, to: "workload", mode: 0o755)
    try workplace.write(fakeList, to: "list.json")
  }

  private var environment: [String: String] {
    ["KIVIAT_WORKLOAD": workplace.file("workload"), "FAKE": workplace.path, "KIVIAT_CEILINGS": "kept"]
  }

  private func kiviat(_ arguments: String...) throws -> Ended {
    try workplace.start(Programs.kiviat + arguments, environment: environment).wait()
  }

  private func manifest(_ benchmarks: String, name: String = "s.yaml") throws {
    try workplace.write("suite: s\nbenchmarks:\n\(benchmarks)", to: name)
  }

  private struct Record: Decodable {
    struct Run: Decodable {
      var id: String, state: String, profile: String
      var reason: String?, quality: Double?, reached: Bool?, target: Double?
    }
    var runs: [Run]
    subscript(id: String) -> Run? { runs.first { $0.id == id } }
  }

  private func record(_ folder: String = "s") throws -> Record {
    try JSONDecoder().decode(
      Record.self, from: Data(contentsOf: URL(fileURLWithPath: workplace.file("\(folder)/suite.json"))))
  }

  private var calls: [String] {
    (try? String(contentsOfFile: workplace.file("calls"), encoding: .utf8))?.split(separator: "\n").map(String.init)
      ?? []
  }

  private let four = """
      - {id: A, benchmark: fake-1, repeats: 2}
      - {id: B, benchmark: fake-2}
      - {id: C, benchmark: F-3}
      - id: D
        command: [sh, -c, 'echo "epoch 1 accuracy 0.4"; echo "epoch 2 accuracy 0.7"; echo $KIVIAT_SEED $PWD']
        metric: accuracy
        target: {value: 0.6, better: higher}
        quality: {pattern: 'accuracy ([0-9.]+)'}
        settings: {seed: 42}
    """

  // MARK: The whole of it

  @Test func aFailureDoesNotStopTheRest() throws {
    try manifest(four)
    let ended = try kiviat("profile", "s.yaml", "--counters", "off", "-F", "0")
    #expect(ended.status == 1, "\(ended)")
    let record = try record()
    #expect(record.runs.map(\.id) == ["A", "A", "B", "C", "D"])
    #expect(record.runs.map(\.state) == ["finished", "finished", "diverged", "failed", "finished"], "\(ended)")
    #expect(record["A"]?.quality == 0.85 && record["A"]?.reached == true && record["A"]?.target == 0.8)
    #expect(record["B"]?.reason?.contains("the loss is nan in step 1") == true)
    #expect(record["C"]?.reason?.contains("train/cat.jpg:1: this is no JPEG") == true)
    #expect(record["D"]?.quality == 0.7 && record["D"]?.reached == true)
    #expect(ended.errors.contains("cat.jpg") && ended.errors.contains("diverged") && ended.errors.contains("--resume"))
    // Of every run there is the profile, of the failed ones too, and nothing half done.
    for run in record.runs { #expect(workplace.exists("s/\(run.profile)"), "\(run.profile)") }
    let names = try FileManager.default.contentsOfDirectory(atPath: workplace.file("s")).sorted()
    #expect(
      names == [
        "A.kiviat", "A@2.kiviat", "B.kiviat", "B.out", "C.kiviat", "C.out", "D.kiviat", "D.out", "suite.json",
        "suite.yaml",
      ])
    #expect(calls.map { String($0.prefix(12)) } == ["F-1 --seed 1", "F-1 --seed 2", "F-2 --seed 1", "F-3 --seed 1"])
    let output = try String(contentsOfFile: workplace.file("s/D.out"), encoding: .utf8)
    #expect(output.contains("42 ") && output.contains(workplace.path))

    let diverged = try workplace.profile("s/B.kiviat")
    let data = try #require(diverged.repetitions.first)
    #expect(data.quantity("training.diverged")?.value.value?.number == 1)
    #expect(data.steps.map(\.loss.isNaN) == [false, true])
    #expect(diverged.settings["suite"] == "s" && diverged.settings["suite.id"] == "B")
    // What the profiler took for the runs before is not this one's.
    let first = try workplace.profile("s/A.kiviat").repetitions.first
    #expect(first?.quantity("profiler.cpu_time")?.value.provenance?.detail == "since the profiler's start")
    #expect(data.quantity("profiler.cpu_time")?.value.provenance?.detail == "of this repetition")
    let text = try kiviat("report", "s/B.kiviat", "--format", "text")
    #expect(text.text.contains("training diverged"), "\(text)")
  }

  @Test func resumeRunsOnlyWhatIsNotComplete() throws {
    try manifest(four)
    _ = try kiviat("profile", "s.yaml")
    let before = calls.count
    // Not by accident.
    let refused = try kiviat("profile", "s.yaml")
    #expect(refused.status == 1 && refused.errors.contains("3 finished runs") && calls.count == before, "\(refused)")
    // The failed ones are tried again, and what is mended succeeds.
    try workplace.write(fakeWorkload.replacing("F-3) echo", with: "F-33) echo"), to: "workload", mode: 0o755)
    let resumed = try kiviat("profile", "s.yaml", "--resume")
    #expect(
      resumed.status == 1 && calls.dropFirst(before).map { String($0.prefix(3)) } == ["F-2", "F-3"], "\(resumed)")
    #expect(try record().runs.map(\.state) == ["finished", "finished", "diverged", "finished", "finished"])
    // The failed run's profile is not lost either.
    #expect(workplace.exists("s/C.kiviat.old"))
  }

  @Test func resumeLooksAtFilesAndSettings() throws {
    try manifest("  - {id: A, benchmark: fake-1}\n  - {id: B, command: ['true']}\n  - {id: C, command: ['true']}\n")
    #expect(try kiviat("profile", "s.yaml").status == 0)
    #expect(calls.count == 1)
    // A damaged profile is none, whatever the record says.
    try workplace.write("SQLite format 3", to: "s/C.kiviat")
    let resumed = try kiviat("profile", "s.yaml", "--resume", "--steps", "5")
    #expect(resumed.status == 0 && resumed.errors.contains("settings are others now"), "\(resumed)")
    #expect(calls.count == 2 && calls[1].contains("--steps 5"))
    #expect(try workplace.profile("s/C.kiviat").repetitions.count == 1)
    #expect(workplace.exists("s/A.kiviat.old"))
    // Now it agrees.
    #expect(try kiviat("profile", "s.yaml", "--resume", "--steps", "5").status == 0)
    #expect(calls.count == 2)
  }

  @Test func someOfThem() throws {
    try manifest(four)
    #expect(try kiviat("profile", "s.yaml", "--only", "D", "-q").status == 0)
    #expect(try calls.isEmpty && record().runs.filter { $0.state == "left out" }.count == 4)
    #expect(try kiviat("profile", "s.yaml", "--only", "a,F-2", "--repeats", "1", "--resume", "-q").status == 64)
    #expect(try kiviat("profile", "s.yaml", "--only", "a,fake-2", "--repeats", "1", "--resume", "-q").status == 1)
    let record = try record()
    #expect(record["D"]?.state == "finished" && record["A"]?.state == "finished" && record["C"]?.state == "left out")
    #expect(calls.map { String($0.prefix(3)) } == ["F-1", "F-2"])
  }

  @Test func targetsOfTheManifest() throws {
    try manifest(
      "  - {id: A, benchmark: fake-1, metric: HR@10, target: {value: 0.5, better: higher}}\n"
        + "  - {id: B, benchmark: fake-1, metric: HR@10, target: {value: 0.95, better: higher, scale: paper}}\n")
    #expect(try kiviat("profile", "s.yaml", "-q").status == 0)
    #expect(calls[0].contains("--target 0.5") && !calls[1].contains("--target"), "\(calls)")
    #expect(try record()["A"]?.target == 0.5)
  }

  // MARK: Interruptions

  @Test func controlCStopsAndSaysHowToGoOn() throws {
    try manifest("  - {id: A, benchmark: fake-1}\n  - {id: B, benchmark: fake-4}\n  - {id: C, benchmark: fake-1}\n")
    let running = try workplace.start(
      Programs.kiviat + ["profile", "s.yaml"], environment: environment, onTerminal: true)
    running.until { workplace.exists("ready") }
    usleep(200_000)
    running.pressControlC()
    let ended = try running.wait(timeout: 30)
    #expect(ended.status == 130 && ended.errors.contains("profile s.yaml -o s --resume"), "\(ended)")
    #expect(try record().runs.map(\.state) == ["finished", "interrupted", "pending"])
    #expect(workplace.exists("s/A.kiviat") && !workplace.exists("s/B.kiviat") && !workplace.exists("s/C.kiviat"))
    try workplace.write(fakeWorkload.replacing("F-4)", with: "F-44)"), to: "workload", mode: 0o755)
    #expect(try kiviat("profile", "s.yaml", "--resume").status == 0)
    #expect(try record().runs.map(\.state) == ["finished", "finished", "finished"])
    #expect(calls.map { String($0.prefix(3)) } == ["F-1", "F-4", "F-4", "F-1"])
    #expect(!workplace.exists("s/B.kiviat.partial"))
  }

  @Test func aKilledProfilerLosesNothingThatFinished() throws {
    try manifest("  - {id: A, benchmark: fake-1}\n  - {id: B, benchmark: fake-4}\n")
    let running = try workplace.start(Programs.kiviat + ["profile", "s.yaml"], environment: environment)
    running.until { workplace.exists("ready") }
    running.send(SIGKILL)
    #expect(try running.wait(timeout: 30).status == 137)
    #expect(try record().runs.map(\.state) == ["finished", "running"])
    #expect(try workplace.profile("s/A.kiviat").repetitions.count == 1)
    try workplace.write(fakeWorkload.replacing("F-4)", with: "F-44)"), to: "workload", mode: 0o755)
    let resumed = try kiviat("profile", "s.yaml", "--resume")
    #expect(resumed.status == 0 && calls.count == 3, "\(resumed)")
  }

  @Test func twoAtOnceInOneFolder() throws {
    try manifest("  - {id: B, benchmark: fake-4}\n")
    let running = try workplace.start(Programs.kiviat + ["profile", "s.yaml"], environment: environment)
    running.until { workplace.exists("ready") }
    let second = try kiviat("profile", "s.yaml", "--resume")
    #expect(second.status == 1 && second.errors.contains("another kiviat"), "\(second)")
    running.send(SIGTERM)
    #expect(try running.wait(timeout: 30).status == 130)
  }

  // MARK: Bad input

  @Test(arguments: [
    ("  - {id: A, benchmark: no-such}\n", "s.yaml:3: benchmark 'A': there is no built-in benchmark 'no-such'"),
    ("  - {id: A, benchmark: fake-1}\n  - {id: a, benchmark: fake-2}\n", "s.yaml:4: id 'a' is there already"),
    ("  - {id: A}\n", "s.yaml:3"), ("  - {id: A, benchmark: fake-1\n", "s.yaml"),
    ("  - {id: A, benchmark: fake-1, metric: P@3, target: {value: 1, better: higher}}\n", "'HR@10'"),
  ])
  func badManifests(_ benchmarks: String, _ words: String) throws {
    try manifest("  - {id: Z, command: [touch, begun]}\n" == benchmarks ? "" : benchmarks)
    let ended = try kiviat("profile", "s.yaml")
    #expect(ended.status == 64 && ended.errors.contains(words), "\(ended)")
    #expect(calls.isEmpty && !workplace.exists("s"))
  }

  @Test func commandsThatFail() throws {
    try manifest(
      """
        - {id: missing, command: [no-such-program]}
        - {id: folder, command: ['true'], directory: nowhere}
        - {id: status, command: [sh, -c, 'echo some words; exit 3']}
        - {id: signal, command: [sh, -c, 'kill -9 $$']}
        - {id: silent, command: ['true'], quality: {pattern: 'accuracy (.*)'}, metric: m, target: {value: 1, better: higher}}
        - {id: nan, command: [echo, accuracy nan], quality: {pattern: 'accuracy (.*)'}, metric: m}
        - {id: good, command: ['true']}

      """)
    let ended = try kiviat("profile", "s.yaml")
    #expect(ended.status == 1, "\(ended)")
    let record = try record()
    func told(_ id: String, _ words: String) -> Bool {
      record[id]?.state == "failed" && record[id]?.reason?.contains(words) == true
    }
    #expect(told("missing", "no-such-program") && told("folder", "nowhere") && told("status", "status 3: some words"))
    #expect(told("signal", "signal 9") && told("silent", "no line of the output matches"), "\(record)")
    #expect(record["nan"]?.state == "diverged" && record["good"]?.state == "finished")
    #expect(!workplace.exists("s/missing.kiviat") && workplace.exists("s/status.kiviat"))
  }

  @Test func wrongUse() throws {
    try manifest(four)
    for arguments in [
      ["profile", "s.yaml", "aibench"], ["profile", "s.yaml", "--data", "x"], ["profile", "fake-1", "--resume"],
      ["profile", "s.yaml", "--only", "Z"], ["profile", "--only", "A", "--", "true"], ["profile", "no/such.yaml"],
    ] {
      let ended = try workplace.start(Programs.kiviat + arguments, environment: environment).wait()
      #expect(ended.status == 64 && !ended.errors.isEmpty, "\(arguments) \(ended)")
    }
    try workplace.write("{\"format\": \"other\"}", to: "suite.json")
    let damaged = try kiviat("profile", "s.yaml", "-o", ".")
    #expect(damaged.status == 1 && damaged.errors.contains("suite.json"), "\(damaged)")
    #expect(calls.isEmpty)
  }

  @Test func anotherSuitesFolder() throws {
    try manifest("  - {id: A, command: ['true']}\n")
    #expect(try kiviat("profile", "s.yaml", "-q").status == 0)
    try workplace.write("suite: t\nbenchmarks: [{id: A, command: ['true']}]\n", to: "t.yaml")
    let ended = try kiviat("profile", "t.yaml", "-o", "s", "--resume")
    #expect(ended.status == 1 && ended.errors.contains("suite s"), "\(ended)")
  }

  // MARK: Lists, reports and logs

  @Test func lists() throws {
    let suites = try kiviat("list", "suites")
    #expect(suites.status == 0 && suites.text.contains("aibench-v1.1") && suites.text.contains("19 benchmarks"))
    let json = try JSONSerialization.jsonObject(with: try kiviat("list", "suites", "--json").output) as? [[String: Any]]
    #expect(json?.count == 3 && (json?.first?["benchmarks"] as? [Any])?.count == 17)
    let benchmarks = try kiviat("list", "benchmarks")
    let lines = benchmarks.text.split(separator: "\n")
    #expect(lines.count == 12 && lines.allSatisfy { $0.count <= 120 }, "\(benchmarks)")
    for words in ["F-1", "fake-1", "Faking", "A model", "Data", "HR@10 ≥ 0.9", "25.6 M parameters", "8.18 GFLOP"] {
      #expect(benchmarks.text.contains(words), "\(words) \(benchmarks)")
    }
    #expect(try kiviat("list", "benchmarks", "--json").text == fakeList)
  }

  @Test func reportOfAFolder() throws {
    try manifest(
      "  - {id: Z, benchmark: fake-1}\n  - {id: A, command: ['true'], title: Nothing}\n  - {id: M, command: [none-such]}\n"
    )
    #expect(try kiviat("profile", "s.yaml", "-q").status == 1)
    let ended = try kiviat("report", "s")
    #expect(ended.status == 0 && ended.errors.contains("M has no profile"), "\(ended)")
    let page = try String(contentsOfFile: workplace.file("s/report.html"), encoding: .utf8)
    #expect(page.contains("Nothing") && page.contains("fake-1") && page.contains("M.kiviat: "))
    // In the suite's order, not by name.
    let text = try kiviat("report", "s/", "--format", "text").text
    let (first, second) = (text.range(of: "fake-1 "), text.range(of: "Nothing "))
    #expect(first != nil && second != nil && first!.lowerBound < second!.lowerBound, "\(text)")
    try FileManager.default.createDirectory(atPath: workplace.file("empty"), withIntermediateDirectories: true)
    let empty = try kiviat("report", "empty")
    #expect(empty.status == 1 && empty.errors.contains("no profile"), "\(empty)")
  }

  @Test func trainingLogs() throws {
    let ended = try kiviat("profile", "fake-1", "-q", "--log-format", "mllog", "--log", "log.txt")
    #expect(ended.status == 0, "\(ended)")
    let log = try String(contentsOfFile: workplace.file("log.txt"), encoding: .utf8)
    #expect(log.hasPrefix(":::MLLOG {\"namespace\": \"\"") && log.contains("\"eval_accuracy\", \"value\": 0.85"))
    let airank = try kiviat("profile", "fake-1", "-q", "--log-format", "airank", "--log", "-")
    #expect(airank.text.contains("test_begin\n") && airank.text.contains("eval_accuracy:0.85, total_epoch_cnt:1"))
    try manifest("  - {id: A, benchmark: fake-1}\n  - {id: B, command: ['true']}\n")
    #expect(try kiviat("profile", "s.yaml", "--log-format", "airank").status == 0)
    #expect(workplace.exists("s/A.airank") && !workplace.exists("s/B.airank"))
    for arguments in [
      ["profile", "fake-1", "--log", "x"], ["profile", "fake-1", "--log-format", "mllog"],
      ["profile", "fake-1", "--log-format", "csv", "--log", "x"],
      ["profile", "fake-1", "fake-2", "--log-format", "mllog", "--log", "x"],
      ["profile", "fake-1", "-r", "2", "--log-format", "mllog", "--log", "x"],
      ["profile", "--log-format", "mllog", "--log", "x", "--", "true"],
      ["profile", "s.yaml", "--log-format", "mllog", "--log", "x"],
    ] {
      let ended = try workplace.start(Programs.kiviat + arguments, environment: environment).wait()
      #expect(ended.status == 64, "\(arguments) \(ended)")
    }
    // Nothing was trained: a warning, and the suite goes on.
    try workplace.write(fakeWorkload.replacing("step 0 ", with: ": step 0 "), to: "workload", mode: 0o755)
    let untrained = try kiviat("profile", "fake-3", "-q", "--log-format", "mllog", "--log", "none.txt")
    #expect(untrained.status == 1 && untrained.errors.contains("no training log"), "\(untrained)")
    let nowhere = try kiviat("profile", "fake-1", "--log-format", "mllog", "--log", "no/such/folder/x")
    #expect(nowhere.status == 1 && nowhere.errors.contains("no/such/folder"), "\(nowhere)")
  }

  // MARK: The real ones

  /// What the suites name is what `kiviat-workload` has, with the targets that it trains to at paper scale.
  @Test(.enabled(if: Programs.hasWorkload, "needs kiviat-workload, which is built where libtorch is installed"))
  func builtInSuitesFitTheBenchmarks() throws {
    struct Benchmark: Decodable {
      struct Scale: Decodable { var target: Target }
      struct Target: Decodable { var metric: String, value: Double, isHigherBetter: Bool }
      var name: String
      var paper: Scale
    }
    struct Entry: Decodable {
      struct Name: Decodable { var _0: String }
      struct Work: Decodable { var builtIn: Name }
      struct Target: Decodable { var value: Double, isHigherBetter: Bool }
      var id: String, workload: Work, metric: String, target: Target
    }
    struct Suite: Decodable { var name: String, benchmarks: [Entry] }
    let list = try workplace.start([Programs.workload, "list", "--json"]).wait()
    let benchmarks = try JSONDecoder().decode([Benchmark].self, from: list.output)
    let suites = try JSONDecoder().decode([Suite].self, from: try workplace.kiviat("list", "suites", "--json").output)
    for entry in suites.flatMap(\.benchmarks) {
      guard let found = benchmarks.first(where: { $0.name == entry.workload.builtIn._0 }) else {
        Issue.record("\(entry.id): no benchmark \(entry.workload.builtIn._0)")
        continue
      }
      #expect(found.paper.target.metric == entry.metric, "\(entry.id)")
      #expect(found.paper.target.isHigherBetter == entry.target.isHigherBetter, "\(entry.id)")
    }
  }
}

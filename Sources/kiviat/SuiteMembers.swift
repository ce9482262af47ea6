// How does a folder of profiles become the members of a suite?
import Analysis
import Dispatch
import Foundation
import ProfileModel
import Suites
import Synchronization

enum SuiteMembers {
  /// The members of a folder of profiles: a suite's, or profiles by the benchmark that they name.
  ///
  /// A profile that can't be read does not end the report: it is among the remarks. A folder without any readable profile does.
  static func read(folder: String) throws -> MemberSet {
    let record: SuiteRecord?
    do { record = try SuiteRecord.read(folder: folder) } catch { throw Failure(message: "\(error)") }
    let paths = try ProfilePaths.profiles(folder)
    let (evidence, failures) = read(paths)
    if evidence.allSatisfy(\.isEmpty), let first = failures.first { throw Failure(message: first) }

    var remarks = failures
    var members: [SuiteMember] = []
    var rest = evidence.flatMap { $0 }
    for benchmark in record?.suite.benchmarks ?? [] {
      let runs = (record?.runs ?? []).filter { $0.id == benchmark.id }
      // Left out on purpose, and never run: no member of what was profiled.
      guard runs.contains(where: { $0.state != .leftOut }) || rest.contains(where: { $0.id == benchmark.id }) else {
        remarks.append("\(benchmark.id) was left out of this suite's run (--only)")
        continue
      }
      var member = SuiteMember(
        id: benchmark.id, title: benchmark.title ?? benchmark.workloadName,
        evidence: rest.filter { $0.id == benchmark.id })
      rest.removeAll { $0.id == benchmark.id }
      member.metric = benchmark.metric ?? member.metric
      member.isMetricAccepted = benchmark.acceptedMetric?.isAccepted
      member.metricReason = benchmark.acceptedMetric?.reason
      for run in runs where run.state != .finished && run.state != .leftOut {
        let sentence = "\(run.profile): \(run.sentence)"
        if !member.remarks.contains(where: { $0.contains(run.profile) }) { member.remarks.append(sentence) }
      }
      members.append(member)
    }
    // Profiles that the record does not know, or a folder without one.
    var order: [String] = []
    for run in rest where !order.contains(run.id) { order.append(run.id) }
    for id in order {
      let runs = rest.filter { $0.id == id }
      members.append(SuiteMember(id: id, title: runs.first?.title ?? id, evidence: runs))
    }
    let machines = Set(evidence.flatMap { $0 }.map(\.machine)).sorted()
    if machines.count > 1 {
      remarks.append(
        "the profiles are from \(machines.count) machines (\(machines.joined(separator: "; "))): times and efficiencies of members can't be compared with each other"
      )
    }
    let name = folder.split(separator: "/").last.map(String.init) ?? folder
    return MemberSet(
      name: record?.suite.name ?? name, title: record?.suite.title ?? "the profiles in \(name)",
      source: record?.suite.source, members: members, machines: machines, remarks: remarks)
  }

  /// Profiles read on all processors, in the order of their paths whoever is ready first, and a sentence for each that can't be.
  private static func read(_ paths: [String]) -> (evidence: [[RunEvidence]], failures: [String]) {
    let results = Mutex([Int: Result<[RunEvidence], any Error>]())
    DispatchQueue.concurrentPerform(iterations: paths.count) { index in
      let result = Result {
        RunEvidence.of(
          try Profile(contentsOf: paths[index], detail: .summary),
          name: paths[index].split(separator: "/").last.map(String.init) ?? "")
      }
      results.withLock { $0[index] = result }
    }
    let all = results.withLock { $0 }
    var failures: [String] = []
    let evidence = paths.indices.map { index -> [RunEvidence] in
      switch all[index] {
      case .success(let evidence): return evidence
      case .failure(let error):
        failures.append("\(error)")
        return []
      case nil: return []
      }
    }
    return (evidence, failures)
  }
}

// Small profiles to work out by hand.
import ProfileModel

@testable import Analysis

func kernel(
  _ name: String, _ category: KernelCategory = .uncategorized, _ phase: KernelRecord.Phase = .forward,
  self selfTime: Int64, total: Int64? = nil, calls: Int64 = 1, thread: String = "main", module: String = "",
  shapes: String = "", types: String = "f32", flops: Double? = nil, bytes: Double? = nil, id: Int64 = 0
) -> KernelRecord {
  func declared(_ value: Double?) -> Measured<Double> {
    value.map { Measured($0, .declared) } ?? .unavailable(Unavailable("no formula covers it"))
  }
  return KernelRecord(
    id: id, name: name, category: category, phase: phase, modulePath: module, thread: thread, shapes: shapes,
    types: types, calls: calls, totalNanoseconds: total ?? selfTime, selfNanoseconds: selfTime,
    threadCPUNanoseconds: .unavailable(Unavailable("not read")), flops: declared(flops), bytes: declared(bytes))
}

func quantity(_ name: String, _ value: Double, _ unit: String = "ns") -> Quantity {
  Quantity(name, unit: unit, Measured(.number(value), .clock))
}

func missing(_ name: String, _ reason: String, remedy: String? = nil) -> Quantity {
  Quantity(name, .unavailable(Unavailable(reason, remedy: remedy)))
}

func repetition(
  _ index: Int = 0, wall: Int64 = 1000, state: Repetition.State = .finished, status: Int32? = 0, signal: Int32? = nil
) -> RepetitionData {
  RepetitionData(
    repetition: Repetition(
      index: index, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0, wallNanoseconds: wall, state: state,
      exitStatus: status, signal: signal))
}

/// A profile of one repetition.
func profile(
  wall: Int64 = 1000, settings: [String: String] = [:], host: [Quantity] = [],
  _ change: (inout RepetitionData) -> Void = { _ in }
) -> Profile {
  var data = repetition(wall: wall)
  change(&data)
  return Profile(settings: settings, host: host, repetitions: [data])
}

func run(_ profile: Profile) -> Run { Run(profile, profile.repetitions[0]) }

/// Builds stacks from lists of functions, root first: `"a b c"` is c called from b called from a.
struct Stacks {
  var frames: [Int64: Frame] = [:]
  var stacks: [Int64: StackNode] = [:]
  var samples: [SampleTotal] = []
  private var nodes: [String: Int64] = [:]
  private var frameIDs: [String: Int64] = [:]

  /// A name in parentheses is inlined, in brackets a kernel function.
  mutating func add(_ path: String, _ count: Int64, tid: Int32 = 1, kernel: Int64? = nil, weight: Int64 = 10) {
    var parent: Int64?
    var prefix = ""
    for name in path.split(separator: " ").map(String.init) {
      prefix += " " + name
      if nodes[prefix] == nil {
        let frame: Int64
        if let known = frameIDs[name] {
          frame = known
        } else {
          frame = Int64(frames.count) + 100
          frameIDs[name] = frame
          let bare = name.trimmed
          frames[frame] = Frame(
            function: bare, module: name.hasPrefix("[") ? "[kernel]" : "/bin/program",
            kind: name.hasPrefix("(") ? .inlined : name.hasPrefix("[") ? .kernel : .user)
        }
        let id = Int64(stacks.count) + 1
        stacks[id] = StackNode(parent: parent, frame: frame)
        nodes[prefix] = id
      }
      parent = nodes[prefix]
    }
    samples.append(
      SampleTotal(
        stack: parent ?? 0, pid: 1, tid: tid, kernel: kernel, samples: count, weightNanoseconds: count * weight))
  }

  var tree: CallTree { CallTree(stacks: stacks, frames: frames, samples: samples) }

  func profile(
    wall: Int64 = 1000, settings: [String: String] = [:], _ change: (inout RepetitionData) -> Void = { _ in }
  )
    -> Profile
  {
    var data = repetition(wall: wall)
    data.samples = samples
    change(&data)
    return Profile(settings: settings, repetitions: [data], frames: frames, stacks: stacks)
  }
}

extension String {
  fileprivate var trimmed: String {
    String(drop { "([".contains($0) }.reversed().drop { ")]".contains($0) }.reversed())
  }
}

/// A reproducible source of numbers (SplitMix64).
struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
  abs(a - b) <= tolerance * max(1, abs(a), abs(b))
}

// Which caches does Callgrind simulate, so that they are as like this host's as it can?
import ProfileModel

/// One cache as Callgrind takes it.
struct SimulatedCache: Hashable {
  var bytes: Int64
  var ways: Int
  var lineBytes: Int
  /// How it differs from the host's; `nil` when it does not.
  var remark: String?

  /// `32768,8,64`
  var argument: String { "\(bytes),\(ways),\(lineBytes)" }

  /// As near to a cache as Callgrind permits: lines and sets in powers of two. The number of sets goes down, the number
  /// of ways up, so that the size stays within one way of the host's.
  init(bytes: Int64, ways: Int?, lineBytes: Int?, what: String) {
    var remarks: [String] = []
    func powerOfTwo(atMost value: Int64) -> Int64 {
      var power: Int64 = 1
      while power * 2 <= value { power *= 2 }
      return power
    }
    let line = Int(powerOfTwo(atMost: Int64(max(16, min(lineBytes ?? 64, 1024)))))
    if lineBytes == nil { remarks.append("lines of 64 B assumed") }
    // Callgrind counts bytes in 32 bits.
    let size = max(min(bytes, 1 << 30), Int64(line))
    let wanted = max(1, min(Int64(ways ?? 8), size / Int64(line)))
    if ways == nil { remarks.append("8 ways assumed") }
    let sets = powerOfTwo(atMost: max(1, size / (wanted * Int64(line))))
    let ways = max(1, size / (sets * Int64(line)))
    (self.ways, self.lineBytes, self.bytes) = (Int(ways), line, sets * Int64(ways) * Int64(line))
    if self.bytes != bytes || ways != wanted {
      remarks.append("the host's \(what) has \(bytes) B in \(wanted) ways: the number of sets must be a power of two")
    }
    remark = remarks.isEmpty ? nil : remarks.joined(separator: "; ")
  }
}

/// Callgrind's two levels.
struct SimulatedCaches: Hashable {
  var instructions: SimulatedCache
  var data: SimulatedCache
  var lastLevel: SimulatedCache
  /// Bytes of the level between, which is not simulated; 0 for none.
  var secondLevelBytes: Int64

  init(_ cpu: HostCPU) {
    func cache(_ found: HostCPU.Cache?, _ what: String, otherwise bytes: Int64) -> SimulatedCache {
      guard let found else {
        var cache = SimulatedCache(bytes: bytes, ways: 8, lineBytes: 64, what: what)
        cache.remark = "assumed: the kernel does not tell this machine's \(what)"
        return cache
      }
      return SimulatedCache(bytes: found.bytes, ways: found.ways, lineBytes: found.lineBytes, what: what)
    }
    instructions = cache(cpu.cache(level: 1, type: "Instruction"), "first-level instruction cache", otherwise: 32 << 10)
    data = cache(cpu.cache(level: 1, type: "Data"), "first-level data cache", otherwise: 32 << 10)
    let last = cpu.lastLevelCache.flatMap { $0.level > 1 ? $0 : nil }
    lastLevel = cache(last, "last-level cache", otherwise: 8 << 20)
    // Callgrind has one size of line.
    lastLevel.lineBytes = data.lineBytes
    secondLevelBytes = (last?.level ?? 0) > 2 ? cpu.cache(level: 2, type: "Unified")?.bytes ?? 0 : 0
  }

  var arguments: [String] {
    ["--I1=\(instructions.argument)", "--D1=\(data.argument)", "--LL=\(lastLevel.argument)"]
  }

  var quantities: [Quantity] {
    [
      ("simulation.cache.i1", instructions, nil), ("simulation.cache.d1", data, nil),
      ("simulation.cache.ll", lastLevel, secondLevelBytes > 0 ? "the second level is not simulated" : nil),
    ].map { name, cache, more in
      let remarks = [cache.remark, more].compactMap { $0 }
      return Quantity(
        name,
        Measured(
          .text("\(cache.bytes) B, \(cache.ways) ways, lines of \(cache.lineBytes) B"), .declared,
          detail: "as configured in Callgrind; " + (remarks.isEmpty ? "the host's" : remarks.joined(separator: "; "))))
    }
  }
}

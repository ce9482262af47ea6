// Are kernels that are added up while they are read the same as those read one by one and added up afterwards?
import GRDB
import Testing

@testable import ProfileModel

@Suite struct MergedKernelTests {
  private struct Key: Hashable {
    var name: String
    var category: KernelCategory
    var phase: KernelRecord.Phase
    var thread: String
    var shapes: String
    var types: String

    init(_ kernel: KernelRecord) {
      (name, category, phase) = (kernel.name, kernel.category, kernel.phase)
      (thread, shapes, types) = (kernel.thread, kernel.shapes, kernel.types)
    }
  }

  private static func kernel(
    _ id: Int64, _ name: String, module: String, shapes: String = "[2]", calls: Int64 = 1, time: Int64 = 10,
    flops: Double? = 2, bytes: Double? = 4
  ) -> KernelRecord {
    func declared(_ value: Double?) -> Measured<Double> {
      value.map { Measured($0, .declared, detail: "a formula") } ?? .unavailable(Unavailable("no formula covers it"))
    }
    return KernelRecord(
      id: id, name: name, category: .gemm, phase: .forward, modulePath: module, shapes: shapes, types: "f32",
      calls: calls, totalNanoseconds: time + 1, selfNanoseconds: time,
      threadCPUNanoseconds: .unavailable(Unavailable("not read")), flops: declared(flops), bytes: declared(bytes))
  }

  private static func file(_ kernels: [KernelRecord], samples: [Int64?] = [], in folder: TemporaryFolder) throws
    -> String
  {
    let path = folder.file("a.kiviat")
    let writer = try ProfileWriter(creating: path)
    try writer.write { file in
      for repetition in 0..<2 {
        try file.repetition(Repetition(index: repetition, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0))
        for kernel in kernels { try file.kernel(kernel, repetition: repetition) }
      }
      for (index, kernel) in samples.enumerated() {
        try file.sample(
          SampleTotal(stack: Int64(index), pid: 1, tid: 1, kernel: kernel, samples: 1, weightNanoseconds: 1),
          repetition: 0)
      }
    }
    return path
  }

  /// Thousands of rows of some hundred kinds, so that the table grows and probes.
  @Test func sumsAreThoseOfTheRows() throws {
    let folder = TemporaryFolder()
    var kernels: [KernelRecord] = []
    for index in 0..<5000 {
      let flops: Double? = index % 4 == 0 ? nil : Double(index)
      let bytes: Double? = index % 37 == 3 ? nil : 1
      kernels.append(
        Self.kernel(
          Int64(index), "aten::op_\(index % 37)", module: "layer.\(index)",
          shapes: "[\(index % 5), 7] [é\(index % 3)]",
          calls: Int64(index % 5), time: Int64(index), flops: flops, bytes: bytes))
    }
    let path = try Self.file(kernels, in: folder)
    let each = try Profile(contentsOf: path)
    let merged = try Profile(contentsOf: path, detail: .summary)
    #expect(merged.repetitions.count == 2)
    for (all, few) in zip(each.repetitions, merged.repetitions) {
      let groups = Dictionary(grouping: all.kernels, by: Key.init)
      #expect(few.kernels.count == groups.count && few.kernels.count < all.kernels.count)
      for kernel in few.kernels {
        let rows = try #require(groups[Key(kernel)])
        func sum(_ value: (KernelRecord) -> Int64) -> Int64 { rows.reduce(0) { $0 + value($1) } }
        #expect(kernel.modulePath.isEmpty && kernel.id == rows[0].id)
        #expect(kernel.calls == sum { $0.calls })
        #expect(kernel.selfNanoseconds == sum { $0.selfNanoseconds })
        #expect(kernel.totalNanoseconds == sum { $0.totalNanoseconds })
        let known: [Double] = rows.compactMap { $0.flops.value }
        let total: Double? = known.isEmpty ? nil : known.reduce(0, +)
        #expect(kernel.flops.value == total)
        if !known.isEmpty, known.count < rows.count {
          #expect(
            kernel.flops.provenance?.detail == "of \(known.count) of \(rows.count) variants; the others have none")
        }
        if rows.allSatisfy({ $0.bytes.value == nil }) {
          #expect(kernel.bytes.unavailable?.reason == "no formula covers it")
        }
      }
    }
  }

  @Test func samplesFollowTheirKernel() throws {
    let folder = TemporaryFolder()
    let kernels = [
      Self.kernel(5, "a", module: "x"), Self.kernel(6, "b", module: "x"), Self.kernel(7, "a", module: "y"),
    ]
    let path = try Self.file(kernels, samples: [7, 6, nil, 99], in: folder)
    let samples = try Profile(contentsOf: path, detail: .summary).repetitions[0].samples
    // 7 became part of 5; a kernel that the file does not hold stays what it was.
    let wanted: [Int64?] = [5, 6, nil, 99]
    #expect(samples.map { $0.kernel } == wanted)
  }

  /// Columns that would read the same end to end are other kernels.
  @Test func columnsAreNotRunTogether() throws {
    let folder = TemporaryFolder()
    let path = try Self.file(
      [Self.kernel(1, "ab", module: "", shapes: "c"), Self.kernel(2, "a", module: "", shapes: "bc")], in: folder)
    #expect(try Profile(contentsOf: path, detail: .summary).repetitions[0].kernels.count == 2)
  }

  @Test func timesStopAtTheLargestNumber() throws {
    let folder = TemporaryFolder()
    let path = try Self.file(
      [Self.kernel(1, "a", module: "x", time: .max - 1), Self.kernel(2, "a", module: "y", time: .max - 1)], in: folder)
    #expect(try Profile(contentsOf: path, detail: .summary).repetitions[0].kernels[0].selfNanoseconds == .max)
  }

  @Test(arguments: [
    ("calls", "'many'"), ("name", "x'37'"), ("flops", "'x'"), ("bytes", "x'00'"), ("self_ns", "1.5"),
    ("shapes", "x'41'"),
  ])
  func anotherTypeIsDamage(column: String, value: String) throws {
    let folder = TemporaryFolder()
    let path = try Self.file([Self.kernel(1, "a", module: "x"), Self.kernel(2, "a", module: "y")], in: folder)
    try DatabaseQueue(path: path).write { try $0.execute(sql: "UPDATE kernel SET \(column) = \(value) WHERE id = 2") }
    #expect {
      try Profile(contentsOf: path, detail: .summary)
    } throws: { error in
      if case ProfileError.damaged(_, let detail) = error { detail.contains("in column \(column)") } else { false }
    }
  }
}

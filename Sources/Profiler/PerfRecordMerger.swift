// In which order did the records of several rings happen?

/// Puts records of several rings into the order of their times.
///
/// A ring's records come roughly in order, those of another ring at any time: the kernel writes a record a little
/// after it took its time, and a virtual CPU may be stopped in between. So records wait until they are older than a
/// window in which all others of their time have surely come.
struct PerfRecordMerger {
  private var pending: [PerfRecord] = []
  private var newestDelivered: UInt64 = 0
  /// Records that came when later ones were delivered already. They are delivered all the same.
  private(set) var late = 0

  mutating func append(_ record: PerfRecord) { pending.append(record) }

  /// Delivers what happened before `bound`, oldest first; of equal times, first come, first served.
  mutating func flush(before bound: UInt64, _ deliver: (PerfRecord) -> Void) {
    // Sorting keys instead of records moves 16 bytes instead of 90.
    var order: [(time: UInt64, index: Int)] = []
    var rest: [PerfRecord] = []
    for (index, record) in pending.enumerated() {
      let time = record.time
      if time < bound { order.append((time, index)) } else { rest.append(record) }
    }
    guard !order.isEmpty else { return }
    order.sort { ($0.time, $0.index) < ($1.time, $1.index) }
    for (time, index) in order {
      if time < newestDelivered { late += 1 } else { newestDelivered = time }
      deliver(pending[index])
    }
    pending = rest
  }
}

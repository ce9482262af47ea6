// What does a kernel trace say right now? Reads the file while its writer runs, and after it was killed.
import CKernelTrace
import Glibc

/// A kernel trace file, mapped. `CKernelTrace` is its layout.
final class KernelTraceReader {
  /// A file that is no trace.
  enum Failure: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String, detail: String)
    case notATrace(path: String)
    case otherVersion(path: String, version: UInt32)
    case truncated(path: String)

    var description: String {
      switch self {
      case .unreadable(let path, let detail): "can't read the kernel trace \(path): \(detail)"
      case .notATrace(let path): "\(path) is not a kernel trace"
      case .otherVersion(let path, let version):
        "\(path) has trace version \(version), this kiviat reads \(KIVIAT_TRACE_VERSION): "
          + "use the kiviat-workload that came with it"
      case .truncated(let path): "\(path) is shorter than a kernel trace"
      }
    }
  }

  /// One traced thread.
  private struct Region {
    let memory: UnsafeMutableRawPointer
    var thread: UnsafePointer<kiviat_trace_thread> {
      UnsafePointer(memory.assumingMemoryBound(to: kiviat_trace_thread.self))
    }
    var ring: UnsafePointer<UInt64> {
      UnsafePointer((memory + Int(KIVIAT_TRACE_THREAD_BYTES)).assumingMemoryBound(to: UInt64.self))
    }
    var entries: UnsafePointer<kiviat_trace_entry> {
      let offset = Int(KIVIAT_TRACE_THREAD_BYTES) + KernelTraceReader.ringSize * 8
      return UnsafePointer((memory + offset).assumingMemoryBound(to: kiviat_trace_entry.self))
    }
    var counts: UnsafeRawPointer { UnsafeRawPointer(entries + KernelTraceReader.entryLimit) }
  }

  // The macros with casts in them are invisible to Swift.
  static let ringSize = Int(KIVIAT_TRACE_RING)
  static let entryLimit = Int(KIVIAT_TRACE_ENTRIES)
  static let idle = UInt32(KIVIAT_TRACE_IDLE)
  static let firstRegion = Int(KIVIAT_TRACE_HEADER_BYTES) + Int(KIVIAT_TRACE_STRING_BYTES)
  /// Bytes of a thread's region where so many events are counted by kernel.
  static func regionSize(events: Int) -> Int { Int(kiviat_trace_region_bytes(UInt32(events))) }

  private let path: String
  private let descriptor: Int32
  private let memory: UnsafeMutableRawPointer
  /// How many events are counted by kernel.
  let eventCount: Int
  private let regionSize: Int
  private var regions: [Region] = []

  /// Opens a trace. `nil` while its writer has not made it yet.
  ///
  /// - Throws: ``Failure``.
  init?(path: String) throws(Failure) {
    self.path = path
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 {
      if errno == ENOENT { return nil }
      throw .unreadable(path: path, detail: String(cString: strerror(errno)))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let detail = String(cString: strerror(errno))
      close(descriptor)
      throw .unreadable(path: path, detail: detail)
    }
    if status.st_size == 0 {
      close(descriptor)
      return nil
    }
    guard status.st_size >= Self.firstRegion else {
      close(descriptor)
      throw .truncated(path: path)
    }
    guard let memory = mmap(nil, Self.firstRegion, PROT_READ, MAP_SHARED, descriptor, 0), memory != MAP_FAILED else {
      let detail = String(cString: strerror(errno))
      close(descriptor)
      throw .unreadable(path: path, detail: detail)
    }
    func fail(_ failure: Failure) -> Failure {
      munmap(memory, Self.firstRegion)
      close(descriptor)
      return failure
    }
    let header = memory.assumingMemoryBound(to: kiviat_trace_header.self)
    let magic = kiviat_trace_load64(header.address(of: \.magic))
    // Zero: the writer has made the file, and fills it in right now.
    guard magic == kiviat_trace_magic() || magic == 0 else { throw fail(.notATrace(path: path)) }
    guard magic != 0 else {
      _ = fail(.notATrace(path: path))
      return nil
    }
    guard header.pointee.version == KIVIAT_TRACE_VERSION else {
      throw fail(.otherVersion(path: path, version: header.pointee.version))
    }
    guard header.pointee.event_count <= KIVIAT_TRACE_EVENTS else { throw fail(.notATrace(path: path)) }
    eventCount = Int(header.pointee.event_count)
    regionSize = Self.regionSize(events: eventCount)
    self.descriptor = descriptor
    self.memory = memory
  }

  deinit {
    for region in regions { munmap(region.memory, regionSize) }
    munmap(memory, Self.firstRegion)
    close(descriptor)
  }

  /// The header as it is now.
  var header: kiviat_trace_header {
    var header = kiviat_trace_header()
    _ = kiviat_trace_copy_header(memory.assumingMemoryBound(to: kiviat_trace_header.self), &header)
    return header
  }

  /// How many threads are traced; maps those that are new.
  var threadCount: Int {
    let header = memory.assumingMemoryBound(to: kiviat_trace_header.self)
    let count = min(
      Int(kiviat_trace_load32(header.address(of: \.thread_count))), Int(KIVIAT_TRACE_MAX_THREADS))
    while regions.count < count {
      let number = regions.count
      let offset = withUnsafeBytes(of: header.pointee.thread_offset) {
        $0.load(fromByteOffset: number * 8, as: UInt64.self)
      }
      var status = stat()
      // A region that does not lie in the file would be a bus error to look at.
      guard fstat(descriptor, &status) == 0, offset >= Self.firstRegion, offset % 4096 == 0,
        offset <= UInt64(Int64.max) - UInt64(regionSize), Int(offset) + regionSize <= status.st_size,
        let memory = mmap(nil, regionSize, PROT_READ, MAP_SHARED, descriptor, Int(offset)), memory != MAP_FAILED
      else { break }
      regions.append(Region(memory: memory))
    }
    return regions.count
  }

  /// The kernel's id of a traced thread, and its name.
  func thread(_ number: Int) -> (tid: Int32, name: String) {
    let thread = regions[number].thread.pointee
    return (thread.tid, string(thread.name))
  }

  /// Operations of a thread that found no room.
  func overflowed(_ number: Int) -> UInt64 {
    kiviat_trace_load64(regions[number].thread.address(of: \.overflowed))
  }

  /// How many entries a thread has.
  func entryCount(_ number: Int) -> Int {
    min(Int(kiviat_trace_load32(regions[number].thread.address(of: \.entry_count))), Self.entryLimit)
  }

  /// The number of calls of an entry, cheaply.
  func calls(_ number: Int, _ entry: Int) -> UInt64 {
    kiviat_trace_load64((regions[number].entries + entry).address(of: \.calls))
  }

  /// An entry as it is now.
  func entry(_ number: Int, _ entry: Int) -> kiviat_trace_entry {
    var copy = kiviat_trace_entry()
    _ = kiviat_trace_copy_entry(regions[number].entries + entry, &copy)
    return copy
  }

  /// What was counted in the calls of an entry, as it is now; `nil` when none of them was read.
  func counts(_ number: Int, _ entry: Int) -> KernelCounts? {
    guard eventCount > 0 else { return nil }
    let size = Int(kiviat_trace_counts_bytes(UInt32(eventCount)))
    let place = (regions[number].counts + entry * size).assumingMemoryBound(to: kiviat_trace_counts.self)
    guard kiviat_trace_load64(place.address(of: \.calls)) > 0 else { return nil }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { copy.deallocate() }
    let counts = copy.bindMemory(to: kiviat_trace_counts.self, capacity: 1)
    _ = kiviat_trace_copy_counts(place, counts, UInt32(eventCount))
    // Swift does not see an array without a length.
    let events = copy + MemoryLayout<kiviat_trace_counts>.size
    return KernelCounts(
      calls: calls(number, entry), sums: counts.pointee,
      events: (0..<eventCount).map {
        events.load(fromByteOffset: $0 * MemoryLayout<kiviat_trace_count>.stride, as: kiviat_trace_count.self)
      })
  }

  /// An event that is counted by kernel.
  func event(_ position: Int) -> kiviat_trace_event {
    withUnsafeBytes(of: header.event) { $0.bindMemory(to: kiviat_trace_event.self)[position] }
  }

  /// The text at an offset; empty when there is none.
  func string(_ offset: UInt32) -> String {
    let start = Int(offset)
    guard start >= Int(KIVIAT_TRACE_HEADER_BYTES), start < Self.firstRegion else { return "" }
    let text = (memory + start).assumingMemoryBound(to: UInt8.self)
    let length = strnlen(UnsafeRawPointer(text).assumingMemoryBound(to: CChar.self), Self.firstRegion - start)
    return String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
  }

  /// Transitions of a thread, oldest first.
  struct Transitions {
    /// Words of the ring.
    var words: [UInt64] = []
    /// The number of the first word, counted from the thread's first transition.
    var first: UInt64 = 0
    /// Whether transitions between `position` and the first were overwritten before they were read.
    var hasGap = false
    /// The position to go on from.
    var next: UInt64 { first + UInt64(words.count) }
  }

  /// The transitions of a thread from a position on, `limit` at most.
  func transitions(_ number: Int, from position: UInt64, limit: Int = 1 << 16) -> Transitions {
    guard number < threadCount else { return Transitions(first: position) }
    let ring = regions[number].ring
    let positionWord = regions[number].thread.address(of: \.position)
    let size = UInt64(Self.ringSize)
    let end = kiviat_trace_load64(positionWord)
    guard end > position else { return Transitions(first: position) }
    // What is nearly overwritten would be gone before it is read.
    let oldest = end > size - size / 8 ? end - (size - size / 8) : 0
    let first = end - position > size ? max(position, oldest) : position
    let last = min(end, first + UInt64(limit))
    var result = Transitions(first: first, hasGap: first > position)
    result.words.reserveCapacity(Int(last - first))
    for index in first..<last { result.words.append(kiviat_trace_load64(ring + Int(index % size))) }
    // Meanwhile the writer may have come round.
    let now = kiviat_trace_load64(positionWord)
    if now > size, now - size >= first {
      let overwritten = min(last, now - size + 1) - first
      result.words.removeFirst(Int(overwritten))
      result.first += overwritten
      result.hasGap = true
    }
    return result
  }

  /// The innermost entry that ran on a thread at a time; `nil` for none, or when it is too long ago.
  func runningEntry(_ number: Int, at time: UInt64) -> Int? {
    let opened = memory.assumingMemoryBound(to: kiviat_trace_header.self).pointee.opened_ns
    guard time >= opened, number < threadCount else { return nil }
    let ring = regions[number].ring
    let positionWord = regions[number].thread.address(of: \.position)
    let position = kiviat_trace_load64(positionWord)
    let size = UInt64(Self.ringSize)
    func word(_ index: UInt64) -> UInt64 { kiviat_trace_load64(ring + Int(index % size)) }
    // 44 bits of 16 ns: the wrap after 78 hours is undone by comparing differences.
    let wanted = ((time - opened) >> 4) & 0xfff_ffff_ffff
    func isAfter(_ word: UInt64) -> Bool {
      let difference = ((word >> 20) &- wanted) & 0xfff_ffff_ffff
      return difference != 0 && difference < 1 << 43
    }
    // The first transition after the time; the one before it tells what ran.
    var low = position > size ? position - size : 0
    let oldest = low
    var high = position
    while low < high {
      let middle = (low + high) / 2
      if isAfter(word(middle)) { high = middle } else { low = middle + 1 }
    }
    guard low > oldest else { return nil }
    let entry = UInt32(truncatingIfNeeded: word(low - 1) & 0xfffff)
    // Meanwhile the writer may have overwritten what was read here.
    let now = kiviat_trace_load64(positionWord)
    guard now - min(now, low - 1) < size, entry != Self.idle, Int(entry) < Self.entryLimit else { return nil }
    return Int(entry)
  }
}

extension UnsafePointer {
  /// The address of a stored property.
  fileprivate func address<Value>(of path: KeyPath<Pointee, Value>) -> UnsafePointer<Value> {
    // Properties of imported C structs are stored, so the offset is there.
    UnsafeRawPointer(self).advanced(by: MemoryLayout<Pointee>.offset(of: path) ?? 0).assumingMemoryBound(to: Value.self)
  }
}

extension UnsafeMutablePointer {
  fileprivate func address<Value>(of path: KeyPath<Pointee, Value>) -> UnsafePointer<Value> {
    UnsafePointer(self).address(of: path)
  }
}

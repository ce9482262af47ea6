// How are records read out of one `perf_event` ring buffer?
import CPerfEvent
import Glibc

/// The memory that the kernel writes the records of one event (and of those redirected to it) to.
final class PerfRing {
  private let base: UnsafeMutableRawPointer
  private let length: Int
  /// Where the records are, and how many bytes of them fit: a power of two.
  private let data: UnsafeMutableRawPointer
  let size: Int
  /// A record that wraps around the end is put together here.
  private var scratch: [UInt8] = []

  private var page: UnsafeMutablePointer<perf_event_mmap_page> {
    base.assumingMemoryBound(to: perf_event_mmap_page.self)
  }

  /// Maps the ring of an event.
  ///
  /// - Parameters:
  ///   - descriptor: The event.
  ///   - bytes: The size, rounded up to a power of two and to a page.
  /// - Throws: `SystemCallError`, with `EPERM` when the memory that this user may lock doesn't suffice.
  init(_ descriptor: FileDescriptor, bytes: Int) throws(SystemCallError) {
    let pageSize = sysconf(Int32(_SC_PAGESIZE))
    var pages = 1
    while pages * pageSize < bytes { pages *= 2 }
    length = (pages + 1) * pageSize
    guard let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.raw, 0), base != MAP_FAILED
    else { throw SystemCallError(call: "mmap", code: errno) }
    self.base = base
    let header = base.assumingMemoryBound(to: perf_event_mmap_page.self).pointee
    // Kernels before 4.1 leave the fields 0: the data begins after the first page.
    data = base + (header.data_offset == 0 ? pageSize : Int(header.data_offset))
    size = header.data_size == 0 ? pages * pageSize : Int(header.data_size)
  }

  deinit { munmap(base, length) }

  /// Hands every record that is there to `body`, then gives the room back to the kernel.
  func drain(_ body: (UnsafeRawBufferPointer) -> Void) {
    let head = kiviat_ring_head(page)
    let tail = page.pointee.data_tail
    guard head != tail else { return }
    Self.records(in: UnsafeRawBufferPointer(start: data, count: size), from: tail, to: head, scratch: &scratch, body)
    kiviat_ring_release(page, head)
  }

  /// Walks the records between two positions of a ring.
  ///
  /// - Parameters:
  ///   - ring: The ring's data; its count is a power of two.
  ///   - tail: Position of the first record; positions only grow, and are taken modulo the ring's size.
  ///   - head: Position after the last.
  ///   - scratch: Room for a record that wraps.
  ///   - body: Gets one whole record, valid during the call.
  static func records(
    in ring: UnsafeRawBufferPointer, from tail: UInt64, to head: UInt64, scratch: inout [UInt8],
    _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    let mask = UInt64(ring.count - 1)
    var position = tail
    while position < head {
      // Records are multiples of 8 bytes, so a header never wraps.
      let offset = Int(position & mask)
      let recordSize = Int(ring.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self))
      // Not from a kernel that keeps its word; stop rather than run in circles.
      guard recordSize >= 8, UInt64(recordSize) <= head - position else { return }
      if offset + recordSize <= ring.count {
        body(UnsafeRawBufferPointer(rebasing: ring[offset..<offset + recordSize]))
      } else {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: ring[offset...])
        scratch.append(contentsOf: ring[..<(recordSize - (ring.count - offset))])
        scratch.withUnsafeBytes(body)
      }
      position += UInt64(recordSize)
    }
  }
}

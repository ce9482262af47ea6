// How the loops tell the tracer what runs.
import CTorch

/// What part of the work runs: the tracer adds kernels and wall time up by it.
public enum Phase: Int32, Sendable {
  case forward = 0
  case backward = 1
  case optimizer = 2
  case data = 3
  case evaluation = 4
  case other = 5
}

/// Runs `body` as a phase; the former one comes back after it.
@inline(__always)
public func phase<Result>(_ phase: Phase, _ body: () throws -> Result) rethrows -> Result {
  let before = ct_trace_phase(phase.rawValue)
  defer { _ = ct_trace_phase(before) }
  return try body()
}

/// The kernel tracer. One trace at a time; the thread that opens it is the main one.
public enum Trace {
  /// Counts perf events by kernel in traces that are opened from now on: an event a line, as `kiviat` writes them
  /// (`kiviat_counters_parse`); none for an empty text.
  ///
  /// - Parameter timeShare: Reading them takes at most this share of each kind of operation's time: of short ones only
  ///   some calls are read.
  /// - Throws: ``TorchError`` for a line that is no event, or while a trace is open.
  public static func count(events: String, timeShare: Double = 0.03) throws {
    guard ct_trace_count(events, timeShare) else { throw TorchError.last }
  }
  /// Traces into a file that `kiviat` reads while it grows.
  ///
  /// - Throws: ``TorchError`` when the file can't be made.
  public static func open(path: String) throws {
    guard ct_trace_open(path) else { throw TorchError.last }
  }
  /// Traces into memory, to count FLOPs.
  ///
  /// - Throws: ``TorchError`` when there is no memory.
  public static func openPrivately() throws {
    guard ct_trace_open_private() else { throw TorchError.last }
  }
  /// Ends the trace; its file is complete then.
  public static func close() { ct_trace_close() }
  /// Whether operations are being traced.
  public static var isOpen: Bool { ct_trace_is_open() }
  /// Nanoseconds that tracing adds to an operation here and now: a calibration of some 10 ms, stored in the trace.
  @discardableResult
  public static func measureCost() -> Double { ct_trace_measure_cost() }

  /// What was traced so far: take the difference of two readings.
  public struct Sums: Sendable, Equatable {
    /// By the formulas of `torch.utils.flop_counter`: a multiply-accumulate is 2.
    public var counterFLOPs: Double
    /// By Kiviat's formulas for everything else.
    public var formulaFLOPs: Double
    /// Bytes read and written.
    public var bytes: Double
    /// Traced operations.
    public var operations: Int

    static func + (a: Sums, b: Sums) -> Sums {
      Sums(
        counterFLOPs: a.counterFLOPs + b.counterFLOPs, formulaFLOPs: a.formulaFLOPs + b.formulaFLOPs,
        bytes: a.bytes + b.bytes, operations: a.operations + b.operations)
    }
    static func - (a: Sums, b: Sums) -> Sums {
      Sums(
        counterFLOPs: a.counterFLOPs - b.counterFLOPs, formulaFLOPs: a.formulaFLOPs - b.formulaFLOPs,
        bytes: a.bytes - b.bytes, operations: a.operations - b.operations)
    }
  }

  /// The sums over all threads so far.
  public static var sums: Sums {
    let sums = ct_trace_read_sums()
    return Sums(
      counterFLOPs: sums.counter_flops, formulaFLOPs: sums.formula_flops, bytes: sums.bytes,
      operations: Int(sums.ops))
  }
}

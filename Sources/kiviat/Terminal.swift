// What goes to a person on stderr: messages and the progress line. Data go to stdout and never through here.
import Foundation

enum Terminal {
  /// Nobody said no to colours (no-color.org).
  static let isColorWanted =
    ProcessInfo.processInfo.environment["NO_COLOR", default: ""].isEmpty
    && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  /// Whether stderr shows colours.
  static let hasColor = isatty(STDERR_FILENO) == 1 && isColorWanted

  static func error(_ message: String) { write(styled("kiviat: error: ", "31;1") + message + "\n") }
  static func warning(_ message: String) { write(styled("kiviat: ", "33;1") + message + "\n") }
  static func info(_ message: String) { write(message + "\n") }

  static func styled(_ text: String, _ code: String) -> String { hasColor ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }

  static func write(_ text: String) {
    // A closed stderr must not end a profile.
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}

/// One line on a terminal that says what runs, how far it is and how long it still takes. Off a terminal it is silent.
struct ProgressLine {
  private let isShown = isatty(STDERR_FILENO) == 1
  private var lastDrawn: UInt64 = 0
  private var isDrawn = false
  private let started = DispatchTime.now().uptimeNanoseconds
  private var stage = ""
  private var stageStarted: UInt64 = 0

  /// Redraws the line, at most ten times a second. `completed`, of the stage, is in 0…1; `nil` when nobody can tell.
  mutating func update(_ what: String, stage: String, completed: Double?) {
    let now = DispatchTime.now().uptimeNanoseconds
    if stage != self.stage { (self.stage, stageStarted) = (stage, now) }
    guard isShown, now - lastDrawn > 100_000_000 else { return }
    lastDrawn = now
    isDrawn = true
    var line = "\(Self.clock(since: started, now))  \(what)  \(stage)"
    if let completed, completed > 0.001 {
      line += String(format: "  %.0f %%", min(completed, 1) * 100)
      let elapsed = Double(now - stageStarted)
      if elapsed > 1e9 { line += ", \(Self.clock(elapsed / completed * (1 - min(completed, 1)) / 1e9)) left" }
    }
    Terminal.write("\r\u{1B}[K" + line.prefix(Self.width - 1))
  }

  /// Takes the line away.
  mutating func clear() {
    if isDrawn { Terminal.write("\r\u{1B}[K") }
    isDrawn = false
  }

  private static func clock(since start: UInt64, _ now: UInt64) -> String { clock(Double(now - start) / 1e9) }

  /// `1:02`, `1:00:02`.
  static func clock(_ seconds: Double) -> String {
    let seconds = Int(seconds.rounded())
    return seconds < 3600
      ? String(format: "%d:%02d", seconds / 60, seconds % 60)
      : String(format: "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
  }

  private static var width: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
  }
}

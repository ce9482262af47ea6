// How a linker's name reads in its language.
import CElfutils
import Foundation

/// Demangles symbol names.
enum Demangler {
  /// Longer names are cut: a template's name can grow without bound.
  static let longestName = 1024

  /// The name as its language writes it; names that are not mangled come back as they are.
  static func demangle(_ name: String) -> String {
    let plain =
      if name.hasPrefix("_Z") || name.hasPrefix("__Z") {
        demangleCxx(name)
      } else if isSwift(name) {
        demangleSwift(name)
      } else {
        withoutVersion(name)
      }
    guard plain.utf8.count > longestName else { return plain }
    return String(plain.prefix(longestName)) + "…"
  }

  private static func isSwift(_ name: String) -> Bool {
    name.hasPrefix("$s") || name.hasPrefix("$S") || name.hasPrefix("_T0") || name.hasPrefix("_$s")
      || name.hasPrefix("@__swiftmacro_")
  }

  /// `memcpy@@GLIBC_2.14` is `memcpy`.
  private static func withoutVersion(_ name: String) -> String {
    guard let at = name.firstIndex(of: "@"), at != name.startIndex else { return name }
    let rest = name[at...].drop { $0 == "@" }
    return rest == "plt" ? name : String(name[..<at])
  }

  private static func demangleCxx(_ name: String) -> String {
    var status: Int32 = 0
    guard let result = __cxa_demangle(name, nil, nil, &status) else { return name }
    defer { free(result) }
    guard status == 0 else { return name }
    return cleanRust(String(cString: result))
  }

  /// Rust's older mangling is C++'s, with a hash as the last component and its own escapes.
  private static func cleanRust(_ name: String) -> String {
    guard let hash = name.range(of: "::h", options: .backwards),
      name[hash.upperBound...].utf8.count == 16, name[hash.upperBound...].allSatisfy({ $0.isHexDigit })
    else { return name }
    var result = String(name[..<hash.lowerBound])
    let escapes = [
      ("$LT$", "<"), ("$GT$", ">"), ("$RF$", "&"), ("$BP$", "*"), ("$C$", ","), ("$LP$", "("), ("$RP$", ")"),
      ("$u20$", " "), ("$u27$", "'"), ("$u5b$", "["), ("$u5d$", "]"), ("$u7b$", "{"), ("$u7d$", "}"),
      ("$u3b$", ";"), ("$u2b$", "+"), ("$u22$", "\""), ("$SP$", "@"), ("..", "::"),
    ]
    for (escaped, plain) in escapes { result = result.replacingOccurrences(of: escaped, with: plain) }
    return result.hasPrefix("_<") ? String(result.dropFirst()) : result
  }

  private static func demangleSwift(_ name: String) -> String {
    var mangled = name
    return mangled.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        guard let result = swiftDemangle(characters.baseAddress, UInt(characters.count), nil, nil, 0) else {
          return name
        }
        defer { free(result) }
        return String(cString: result)
      }
    }
  }
}

/// The Swift runtime's own demangler; no module exports it.
@_silgen_name("swift_demangle")
private func swiftDemangle(
  _ name: UnsafePointer<CChar>?, _ length: UInt, _ output: UnsafeMutablePointer<CChar>?,
  _ outputSize: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

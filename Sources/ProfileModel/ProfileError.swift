// What can be wrong with a profile file, said with its cause and the way out.

/// A profile file that can't be written or read.
public enum ProfileError: Error, Equatable, CustomStringConvertible {
  /// No file has this path.
  case notFound(path: String)
  /// The file is something else.
  case notAProfile(path: String)
  /// It is a profile, but not a whole one, or its tables hold what Kiviat never writes.
  case damaged(path: String, detail: String)
  /// A newer Kiviat wrote it.
  case fromTheFuture(path: String, version: Int32)
  /// The system refuses to read it.
  case notReadable(path: String, detail: String)
  /// The system refuses to write it.
  case notWritable(path: String, detail: String)
  /// Another Kiviat is writing it.
  case inUse(path: String)
  /// A file that is no profile stands in the way.
  case wouldOverwrite(path: String)

  /// The cause and the way out, as one line.
  public var description: String {
    switch self {
    case .notFound(let path):
      "there is no profile at \(path): `kiviat profile -o \(path) -- COMMAND` makes one"
    case .notAProfile(let path):
      "\(path) is not a Kiviat profile (profiles are what `kiviat profile -o` writes)"
    case .damaged(let path, let detail):
      "\(path) is damaged (\(detail)): `sqlite3 \(path) .recover` may save what is left; profile again for the rest"
    case .fromTheFuture(let path, let version):
      "\(path) was written by a newer Kiviat (file version \(version), this one reads up to \(ProfileSchema.version)): "
        + "update Kiviat"
    case .notReadable(let path, let detail):
      "can't read \(path): \(detail)"
    case .notWritable(let path, let detail):
      "can't write \(path): \(detail); choose another place with -o"
    case .inUse(let path):
      "another kiviat is writing \(path): wait for it, or choose another file with -o"
    case .wouldOverwrite(let path):
      "\(path) exists and is not a Kiviat profile, so it is left alone: choose another file with -o"
    }
  }
}

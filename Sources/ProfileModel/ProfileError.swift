// What can be wrong with a profile file, said with its cause and the way out.

/// A profile file that can't be written or read.
public enum ProfileError: Error, Equatable, CustomStringConvertible {
  case notFound(path: String)
  case notAProfile(path: String)
  case damaged(path: String, detail: String)
  case fromTheFuture(path: String, version: Int32)
  case notReadable(path: String, detail: String)
  case notWritable(path: String, detail: String)
  case inUse(path: String)
  case wouldOverwrite(path: String)

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

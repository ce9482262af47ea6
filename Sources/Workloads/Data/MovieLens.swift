// MovieLens ratings in the formats in which GroupLens publishes them.

/// The MovieLens data sets (Harper and Konstan, 2015): 100K (`u.data`), 1M (`ratings.dat`), 20M (`ratings.csv`).
public enum MovieLens {
  /// One of the published formats.
  enum Format: String, CaseIterable {
    /// 100K: user, item, rating and time with tabs between.
    case tabs = "u.data"
    /// 1M and 10M: the same with `::` between.
    case colons = "ratings.dat"
    /// 20M and later: the same with commas between, after a header.
    case commas = "ratings.csv"

    var separator: StaticString {
      switch self {
      case .tabs: "\t"
      case .colons: "::"
      case .commas: ","
      }
    }

    var expectation: String {
      switch self {
      case .tabs: "user TAB item TAB rating TAB timestamp"
      case .colons: "user::item::rating::timestamp"
      case .commas: "userId,movieId,rating,timestamp"
      }
    }
  }

  /// Users with fewer ratings are left out; the published sets have none.
  public static let minimumRatings = 20

  /// Reads the first of `u.data`, `ratings.dat` and `ratings.csv` that the directory has.
  ///
  /// Ratings of every height count as use (implicit feedback).
  ///
  /// - Throws: `DataError`.
  public static func load(directory path: String) throws(DataError) -> Interactions {
    let directory = try DataDirectory(path)
    for format in Format.allCases {
      guard let file = directory.first(of: [format.rawValue]) else { continue }
      let all = try read(file, format: format)
      let interactions = all.filtered(minimumPerUser: minimumRatings)
      guard interactions.userCount > 0 else {
        throw .empty(path: file, expected: "users with at least \(minimumRatings) ratings")
      }
      return interactions
    }
    throw directory.wrongFormat(expected: [
      "u.data (MovieLens 100K)", "ratings.dat (MovieLens 1M)", "ratings.csv (MovieLens 20M)",
    ])
  }

  /// Reads one file of ratings, all users kept.
  static func read(_ path: String, format: Format) throws(DataError) -> Interactions {
    var users = IdentifierMap()
    var items = IdentifierMap()
    var events = EventList()
    try ByteStream(path: path).forEachLine { (line, number) throws(DataError) in
      var scanner = FieldScanner(line)
      if scanner.isAtEnd { return }
      if format == .commas, number == 1, scanner.skip("userId,") { return }
      guard let user = scanner.integer(), scanner.skip(format.separator), let item = scanner.integer(),
        scanner.skip(format.separator), isRating(scanner.field(endingAt: format.separator.utf8Start[0])),
        scanner.skip(format.separator), let time = scanner.integer(), scanner.isAtEnd
      else {
        throw .malformedLine(
          path: path, line: number, text: FieldScanner.excerpt(line), expected: format.expectation)
      }
      events.users.append(users.number(of: user))
      events.items.append(items.number(of: item))
      events.times.append(time)
    }
    guard events.count > 0 else { throw .empty(path: path, expected: "lines of the form \(format.expectation)") }
    return Interactions(events: events, userCount: users.count, itemCount: items.count)
  }

  /// A rating is a positive number such as 4 or 3.5.
  private static func isRating(_ field: UnsafeBufferPointer<UInt8>) -> Bool {
    var points = 0
    for byte in field {
      if byte == 0x2E { points += 1 } else if !(0x30...0x39).contains(byte) { return false }
    }
    return field.count > points && points <= 1
  }
}

// Gowalla check-ins: as SNAP publishes them, or already split into "user item 1" lines.

/// Item sequences of users, split by time into a part to learn from and a part to predict.
///
/// Items are numbered from 1; 0 is the padding before a short history.
public struct SequenceSplit: Sendable, Hashable {
  /// Earlier items of each user.
  public let train: Interactions
  /// Later items of each user.
  public let test: Interactions
  /// Number of users.
  public var userCount: Int { train.userCount }
  /// Number of items with the padding item 0.
  public var itemCount: Int { train.itemCount }

  /// Both parts must be numbered alike, items from 1.
  init(train: Interactions, test: Interactions) {
    self.train = train
    self.test = test
  }

  /// Cuts every history after the given share of its items.
  ///
  /// - Parameter trainShare: between 0 and 1; the published split of Gowalla has 80.9 % of the lines in training.
  public init(_ interactions: Interactions, trainShare: Double = 0.8) {
    var earlier: [[Int32]] = []
    var later: [[Int32]] = []
    for user in 0..<interactions.userCount {
      let history = interactions.items(of: user).map { $0 + 1 }
      let cut = Int((Double(history.count) * trainShare).rounded(.up))
      earlier.append(Array(history[..<cut]))
      later.append(Array(history[cut...]))
    }
    train = Interactions(histories: earlier, itemCount: interactions.itemCount + 1)
    test = Interactions(histories: later, itemCount: interactions.itemCount + 1)
  }
}

/// The Gowalla location-based network (Cho, Myers and Leskovec, KDD 2011).
public enum Gowalla {
  /// Users and places with fewer different check-ins are left out, as the sequential recommenders evaluated on
  /// Gowalla do.
  public static let minimumCheckIns = 15

  static let rawNames = ["loc-gowalla_totalCheckins.txt", "loc-gowalla_totalCheckins.txt.gz"]
  private static let rawExpectation = "user TAB 2010-10-19T23:55:27Z TAB latitude TAB longitude TAB place"
  private static let splitExpectation = "user item 1"

  /// Reads `train.txt` with `test.txt` (lines "user item 1" in chronological order), or SNAP's raw check-ins, which
  /// are filtered and split 80:20 by time.
  ///
  /// - Throws: `DataError`.
  public static func load(directory path: String) throws(DataError) -> SequenceSplit {
    let directory = try DataDirectory(path)
    for root in [directory, directory.firstDirectory(of: ["test"])] {
      if let root, let train = root.first(of: ["train.txt"]), let test = root.first(of: ["test.txt"]) {
        return try readSplit(train: train, test: test)
      }
    }
    guard let raw = directory.first(of: rawNames) else {
      throw directory.wrongFormat(expected: ["train.txt with test.txt", "\(rawNames[0])[.gz]"])
    }
    let interactions = try readCheckIns(raw)
      .filtered(minimumPerUser: minimumCheckIns, minimumPerItem: minimumCheckIns)
    guard interactions.userCount > 0 else {
      throw .empty(path: raw, expected: "users with at least \(minimumCheckIns) places of as many users")
    }
    return SequenceSplit(interactions)
  }

  /// Reads SNAP's file: one check-in a line, all users and places kept.
  static func readCheckIns(_ path: String) throws(DataError) -> Interactions {
    var users = IdentifierMap()
    var items = IdentifierMap()
    var events = EventList()
    try ByteStream(path: path).forEachLine { (line, number) throws(DataError) in
      var scanner = FieldScanner(line)
      if scanner.isAtEnd { return }
      guard let user = scanner.integer(), scanner.skip("\t"),
        let time = timeKey(scanner.field(endingAt: 0x09)), scanner.skip("\t"),
        scanner.field(endingAt: 0x09).count > 0, scanner.skip("\t"),
        scanner.field(endingAt: 0x09).count > 0, scanner.skip("\t"),
        let item = scanner.integer(), scanner.isAtEnd
      else {
        throw .malformedLine(path: path, line: number, text: FieldScanner.excerpt(line), expected: rawExpectation)
      }
      events.users.append(users.number(of: user))
      events.items.append(items.number(of: item))
      events.times.append(time)
    }
    guard events.count > 0 else { throw .empty(path: path, expected: "lines of the form \(rawExpectation)") }
    return Interactions(events: events, userCount: users.count, itemCount: items.count)
  }

  /// The digits of an ISO 8601 time in UTC as one number: ordered as the times are, with no calendar needed.
  private static func timeKey(_ field: UnsafeBufferPointer<UInt8>) -> Int64? {
    let pattern: StaticString = "0000-00-00T00:00:00Z"
    guard field.count == pattern.utf8CodeUnitCount else { return nil }
    var key: Int64 = 0
    for index in 0..<field.count {
      if pattern.utf8Start[index] == 0x30 {
        guard (0x30...0x39).contains(field[index]) else { return nil }
        key = key * 10 + Int64(field[index] - 0x30)
      } else if field[index] != pattern.utf8Start[index] {
        return nil
      }
    }
    return key
  }

  private static func readSplit(train trainPath: String, test testPath: String) throws(DataError) -> SequenceSplit {
    var users = IdentifierMap()
    var items = IdentifierMap()
    var earlier = EventList()
    try forEachPair(trainPath) { (user, item, number) throws(DataError) in
      earlier.users.append(users.number(of: user))
      earlier.items.append(items.number(of: item) + 1)
      earlier.times.append(Int64(number))
    }
    guard earlier.count > 0 else { throw .empty(path: trainPath, expected: "lines of the form \(splitExpectation)") }
    var later = EventList()
    try forEachPair(testPath) { (user, item, number) throws(DataError) in
      guard let user = users.known(user), let item = items.known(item) else {
        throw .malformedLine(
          path: testPath, line: number, text: "\(user) \(item) 1", expected: "a user and an item that train.txt has")
      }
      later.users.append(user)
      later.items.append(item + 1)
      later.times.append(Int64(number))
    }
    guard later.count > 0 else { throw .empty(path: testPath, expected: "lines of the form \(splitExpectation)") }
    return SequenceSplit(
      train: Interactions(events: earlier, userCount: users.count, itemCount: items.count + 1),
      test: Interactions(events: later, userCount: users.count, itemCount: items.count + 1))
  }

  private static func forEachPair(
    _ path: String, _ body: (Int64, Int64, Int) throws(DataError) -> Void
  ) throws(DataError) {
    try ByteStream(path: path).forEachLine { (line, number) throws(DataError) in
      var scanner = FieldScanner(line)
      if scanner.isAtEnd { return }
      guard let user = scanner.integer(), scanner.skipBlanks(), let item = scanner.integer(), scanner.skipBlanks(),
        scanner.integer() != nil, scanner.isAtEnd
      else {
        throw .malformedLine(path: path, line: number, text: FieldScanner.excerpt(line), expected: splitExpectation)
      }
      try body(user, item, number)
    }
  }
}

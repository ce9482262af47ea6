// Who used what, in which order: the common form of MovieLens ratings and Gowalla check-ins.

/// Numbers for the ids of a file, given out in order of first appearance.
struct IdentifierMap {
  private var direct: [Int32] = []
  private var sparse: [Int64: Int32] = [:]
  private(set) var count = 0

  /// Ids below this are looked up in an array, which 20 million ratings notice.
  private static let directLimit = 1 << 22

  /// The number of an id, a new one for a new id.
  mutating func number(of id: Int64) -> Int32 {
    if id >= 0, id < Self.directLimit {
      let index = Int(id)
      if index >= direct.count {
        direct.append(contentsOf: repeatElement(-1, count: max(index + 1, direct.count * 2) - direct.count))
      }
      if direct[index] < 0 {
        direct[index] = Int32(count)
        count += 1
      }
      return direct[index]
    }
    if let known = sparse[id] { return known }
    sparse[id] = Int32(count)
    count += 1
    return Int32(count - 1)
  }

  /// The number of an id that is already known.
  func known(_ id: Int64) -> Int32? {
    if id >= 0, id < Self.directLimit {
      let index = Int(id)
      return index < direct.count && direct[index] >= 0 ? direct[index] : nil
    }
    return sparse[id]
  }
}

/// Events as they come out of a file: 16 bytes each, so that 20 million fit into 320 MB.
struct EventList {
  var users: [Int32] = []
  var items: [Int32] = []
  /// Anything that grows with time.
  var times: [Int64] = []
  var count: Int { users.count }
}

/// For each user the items in chronological order, each item once (its first use counts).
public struct Interactions: Sendable, Hashable {
  /// Number of users; they are numbered from 0.
  public let userCount: Int
  /// Number of items; they are numbered from 0.
  public let itemCount: Int
  /// Where each user's items begin in `items`; one entry more than there are users.
  public let offsets: [Int]
  /// The items of all users, one user after the other.
  public let items: [Int32]

  /// Number of interactions.
  public var count: Int { items.count }

  /// The items of one user, oldest first.
  public func items(of user: Int) -> ArraySlice<Int32> { items[offsets[user]..<offsets[user + 1]] }

  /// Makes interactions from one list of items a user.
  public init(histories: [[Int32]], itemCount: Int) {
    userCount = histories.count
    self.itemCount = itemCount
    var offsets = [0]
    for history in histories { offsets.append(offsets[offsets.count - 1] + history.count) }
    self.offsets = offsets
    items = histories.flatMap { $0 }
  }

  private init(userCount: Int, itemCount: Int, offsets: [Int], items: [Int32]) {
    self.userCount = userCount
    self.itemCount = itemCount
    self.offsets = offsets
    self.items = items
  }

  /// Sorts events by user and time (equal times keep the order of the file) and leaves out repeated items.
  init(events: EventList, userCount: Int, itemCount: Int) {
    var starts = [Int](repeating: 0, count: userCount + 1)
    for user in events.users { starts[Int(user) + 1] += 1 }
    for user in 0..<userCount { starts[user + 1] += starts[user] }
    var next = starts
    var order = [Int32](repeating: 0, count: events.count)
    for event in 0..<events.count {
      let user = Int(events.users[event])
      order[next[user]] = Int32(event)
      next[user] += 1
    }
    var offsets = [0]
    offsets.reserveCapacity(userCount + 1)
    var items: [Int32] = []
    items.reserveCapacity(events.count)
    var lastUser = [Int32](repeating: -1, count: itemCount)
    for user in 0..<userCount {
      let own = order[starts[user]..<starts[user + 1]]
        .sorted { (events.times[Int($0)], $0) < (events.times[Int($1)], $1) }
      for event in own {
        let item = events.items[Int(event)]
        if lastUser[Int(item)] != Int32(user) {
          lastUser[Int(item)] = Int32(user)
          items.append(item)
        }
      }
      offsets.append(items.count)
    }
    self.init(userCount: userCount, itemCount: itemCount, offsets: offsets, items: items)
  }

  /// Only users and items with at least so many interactions, again and again until all have them; renumbered in
  /// their old order.
  public func filtered(minimumPerUser: Int, minimumPerItem: Int = 0) -> Interactions {
    var keepsUser = [Bool](repeating: true, count: userCount)
    var keepsItem = [Bool](repeating: true, count: itemCount)
    var changed = true
    while changed {
      changed = false
      var uses = [Int](repeating: 0, count: itemCount)
      for user in 0..<userCount where keepsUser[user] {
        let own = items(of: user).filter { keepsItem[Int($0)] }
        if own.count < minimumPerUser {
          keepsUser[user] = false
          changed = true
        } else {
          for item in own { uses[Int(item)] += 1 }
        }
      }
      for item in 0..<itemCount where keepsItem[item] && uses[item] < minimumPerItem {
        keepsItem[item] = false
        changed = true
      }
    }
    if !keepsUser.contains(false), !keepsItem.contains(false) { return self }
    var number = [Int32](repeating: -1, count: itemCount)
    var kept: Int32 = 0
    for item in 0..<itemCount where keepsItem[item] {
      number[item] = kept
      kept += 1
    }
    var offsets = [0]
    var left: [Int32] = []
    for user in 0..<userCount where keepsUser[user] {
      for item in items(of: user) where keepsItem[Int(item)] { left.append(number[Int(item)]) }
      offsets.append(left.count)
    }
    return Interactions(userCount: offsets.count - 1, itemCount: Int(kept), offsets: offsets, items: left)
  }

  /// The same interactions with each user's items in ascending order, to look one up by bisection.
  public func sortedByItem() -> Interactions {
    var sorted = items
    for user in 0..<userCount { sorted[offsets[user]..<offsets[user + 1]].sort() }
    return Interactions(userCount: userCount, itemCount: itemCount, offsets: offsets, items: sorted)
  }

  /// Whether a user has an item. Only for interactions that are sorted by item.
  @inline(__always)
  public func sortedContains(_ item: Int32, user: Int) -> Bool {
    var low = offsets[user]
    var high = offsets[user + 1]
    while low < high {
      let middle = (low + high) / 2
      if items[middle] < item { low = middle + 1 } else { high = middle }
    }
    return low < offsets[user + 1] && items[low] == item
  }
}

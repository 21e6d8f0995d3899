/// How much of the record is taken, by what the facilitator has not accepted and by the requests of open jobs.
///
/// An open job has the room for its terminal status from the moment it is accepted, so that it can end however full
/// the record has become. Source: DESIGN.md, promises 1 and 3.
struct RecordRoom: Sendable {
  /// What is kept free for the terminal status of each open job, in bytes: the longest that is written on our own
  /// account, with a command's last words as JSON.
  static let terminalBytes = 32_768

  var maxRows: Int
  var maxBytes: Int
  /// Updates that wait, and dead letters.
  var rows = 0
  /// What those take, and the requests of open jobs.
  var bytes = 0
  /// The requests alone.
  var requestBytes = 0
  /// Jobs that have no terminal status yet.
  var openJobs = 0
  /// Nothing fits on the disk but what there is a reserve for.
  var diskIsFull = false

  init(maxRows: Int, maxBytes: Int) {
    self.maxRows = maxRows
    self.maxBytes = maxBytes
  }

  /// Whether a job with a request of that size may be accepted, with its first and its last status.
  func hasRoom(forRequest size: Int) -> Bool {
    !diskIsFull && rows + openJobs + 2 <= maxRows
      && bytes + (openJobs + 1) * Self.terminalBytes + size + OutboxEntry.overhead <= maxBytes
  }

  /// The room that an update takes, without the update.
  struct Need: Sendable {
    var bytes: Int
    var isTerminal: Bool
  }

  /// Whether the room for an update was set aside when its job was accepted.
  func isReserved(for need: Need) -> Bool { need.isTerminal && need.bytes <= Self.terminalBytes }

  /// Whether an update of an open job may be stored.
  func hasRoom(for need: Need) -> Bool {
    if isReserved(for: need) { return true }
    guard !diskIsFull else { return false }
    // The largest there can be must fit somewhere.
    if rows == 0 { return true }
    return rows + openJobs + 1 <= maxRows && bytes + openJobs * Self.terminalBytes + need.bytes <= maxBytes
  }

  /// An update takes its place.
  mutating func take(_ need: Need) {
    rows += 1
    bytes += need.bytes
  }

  /// Whether so much is free again that those who wait for it should try: waking them for each row would have them
  /// come and go.
  func hasRoomAgain(for need: Need) -> Bool {
    var tighter = self
    tighter.rows += maxRows / 16
    tighter.bytes += maxBytes / 16
    return rows == 0 ? hasRoom(for: need) : tighter.hasRoom(for: need)
  }
}

extension OutboxEntry {
  /// The room that it takes in the record.
  var need: RecordRoom.Need { RecordRoom.Need(bytes: size, isTerminal: status.isTerminal) }
}

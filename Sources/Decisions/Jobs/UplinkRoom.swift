import Messages

// The bounds of the record: who waits for room, what is forgotten to make some, and what a restored copy ends.
extension UplinkCore {
  /// How long the updates of a closed job are kept, for whoever asks what became of it.
  static let closedJobsKept = Duration.seconds(7 * 86_400)
  /// How long a closed job's uuid and signature are known, so that it is not run again: twice the longest
  /// `max_age_seconds`, within which the same signature could be accepted.
  static let uuidsKept = Duration.seconds(90 * 86_400)
  static let diskCheckInterval = Duration.seconds(5)
  static let expiryInterval = Duration.seconds(3600)
  /// Jobs that expire in one transaction, behind which updates wait.
  static let expiryBatch = 500

  // MARK: Room

  /// Somebody waits for room, or the next job would have to.
  var isFull: Bool { room.diskIsFull || !holding.isEmpty || !room.hasRoom(forRequest: 0) }

  var whyFull: String {
    room.diskIsFull
      ? "the disk has no room"
      : "the record holds \(room.rows) updates and \(room.bytes) bytes, as much as max_rows and max_bytes allow"
  }

  mutating func giveBack(room entry: OutboxEntry) {
    room.rows -= 1
    room.bytes -= entry.size
  }

  /// Whether an update may be stored now: with its own room, or in its turn, or behind nobody who waits for some.
  func mayStore(_ entry: OutboxEntry, from listener: ListenerID) -> Bool {
    if room.isReserved(for: entry.need) { return true }
    return (holding.isEmpty || listeners[listener]?.need != nil) && room.hasRoom(for: entry.need)
  }

  /// Backpressure: no answer until there is room. What the Listener has sent stays with it, and it reads no further
  /// than it can hold. Should it have been its turn, it keeps its place.
  mutating func hold(_ listener: ListenerID, _ entry: OutboxEntry) {
    if holding.isEmpty {
      log(.error, .recordFull, "\(whyFull); workers wait until there is room", job: entry.job)
    }
    if listeners[listener]?.need == nil { holding.append(listener) }
    listeners[listener]?.need = entry.need
    listeners[listener]?.hearing = .held
    actions.append(.toListener(listener, .hold))
  }

  /// An update of that Listener is stored: its next one that has no room waits behind the others.
  mutating func hasRoom(_ listener: ListenerID) {
    guard listeners[listener]?.need != nil else { return }
    listeners[listener]?.need = nil
    leaveHolding { $0 == listener }
  }

  private mutating func leaveHolding(_ leaves: (ListenerID) -> Bool) {
    holding.removeAll(where: leaves)
    if holding.isEmpty { log(.notice, .recordFull, "there is room in the record again") }
  }

  mutating func holdSpecs(_ listener: ListenerID) {
    listeners[listener]?.hearing = .held
    holdingSpecs.append(listener)
    actions.append(.toListener(listener, .hold))
  }

  mutating func resumeListeners() {
    resumeSpecs()
    guard !holding.isEmpty else { return }
    // A job that has ended by other means takes nothing more, and its workers are told so.
    let useless = holding.filter { listener in
      guard let link = listeners[listener], link.need != nil else { return true }
      return link.channel.job.flatMap { jobs[$0]?.hasTerminal } ?? true
    }
    for listener in useless {
      listeners[listener]?.need = nil
      if case .held = listeners[listener]?.hearing { resume(listener) }
    }
    if !useless.isEmpty { leaveHolding(useless.contains) }
    // The others in the order in which they came, as long as there is room for the next and for those before it.
    var room = self.room
    for listener in holding {
      guard let link = listeners[listener], let need = link.need else { continue }
      if case .held = link.hearing {
        guard room.hasRoomAgain(for: need) else { break }
        resume(listener)
      }
      room.take(need)
    }
  }

  private mutating func resumeSpecs() {
    guard !holdingSpecs.isEmpty, !room.diskIsFull, specs.hasRoomAgain else { return }
    for listener in holdingSpecs where listeners[listener] != nil { resume(listener) }
    holdingSpecs = []
  }

  private mutating func resume(_ listener: ListenerID) {
    listeners[listener]?.hearing = .resuming
    actions.append(.toListener(listener, .resume))
  }

  mutating func diskChanged(isFull: Bool, at now: Instant) {
    checkDiskAt = isFull ? now + Self.diskCheckInterval : nil
    guard room.diskIsFull != isFull else { return }
    room.diskIsFull = isFull
    if isFull {
      log(
        .critical, .recordFull,
        "the disk of the state directory is full; its reserve is given up for the jobs that run, no new ones are "
          + "taken, and workers wait: make room there")
    } else {
      log(.notice, .recordFull, "the disk of the state directory has room again, and its reserve is back")
    }
  }

  mutating func checkDisk(at now: Instant) {
    guard let due = checkDiskAt, due <= now else { return }
    checkDiskAt = nil
    actions.append(.checkDisk)
  }

  // MARK: Expiry

  mutating func expire(at now: Moment) {
    guard let due = expireAt, due <= now.boot else { return }
    expireAt = nil
    // Where timestamps are not looked at a signature could be accepted for ever.
    let forgottenBefore = settings.maxAgeSeconds > 0 ? now.wall - Self.uuidsKept : WallTime(milliseconds: .min)
    actions.append(
      .expire(
        closedBefore: now.wall - Self.closedJobsKept, forgottenBefore: forgottenBefore, limit: Self.expiryBatch))
  }

  /// Updates come in between one batch and the next.
  mutating func expired(_ count: Int, at now: Instant) {
    expireAt = now + (count < Self.expiryBatch ? Self.expiryInterval : .milliseconds(100))
  }

  // MARK: A restored copy

  /// The jobs that were open when the copy was made have run since, or may have: none of them is started from it.
  mutating func failRestoredJobs(at now: Moment) {
    for (id, job) in jobs.sorted(by: { $0.key < $1.key }) where !job.hasTerminal {
      fail(
        id, reason: .genericError,
        message: "the service's record was restored from a backup in which this job was open; it is not run again",
        at: now)
    }
    commit([.clearRestored], then: .nothing)
  }
}

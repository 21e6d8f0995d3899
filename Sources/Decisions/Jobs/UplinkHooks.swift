import Messages
import StatusUpdates

// What is on its way to the hooks: cheat reports, and stored updates.
extension UplinkCore {
  // MARK: Cheat reports

  /// A cheat report whose signature holds.
  mutating func cheated(_ body: [UInt8], signatureHash: [UInt8], at now: Moment) {
    guard settings.hasCheatHook else {
      logRefusal(
        .warning, "a cheat report came; no hook is set ([hooks] on_cheated), so it is only logged",
        event: .cheatReported, at: now.boot)
      return
    }
    guard cheatHashes[signatureHash] == nil else { return }
    guard cheats.count < Self.cheatCapacity, cheats.bytes < Self.pageBytes else {
      logRefusal(
        .error, "a cheat report is dropped: \(cheats.count) wait for the hook already", event: .cheatReported,
        at: now.boot)
      return
    }
    let report = CheatReport(number: nextNumber, body: body, signatureHash: signatureHash)
    nextNumber += 1
    log(.warning, .cheatReported, "a cheat report came; it goes to the hook")
    cheatHashes[signatureHash] = report.number
    requestsBeingStored.begin(bytes: body.count)
    commit([.insertCheat(report, at: now.wall)], then: .cheat(report))
  }

  /// A cheat report that is on record.
  mutating func put(_ report: CheatReport, at now: Instant) {
    cheatHashes[report.signatureHash] = report.number
    cheats.put(report, in: report.number, at: now)
  }

  // MARK: Stored updates

  /// What puts an update into the record: for the facilitator, and for the hook if there is one.
  mutating func insertion(of entry: OutboxEntry) -> [StoreOperation] {
    guard settings.hasStatusHook else { return [.insertUpdate(entry)] }
    guard hookRoom.hasRoom(for: entry) else {
      if !hookRoom.isFull {
        log(
          .error, .hookDelayed,
          "\(hookRoom.rows) updates wait for on_status_update, as many as the record may hold: further ones are not given to it"
        )
      }
      hookRoom.isFull = true
      figures.hookUpdatesDropped += 1
      return [.insertUpdate(entry)]
    }
    hookRoom.isFull = false
    hookRoom.take(entry)
    return [.insertUpdate(entry), .insertForHook(entry)]
  }

  /// Reads the next updates for the hook. Those that it does not take stay in memory, so that there is to be room for many.
  mutating func loadForHook() {
    guard settings.hasStatusHook, hookRoom.mayHaveMore, !hookRoom.isLoading, updateHooks.count < Self.hookCapacity,
      updateHooks.bytes < Self.pageBytes / 2
    else { return }
    hookRoom.isLoading = true
    actions.append(.loadForHook(after: hookRoom.loadedUpTo, limit: Self.hookPage))
  }

  mutating func loadedForHook(_ entries: [OutboxEntry], more: Bool, at now: Instant) {
    hookRoom.isLoading = false
    hookRoom.mayHaveMore = more || hookRoom.hasNews
    hookRoom.hasNews = false
    for entry in entries {
      hookRoom.loadedUpTo = max(hookRoom.loadedUpTo, entry.id)
      updateHooks.put(entry, in: entry.job, at: now)
    }
  }

  // MARK: Runs

  mutating func runHooks(at now: Instant) {
    guard supervisorIsTold else { return }
    loadForHook()
    while let reports = cheats.next(at: now) {
      run(.cheated, reports) { TaskOrder.Task(id: "cheated-\(Self.hex($0.signatureHash))", argument: $0.body) }
    }
    while let entries = updateHooks.next(at: now) {
      run(.statusUpdate, entries) { entry in
        TaskOrder.Task(id: "\(entry.job)-\(entry.status.name)", argument: Self.hookText(of: entry))
      }
    }
  }

  private mutating func run<Item: HookItem>(
    _ hook: Hook, _ items: [Item], _ task: (Item) -> TaskOrder.Task
  ) {
    guard let first = items.first, let last = items.last else { return }
    actions.append(.toSupervisor(.runHook(HookRun(hook, first: first.number), last: last.number, items.map(task))))
  }

  /// As the facilitator gets it. A frame to the Supervisor has its bounds: what is longer goes without its metadata.
  private static func hookText(of entry: OutboxEntry) -> [UInt8] {
    let fits = entry.size <= Limits.facilitatorFrameBytes
    return StatusUpdateFrame.encode(job: entry.job, status: entry.status, metadataJSON: fits ? entry.metadata : nil)
  }

  /// Identity's Hex comes with libsodium, which what decides does not have.
  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// What a run has taken is off the record.
  mutating func hookTaken(_ run: HookRun, at now: Instant) {
    switch run.hook {
    case .cheated: cheats.settled(run.first, at: now)
    case .statusUpdate: updateHooks.settled(run.first, at: now)
    }
  }

  mutating func hookExited(_ run: HookRun, last: UInt64, _ exit: CommandExit?, at now: Moment) {
    let success = exit?.code == ExitCode.success
    let delay: Duration?
    switch run.hook {
    case .cheated:
      let end = cheats.exited(first: run.first, last: last, success: success, at: now.boot, dice: &dice)
      cheatHashes = cheatHashes.filter { !end.taken.contains($0.value) }
      if !end.taken.isEmpty { commit(end.taken.map { .dropCheat($0) }, then: .hookTaken(run)) }
      delay = end.delay
    case .statusUpdate:
      let before = updateHooks.bytes
      let end = updateHooks.exited(first: run.first, last: last, success: success, at: now.boot, dice: &dice)
      hookRoom.free(rows: end.taken.count, bytes: before - updateHooks.bytes)
      if !end.taken.isEmpty {
        let ids = end.taken.map { UpdateID(Int64(clamping: $0)) }
        commit([.dropForHook(ids)], then: .hookTaken(run))
      }
      delay = end.delay
    }
    guard let delay else { return }
    let event = run.hook == .cheated ? JournalEvent.cheatReported : .hookDelayed
    let (passes, dropped) = hookLines.admit(run.hook, at: now.boot)
    guard passes else { return }
    if let leftOut = LineLimit.leftOut(dropped) { log(.warning, event, leftOut) }
    // Of a task that the broker did not take, nothing else says why.
    let how = exit.map { exit in "\(exit)" + (exit.lastWords.map { " (\($0))" } ?? "") } ?? "could not be started"
    log(.warning, event, "the hook \(run.hook.name) \(how); it is run again in \(delay.wholeSeconds) s")
  }
}

/// How much of the record the updates take that wait for the hook, and how far they have been read.
struct HookRoom: Sendable {
  var maxRows: Int
  var maxBytes: Int
  var rows = 0
  var bytes = 0
  /// There was no room for the last that came.
  var isFull = false
  /// What is behind it is in the record only.
  var loadedUpTo = UpdateID(0)
  var mayHaveMore = true
  var isLoading = false
  /// Something was stored while it was being read.
  var hasNews = false

  init(maxRows: Int, maxBytes: Int) {
    self.maxRows = maxRows
    self.maxBytes = maxBytes
  }

  /// Once it was full there is room again when a sixteenth is free, so that it is not said at each turn.
  func hasRoom(for entry: OutboxEntry) -> Bool {
    let (rowBound, byteBound) = isFull ? (maxRows - maxRows / 16, maxBytes - maxBytes / 16) : (maxRows, maxBytes)
    return rows == 0 || (rows < rowBound && bytes + entry.size <= byteBound)
  }

  mutating func take(_ entry: OutboxEntry) {
    rows += 1
    bytes += entry.size
  }

  mutating func free(rows: Int, bytes: Int) {
    self.rows -= rows
    self.bytes -= bytes
  }

  /// One more is durable.
  mutating func stored() {
    if isLoading { hasNews = true } else { mayHaveMore = true }
  }
}

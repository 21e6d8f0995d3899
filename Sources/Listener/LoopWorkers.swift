import Decisions
import Failpoints
import Messages
import Platform

// The workers' connections: accepting, reading, and how much they may hold.
extension Loop {
  /// Connections served at once; more wait in the backlog.
  private static let connectionLimit = 256
  /// The most that a worker can leave unread of its answers, in bytes: the longest of all that it may wait for at once.
  private static let unreadAnswers = 1 << 18
  /// As much as one read of every connection may bring, in bytes: it stays with those that do not take their answers.
  private static let readTogether = 2 << 20
  /// As many bytes of answers are sent together.
  static let answersAtOnce = 4096
  /// As many connections are accepted before the loop turns to its other sockets.
  private static let acceptedAtOnce = 64
  /// How long nothing is accepted after a connection could not be, unless another one closes before.
  private static let acceptRest = Duration.seconds(1)

  /// The fact that the command has ended waits for everybody who has connected before it.
  private var limit: Int { drain == nil ? Self.connectionLimit : 4 * Self.connectionLimit }

  func acceptWorkers() throws(SystemError) -> Int32? {
    for _ in 0..<Self.acceptedAtOnce {
      // Whoever has connected since the drain began waits until it is over.
      if drain?.hasAccepted == true {
        try stopAccepting()
        return nil
      }
      guard workers.count < limit else {
        guard let worker = givingWay else {
          acceptAgainAt = bounds.nextIdle ?? now + ConnectionBounds.idleTime
          try stopAccepting()
          return nil
        }
        let text = "a silent connection gives way to another: \(workers.count) are open"
        if let code = try tell(.log(.notice, text)) { return code }
        if let code = try forget(worker) { return code }
        continue
      }
      let accepted: Descriptor?
      do throws(SystemError) {
        accepted = try UnixSocket.accept(listening)
      } catch {
        guard error.isExhaustion else { throw error }
        // It would be announced again at once.
        acceptAgainAt = now + Self.acceptRest
        try stopAccepting()
        return try tell(.log(.error, "no worker's connection can be accepted: \(error); tried again in a second"))
      }
      guard let socket = accepted else {
        drain?.hasAccepted = true
        return nil
      }
      let peer = try UnixSocket.peer(of: socket)
      if drain?.accepted(peer) == true { continue }
      guard try UnixSocket.isAllowed(peer, of: socket) else {
        let text = "a connection of another user, outside of our group, is closed"
        if let code = try tell(.log(.warning, text)) { return code }
        continue
      }
      let worker = Worker(
        id: ConnectionID(nextWorker),
        connection: FrameConnection(
          socket, limit: settings.maxFrameBytes, outgoingLimit: Self.unreadAnswers))
      nextWorker += 1
      if drain?.hasAccepted == false { try worker.owe() }
      workers[worker.id] = worker
      bounds.opened(worker.id, at: now)
      try watch(worker)
      if let code = try handle(.workerConnected(worker.id)) { return code }
    }
    return nil
  }

  /// The connection that another takes the place of. In a drain that is one that has nothing more to say for it.
  private var givingWay: Worker? {
    if drain == nil { return bounds.idlest(at: now).flatMap { workers[$0] } }
    return workers.values.first { $0.isDrained && bounds.isAnswered($0.id) }
  }

  /// After a rest, or when a connection may have been silent for long enough to give way.
  func acceptAgain() throws(SystemError) -> Int32? {
    acceptAgainAt = nil
    guard !accepting else { return nil }
    accepting = true
    try poller.watch(listening, token: Token.listening, read: true, write: false)
    return try acceptWorkers()
  }

  private func stopAccepting() throws(SystemError) {
    accepting = false
    try poller.watch(listening, token: Token.listening, read: false, write: false)
  }

  func resumeAccepting() throws(SystemError) {
    guard !accepting, workers.count < limit else { return }
    accepting = true
    acceptAgainAt = nil
    try poller.watch(listening, token: Token.listening, read: true, write: false)
  }

  func watch(_ worker: Worker) throws(SystemError) {
    bounds.reads(worker.id, worker.isRead, at: now)
    try worker.connection.watch(
      in: poller, token: worker.id.number, read: worker.isRead,
      write: (worker.connection.wantsToWrite || worker.stuffed) && !worker.isDeaf)
  }

  /// Sends a worker what waits for it. As long as it does not take that, it is asked for no more.
  func sendAnswers(_ worker: Worker) {
    do throws(FrameConnection.Failure) {
      try worker.connection.flush()
    } catch {
      worker.isDeaf = true
      if worker.stuffed {
        // Nobody looks any more whether it takes its answers.
        worker.stuffed = false
        bounds.answersWait(worker.id, unread: 0, at: now)
        wait(worker)
      }
    }
    guard !worker.isDeaf, worker.connection.wantsToWrite else { return }
    worker.stuffed = true
    bounds.answersWait(worker.id, unread: worker.connection.unsentBytes, at: now)
  }

  /// Sends what waits for a worker that may take it now, and reads on if that was all.
  private func sendMore(_ worker: Worker) throws(SystemError) -> Int32? {
    sendAnswers(worker)
    defer { if workers[worker.id] != nil { try? watch(worker) } }
    guard worker.stuffed, worker.isDeaf || !worker.connection.wantsToWrite else { return nil }
    worker.stuffed = false
    bounds.answersWait(worker.id, unread: 0, at: now)
    return try takeRequests(worker)
  }

  func serveWorker(_ ready: Poller.Ready) throws(SystemError) -> Int32? {
    guard let worker = workers[ConnectionID(ready.token)] else { return nil }
    if ready.writable || worker.stuffed, let code = try sendMore(worker) { return code }
    guard workers[worker.id] != nil else { return nil }
    if worker.finishedReading { return ready.hungUp ? try forget(worker) : nil }
    if !worker.isRead {
      // Its end would be announced again and again until it is read from.
      if ready.hungUp { worker.connection.unwatch(in: poller) }
      return nil
    }
    if ready.readable || ready.hungUp {
      if let code = try readOnce(worker) { return code }
    }
    // Nobody is left to hear an answer; what was sent before has been read, or waits paused until it is.
    if ready.hungUp, worker.finishedReading, workers[ConnectionID(ready.token)] != nil { return try forget(worker) }
    return nil
  }

  private func readOnce(_ worker: Worker, atMost limit: Int = .max) throws(SystemError) -> Int32? {
    do {
      // The kernel has counted more than there is to be read.
      if try !worker.connection.fill(atMost: min(share(of: worker), limit)) { worker.owedUntil = 0 }
    } catch {
      return try forget(worker)
    }
    let code = try takeRequests(worker)
    if bounds.isFull, !isStarving { try balance() }
    return code
  }

  /// How much is read from it at once, in bytes.
  private func share(of worker: Worker) -> Int {
    guard bounds.isFull else { return max(FrameConnection.smallestRead, Self.readTogether / max(1, workers.count)) }
    // Where there is no room for parts of frames, whoever has none yet is to begin a small one, and the foremost to end its own.
    return bounds.holdsPart(worker.id) ? .max : FrameConnection.smallestRead
  }

  /// Has what a worker has sent looked at in one of the next turns, behind those that wait already.
  func wait(_ worker: Worker) {
    guard !worker.waits else { return }
    worker.waits = true
    waiting.append(worker)
  }

  /// Goes on with those for whom there was no turn.
  func takeFromWaiting() throws(SystemError) -> Int32? {
    while !turn.isOver, let worker = waiting.popFirst() {
      worker.waits = false
      guard workers[worker.id] != nil else { continue }
      if let code = try takeRequests(worker) { return code }
      // Not only once the poller says so: by then those behind it have filled the room again. And little, since all may come
      // here before any is read on.
      if workers[worker.id] != nil, worker.isRead,
        let code = try readOnce(worker, atMost: FrameConnection.smallestRead)
      {
        return code
      }
      if workers[worker.id] != nil { try watch(worker) }
    }
    return nil
  }

  /// Hands over the whole frames that have been read, as long as the worker is not paused and the turn goes on.
  func takeRequests(_ worker: Worker) throws(SystemError) -> Int32? {
    var took = false
    defer {
      worker.connection.giveBack()
      bounds.heard(worker.id, unfinished: worker.connection.unfinishedBytes, isAnother: took, at: now)
    }
    while !worker.paused, !worker.stuffed, !worker.finishedReading, workers[worker.id] != nil {
      guard !turn.isOver else {
        wait(worker)
        return nil
      }
      let before = worker.connection.unfinishedBytes
      let request: WorkerRequest?
      do {
        request = try worker.nextRequest(job: settings.job, limit: settings.maxFrameBytes)
      } catch {
        return try forget(worker)
      }
      guard let request else {
        guard worker.connection.atEnd else { return nil }
        worker.finishedReading = true
        try watch(worker)
        return try handle(.workerAtEnd(worker.id))
      }
      if case .wrong(_, _, closes: true) = request.content {
        worker.finishedReading = true
        try watch(worker)
      }
      took = true
      turn.took(bytes: before - worker.connection.unfinishedBytes)
      bounds.asked(worker.id)
      Failpoint.reach("listener.received")
      if let code = try handle(.workerRequest(worker.id, request)) { return code }
    }
    return nil
  }

  private func forget(_ worker: Worker) throws(SystemError) -> Int32? {
    try remove(worker.id)
    return try handle(.workerClosed(worker.id))
  }

  func remove(_ id: ConnectionID) throws(SystemError) {
    workers[id] = nil
    bounds.closed(id)
    try resumeAccepting()
  }

  // MARK: Bounds

  /// When frames that are not whole take all they may, only the foremost of their connections is read from.
  func balance() throws(SystemError) {
    isStarving = bounds.isFull
    let readable = workers.values.filter { !$0.paused && !$0.stuffed && !$0.finishedReading }
    let foremost = isStarving ? bounds.foremost(of: readable.map(\.id)) : nil
    // Those that are paused as well: when they are resumed it may be that nobody looks here any more.
    for worker in workers.values where !worker.finishedReading {
      let starved = isStarving && worker.id != foremost && bounds.holdsPart(worker.id)
      guard starved != worker.starved else { continue }
      worker.starved = starved
      try watch(worker)
    }
  }

  /// Ends connections whose frame is not whole in time, and those that take no answers.
  func endOverdue() throws(SystemError) -> Int32? {
    for id in bounds.stuck(at: now) {
      guard let worker = workers[id] else { continue }
      let text =
        "a worker's connection is closed: it has read none of \(worker.connection.unsentBytes) bytes of answers for "
        + "\(ConnectionBounds.answerTime.wholeSeconds) s"
      if let code = try tell(.log(.warning, text)) { return code }
      if let code = try forget(worker) { return code }
    }
    for id in bounds.overdue(at: now) {
      guard let worker = workers[id] else { continue }
      worker.finishedReading = true
      try watch(worker)
      bounds.asked(id)
      let text = "a frame is not whole \(ConnectionBounds.frameTime.wholeSeconds) s after its first byte"
      let request = WorkerRequest(id: nil, content: .wrong(.malformed, text, closes: true))
      if let code = try handle(.workerRequest(id, request)) { return code }
    }
    return nil
  }

  /// Reads what was sent before the drain began: those who had connected, and of each connection what had come. Nothing
  /// that comes later is waited for, or who goes on sending would withhold the command's exit.
  func goOnDraining() throws(SystemError) -> Int32? {
    let hasPlace = acceptAgainAt == nil || workers.count >= limit && givingWay != nil
    if drain?.hasAccepted == false, hasPlace, let code = try acceptWorkers() { return code }
    for worker in workers.values where worker.isRead && !worker.isDrained {
      if let code = try readOnce(worker) { return code }
    }
    // Whoever leaves its answers unread, or waits for room for a part of a frame, withholds the exit no longer: it was promised
    // nothing.
    for worker in workers.values where !worker.isDrained && drain?.cuts(worker, at: now) == true {
      if let code = try forget(worker) { return code }
    }
    // A frame of which nothing more is owed does not become whole in time, and keeps others from being read.
    // Its worker connects again, as after any loss.
    if isStarving {
      for worker in workers.values where worker.isDrained && !worker.finishedReading && bounds.holdsPart(worker.id) {
        if let code = try forget(worker) { return code }
      }
    }
    guard drain?.hasAccepted == true, redisIsEmpty, workers.values.allSatisfy(\.isDrained) else { return nil }
    drain = nil
    try resumeAccepting()
    return try handle(.drained)
  }
}

/// How far a Listener has accepted those who had connected before its job's command ended.
struct Drain {
  /// A connection of our own, behind those that wait to be accepted.
  private let mark: Descriptor?
  /// How many connections of our own are still to be accepted: an older drain that this one takes the place of had one too.
  private var marks: Int
  /// How many are accepted where there is no such connection: as many as can have waited.
  private var left = UnixSocket.longestBacklog
  /// Everybody who had connected has been accepted.
  var hasAccepted = false
  /// How long those are waited for that cannot be read on.
  let patientUntil: Instant

  /// - Parameter older: one that is not over yet, and begins anew with this.
  init(of listening: Descriptor, after older: Drain?, at now: Instant) {
    patientUntil = now + .seconds(1)
    mark = UnixSocket.path(of: listening).flatMap { path in try? UnixSocket.connect(to: path) }
    marks = (older?.marks ?? 0) + (mark == nil ? 0 : 1)
  }

  /// Whether that worker cannot be read on, and it is too late to wait for it.
  func cuts(_ worker: Worker, at now: Instant) -> Bool {
    (worker.stuffed || worker.starved && !worker.paused && !worker.waits) && patientUntil <= now
  }

  /// Somebody was accepted. Returns whether it is the mark.
  mutating func accepted(_ peer: PeerCredentials) -> Bool {
    let isMark = marks > 0 && peer.pid == UnixSocket.ownPID
    left -= 1
    if isMark { marks -= 1 }
    if isMark && marks == 0 && mark != nil || left <= 0 { hasAccepted = true }
    return isMark
  }
}

import Decisions
import Failpoints
import Messages
import Platform

// The workers' connections: accepting, reading, and how much they may hold.
extension Loop {
  /// Connections served at once; more wait in the backlog.
  private static let connectionLimit = 256
  /// What a worker may leave unread of its answers, in bytes.
  private static let unreadAnswers = 1 << 20
  /// How long nothing is accepted after a connection could not be, unless another one closes before.
  private static let acceptRest = Duration.seconds(1)

  /// The fact that the command has ended waits for everybody who has connected before it.
  private var limit: Int { draining ? 4 * Self.connectionLimit : Self.connectionLimit }

  func acceptWorkers() throws(SystemError) -> Int32? {
    while true {
      guard workers.count < limit else {
        guard let idle = bounds.idlest(at: now), let worker = workers[idle] else { break }
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
      guard let socket = accepted else { return nil }
      guard try UnixSocket.isAllowed(UnixSocket.peer(of: socket), of: socket) else {
        let text = "a connection of another user, outside of our group, is closed"
        if let code = try tell(.log(.warning, text)) { return code }
        continue
      }
      let worker = Worker(
        id: ConnectionID(nextWorker),
        connection: FrameConnection(
          socket, limit: settings.maxFrameBytes, outgoingLimit: Self.unreadAnswers))
      nextWorker += 1
      workers[worker.id] = worker
      bounds.opened(worker.id, at: now)
      try watch(worker)
      if let code = try handle(.workerConnected(worker.id)) { return code }
    }
    acceptAgainAt = bounds.nextIdle ?? now + ConnectionBounds.idleTime
    try stopAccepting()
    return nil
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
      write: worker.connection.wantsToWrite && !worker.isDeaf)
  }

  func serveWorker(_ ready: Poller.Ready) throws(SystemError) -> Int32? {
    guard let worker = workers[ConnectionID(ready.token)] else { return nil }
    if ready.writable {
      do throws(FrameConnection.Failure) {
        try worker.connection.flush()
      } catch {
        worker.isDeaf = true
      }
      try watch(worker)
    }
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

  private func readOnce(_ worker: Worker) throws(SystemError) -> Int32? {
    do {
      worker.isEmpty = try !worker.connection.fill()
    } catch {
      return try forget(worker)
    }
    return try takeRequests(worker)
  }

  /// Hands over the whole frames that have been read, as long as the worker is not paused.
  func takeRequests(_ worker: Worker) throws(SystemError) -> Int32? {
    var took = false
    defer { bounds.heard(worker.id, unfinished: worker.connection.unfinishedBytes, isAnother: took, at: now) }
    while !worker.paused, !worker.finishedReading, workers[worker.id] != nil {
      let request: WorkerRequest?
      do {
        request = try worker.nextRequest(job: settings.job, limit: settings.maxFrameBytes)
      } catch {
        return try forget(worker)
      }
      guard let request else {
        guard worker.connection.atEnd else { return nil }
        worker.finishedReading = true
        worker.isEmpty = true
        try watch(worker)
        return try handle(.workerAtEnd(worker.id))
      }
      if case .wrong(_, _, closes: true) = request.content {
        worker.finishedReading = true
        worker.isEmpty = true
        try watch(worker)
      }
      took = true
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
    let readable = workers.values.filter { !$0.paused && !$0.finishedReading }
    let foremost = isStarving ? bounds.foremost(of: readable.map(\.id)) : nil
    // Those that are paused as well: when they are resumed it may be that nobody looks here any more.
    for worker in workers.values where !worker.finishedReading {
      let starved = isStarving && worker.id != foremost && bounds.holdsPart(worker.id)
      guard starved != worker.starved else { continue }
      worker.starved = starved
      try watch(worker)
    }
  }

  func endOverdueFrames() throws(SystemError) -> Int32? {
    for id in bounds.overdue(at: now) {
      guard let worker = workers[id] else { continue }
      worker.finishedReading = true
      worker.isEmpty = true
      try watch(worker)
      bounds.asked(id)
      let text = "a frame is not whole \(ConnectionBounds.frameTime.wholeSeconds) s after its first byte"
      let request = WorkerRequest(id: nil, content: .wrong(.malformed, text, closes: true))
      if let code = try handle(.workerRequest(id, request)) { return code }
    }
    return nil
  }

  /// Reads everything that has been sent so far: the whole backlog, and each connection until nothing is left.
  func drain() throws(SystemError) -> Int32? {
    if acceptAgainAt == nil, let code = try acceptWorkers() { return code }
    for worker in workers.values where worker.isRead && !worker.isEmpty {
      if let code = try readOnce(worker) { return code }
    }
    guard accepting, redisIsEmpty, workers.values.allSatisfy(\.isEmpty) else { return nil }
    draining = false
    return try handle(.drained)
  }
}

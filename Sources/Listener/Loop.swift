import Decisions
import DequeModule
import Failpoints
import MessagePack
import Messages
import Platform

/// The Listener's loop: turns what happens on its sockets into events and carries out what is decided.
final class Loop {
  enum Token {
    static let control: UInt64 = 0
    static let listening: UInt64 = 1
    static let uplink: UInt64 = 2
    static let redisData: UInt64 = 3
    static let redisBell: UInt64 = 4
    static let firstWorker: UInt64 = 16
  }

  let settings: ListenerSettings
  private let generation: Generation
  let poller: Poller
  private let control: FrameConnection
  let listening: Descriptor
  private var uplink: FrameConnection?
  var workers = ByConnection<Worker>()
  var nextWorker = Token.firstWorker
  private var core: ListenerCore
  private let redis: RedisEar?
  var redisIsEmpty = true
  var bounds: ConnectionBounds
  var isStarving = false
  var drain: Drain?
  var accepting = true
  var acceptAgainAt: Instant?
  private var lines: LineLimit
  /// Whether something was written to Uplink since the last flush.
  private var uplinkIsWritten = false
  /// What is sent to Uplink once that has taken what was sent before. As messages they cost no second copy.
  private var unsent = Deque<ListenerToUplink>()
  private static let unsentBytesAtOnce = 1 << 16
  /// How much more is taken from workers in this turn.
  var turn = TurnBudget()
  /// Workers that may have sent more than there was a turn for. They come first in the next one, in this order.
  var waiting = Deque<Worker>()
  /// Workers that something was written to since the last flush.
  private var written: [Worker] = []

  init(
    settings: ListenerSettings, generation: Generation, control: FrameConnection, listening: Descriptor
  ) throws(SystemError) {
    self.settings = settings
    self.generation = generation
    self.control = control
    self.listening = listening
    poller = try Poller()
    lines = LineLimit(LineLimit.complaints, at: Instant(nanoseconds: Clock.bootNanoseconds))
    core = ListenerCore(settings: settings)
    bounds = ConnectionBounds(frame: settings.maxFrameBytes)
    let poller = poller
    redis = settings.redis.map {
      RedisEar(
        $0, settings: settings, generation: generation, poller: poller,
        tokens: [.data: Token.redisData, .bell: Token.redisBell])
    }
    try listening.setNonBlocking()
    try control.watch(in: poller, token: Token.control, read: true, write: false)
    try poller.watch(listening, token: Token.listening, read: true, write: false, isNew: true)
  }

  var now: Instant { Instant(nanoseconds: Clock.bootNanoseconds) }

  /// Runs until the Listener's work is done; returns its exit code.
  func run() throws(SystemError) -> Int32 {
    let code = try runUntilDone()
    try flush()
    return code
  }

  private func runUntilDone() throws(SystemError) -> Int32 {
    if let code = try carryOut(core.start()) { return code }
    if let redis, let code = try take(redis.start(at: now)) { return code }
    // What came with the assignment has been read already.
    if let code = try serveControl(readable: false) { return code }
    while true {
      try flush()
      let events = try poller.wait(timeout: timeout)
      turn = TurnBudget()
      if !waiting.isEmpty, let code = try takeFromWaiting() { return code }
      for ready in events {
        let code =
          switch ready.token {
          case Token.control: try serveControl(readable: ready.readable || ready.hungUp)
          case Token.listening: try acceptWorkers()
          case Token.uplink: try serveUplink(ready)
          case Token.redisData: try take(redis?.serve(.data, ready, at: now) ?? [])
          case Token.redisBell: try take(redis?.serve(.bell, ready, at: now) ?? [])
          default: try serveWorker(ready)
          }
        if let code { return code }
      }
      if drain != nil, let code = try goOnDraining() { return code }
      if let due = core.nextDeadline, due <= now, let code = try handle(.timeReached) { return code }
      if let redis, let due = redis.nextDeadline, due <= now, let code = try tellRedis(.timeReached) { return code }
      if let due = bounds.nextDeadline, due <= now, let code = try endOverdue() { return code }
      if let due = reportDue, due <= now, let code = try reportLines() { return code }
      if bounds.isFull || isStarving { try balance() }
      if let due = acceptAgainAt, due <= now, let code = try acceptAgain() { return code }
    }
  }

  private var timeout: Int32? {
    guard waiting.isEmpty else { return 0 }
    let now = now
    if let drain, workers.values.contains(where: { !$0.isDrained && ($0.isRead || drain.cuts($0, at: now)) }) {
      return 0
    }
    let patience = drain.flatMap { $0.patientUntil > now ? $0.patientUntil : nil }
    let ours = Instant.earlier(core.nextDeadline, redis?.nextDeadline)
    let others = Instant.earlier(bounds.nextDeadline, acceptAgainAt)
    return Instant.earlier(Instant.earlier(ours, others), Instant.earlier(reportDue, patience)).map {
      Int32(clamping: max(0, ($0 - now).wholeMilliseconds + 1))
    }
  }

  func handle(_ event: ListenerCore.Event) throws(SystemError) -> Int32? {
    try carryOut(core.handle(event, at: now))
  }

  // MARK: Actions

  private func carryOut(_ actions: [ListenerCore.Action]) throws(SystemError) -> Int32? {
    for action in actions {
      switch action {
      case .connectUplink: if let code = try connectUplink() { return code }
      case .toUplink(let message): try send(message)
      case .toSupervisor(let message):
        if let code = try tell(message) { return code }
        if message == .ready { WarmUp.run(settings, generation: generation) }
      case .answer(ListenerCore.redisConnection, let requestID, let answer):
        if let code = try settled(requestID, answer) { return code }
      case .answer(let id, let requestID, let answer):
        bounds.answered(id, at: now)
        guard let worker = workers[id], !worker.isDeaf else { continue }
        Failpoint.reach("listener.answering")
        do throws(FrameConnection.Failure) {
          try worker.connection.write(Worker.frame(answer, id: requestID))
        } catch {
          worker.isDeaf = true
        }
        if !worker.isWritten { written.append(worker) }
        worker.isWritten = true
        if worker.connection.unsentBytes >= Self.answersAtOnce { sendAnswers(worker) }
        Failpoint.reach("listener.answered") { try? worker.connection.flush() }
      case .close(let id): try remove(id)
      case .pauseReading(ListenerCore.redisConnection), .resumeReading(ListenerCore.redisConnection):
        redis?.isPaused = action == .pauseReading(ListenerCore.redisConnection)
        if let redis, let code = try tellRedis(.paused(redis.isPaused)) { return code }
      case .pauseReading(let id):
        guard let worker = workers[id] else { continue }
        worker.paused = true
        try watch(worker)
      case .resumeReading(let id):
        guard let worker = workers[id] else { continue }
        worker.paused = false
        // Not now: what it has sent may pause the next one that is resumed here.
        wait(worker)
      case .drain:
        drain = Drain(of: listening, after: drain, at: now)
        for worker in workers.values { try worker.owe() }
        // Those who waited for a place have one now.
        try resumeAccepting()
        redisIsEmpty = redis == nil
        if let code = try tellRedis(.drain) { return code }
      case .endChannel: if let code = try tellRedis(.end) { return code }
      case .resolved(let addresses, let problem):
        if let code = try take(redis?.resolved(addresses, problem: problem, at: now) ?? []) { return code }
      case .exit(let code): return code
      }
    }
    return nil
  }

  /// Returns the exit code when the Supervisor cannot be told.
  func tell(_ message: ListenerToSupervisor) throws(SystemError) -> Int32? {
    Failpoint.reach("listener.finishing", when: message == .finished)
    do throws(FrameConnection.Failure) {
      switch message {
      case .log:
        // Nearly all of them are caused by what workers send. They give way to everything else when the Supervisor does not
        // read as fast as they come.
        let (passes, dropped) = lines.admit(at: now, orDrop: control.wantsToWrite)
        guard passes else { return nil }
        try sayLeftOut(dropped)
      case .finished: try sayLeftOut(lines.dropped)
      default: break
      }
      try control.send(message.frame(generation: generation))
    } catch {
      return Self.code(error)
    }
    try watchControl()
    return nil
  }

  /// A Supervisor that is gone needs no exit code; one that does not read must not take this for the end.
  private static func code(_ failure: FrameConnection.Failure) -> Int32 {
    if case .system = failure { ExitCode.success } else { ExitCode.software }
  }

  private func sayLeftOut(_ count: Int) throws(FrameConnection.Failure) {
    guard let text = LineLimit.leftOut(count) else { return }
    try control.send(ListenerToSupervisor.log(.warning, text).frame(generation: generation))
  }

  /// When it is to be said how many lines were left out, as no other line has come since.
  private var reportDue: Instant? { control.wantsToWrite ? nil : lines.reportDue }

  private func reportLines() throws(SystemError) -> Int32? {
    do throws(FrameConnection.Failure) { try sayLeftOut(lines.report(at: now)) } catch { return Self.code(error) }
    try watchControl()
    return nil
  }

  private func watchControl() throws(SystemError) {
    try control.watch(in: poller, token: Token.control, read: true, write: control.wantsToWrite)
  }

  private func connectUplink() throws(SystemError) -> Int32? {
    do {
      let connection = FrameConnection(
        try UnixSocket.connect(to: settings.uplinkSocket), limit: Limits.updateOverheadBytes,
        // One message, and what is sent with it: the others wait as messages.
        outgoingLimit: settings.maxFrameBytes + 2 * Limits.updateOverheadBytes)
      unsent.removeAll()
      uplink = connection
      try connection.watch(in: poller, token: Token.uplink, read: true, write: false)
      return try handle(.uplinkConnected)
    } catch {
      // Its backlog is full or its socket is being made: tried again shortly.
      return try uplinkIsLost()
    }
  }

  private func uplinkIsLost() throws(SystemError) -> Int32? {
    // It answers no question any more.
    let outputs = try redis?.resolved([], problem: "Uplink, which looks for it, is away", at: now)
    if let code = try take(outputs ?? []) { return code }
    return try handle(.uplinkLost)
  }

  private func send(_ message: ListenerToUplink) throws(SystemError) {
    guard let uplink else { return }
    uplinkIsWritten = true
    guard unsent.isEmpty, uplink.unsentBytes < Self.unsentBytesAtOnce else {
      unsent.append(message)
      return
    }
    write(message, to: uplink)
  }

  private func write(_ message: ListenerToUplink, to uplink: FrameConnection) {
    do {
      try uplink.write(message.frame(generation: generation))
    } catch {
      // The loss shows as the end of the socket when it is next read, and is handled there.
      uplink.shutDown()
    }
  }

  /// Sends Uplink as much as it takes now of what waits for it.
  private func flush(_ uplink: FrameConnection) throws(FrameConnection.Failure) {
    try uplink.flush()
    while uplink.unsentBytes < Self.unsentBytesAtOnce, let message = unsent.popFirst() {
      write(message, to: uplink)
      try uplink.flush()
    }
  }

  /// Sends what one turn of the loop has written, together.
  private func flush() throws(SystemError) {
    if uplinkIsWritten, let uplink {
      uplinkIsWritten = false
      do throws(FrameConnection.Failure) { try flush(uplink) } catch { uplink.shutDown() }
      try uplink.watch(in: poller, token: Token.uplink, read: true, write: uplink.wantsToWrite)
    }
    for worker in written {
      worker.isWritten = false
      sendAnswers(worker)
      if workers[worker.id] != nil { try watch(worker) }
    }
    written.removeAll(keepingCapacity: true)
  }

  // MARK: The Supervisor

  private func serveControl(readable: Bool) throws(SystemError) -> Int32? {
    do {
      if readable { try control.fill() }
      try control.flush()
      try watchControl()
      while let (message, _) = try control.next(SupervisorToListener.self) {
        if let code = try handle(.fromSupervisor(message)) { return code }
      }
    } catch let error as FrameConnection.Failure {
      _ = try tell(.log(.error, "the Supervisor sent \(error)"))
      return ExitCode.software
    } catch let error as SystemError {
      throw error
    } catch {
      return ExitCode.software
    }
    // End of file: the Supervisor is gone, and so are its children.
    return control.atEnd ? ExitCode.success : nil
  }

  // MARK: Uplink

  private func serveUplink(_ ready: Poller.Ready) throws(SystemError) -> Int32? {
    guard let connection = uplink else { return nil }
    do {
      if ready.writable {
        try flush(connection)
        try connection.watch(in: poller, token: Token.uplink, read: true, write: connection.wantsToWrite)
      }
      if ready.readable || ready.hungUp { try connection.fill() }
      while let (message, _) = try connection.next(UplinkToListener.self) {
        if let code = try handle(.fromUplink(message)) { return code }
      }
      if !connection.atEnd { return nil }
    } catch let error as SystemError {
      throw error
    } catch let error as FrameConnection.Failure {
      if case .frame = error {
        let text = "Uplink sent \(error); its connection is closed and made anew"
        if let code = try tell(.log(.error, text)) { return code }
      }
    } catch {
      return ExitCode.software
    }
    uplink = nil
    return try uplinkIsLost()
  }

  // MARK: Redis

  private func tellRedis(_ event: RedisChannel.Event) throws(SystemError) -> Int32? {
    guard let redis else { return nil }
    return try take(redis.handle(event, at: now))
  }

  private func take(_ outputs: [RedisEar.Output]) throws(SystemError) -> Int32? {
    for output in outputs {
      let code: Int32?
      switch output {
      case .request(let request): code = try handle(.workerRequest(ListenerCore.redisConnection, request))
      case .ready: code = try handle(.channelReady)
      case .drained:
        redisIsEmpty = true
        code = nil
      case .ended: code = try handle(.channelEnded)
      case .log(let priority, let text): code = try tell(.log(priority, text))
      case .resolve(let name):
        if uplink == nil {
          code = try take(redis?.resolved([], problem: "Uplink, which looks for it, is away", at: now) ?? [])
        } else {
          try send(.resolve(name))
          code = nil
        }
      }
      if let code { return code }
    }
    return nil
  }

  /// Nobody waits for the answer to what came through Redis: it is removed there, and a refusal is in the journal.
  private func settled(_ id: MessagePackValue?, _ answer: WorkerAnswer) throws(SystemError) -> Int32? {
    guard case .int(let number)? = id else { return nil }
    if case .error(.jobClosed, let text) = answer {
      if let code = try tell(.log(.notice, "an update that came through Redis is not taken: \(text)")) { return code }
    }
    return try tellRedis(.settled(UInt64(clamping: number)))
  }
}

import DequeModule
import MessagePack
import Messages

/// The number of a worker's connection within one Listener.
public struct ConnectionID: Sendable, Hashable, Comparable {
  public let number: UInt64
  public init(_ number: UInt64) { self.number = number }
  public static func < (left: ConnectionID, right: ConnectionID) -> Bool { left.number < right.number }
}

/// What a worker sent in one frame, once looked at.
public struct WorkerRequest: Sendable, Hashable {
  /// The worker's own id, given back with the answer; nil when it was left out.
  public var id: MessagePackValue?
  public var content: Content

  public enum Content: Sendable, Hashable {
    case update(JobStatus, metadata: [UInt8]?)
    case specs(MachineSpecs)
    /// `closes`: what follows on the connection cannot be read.
    case wrong(WorkerErrorCode, String, closes: Bool)
  }

  public init(id: MessagePackValue?, content: Content) {
    self.id = id
    self.content = content
  }

  /// What holding it costs, in bytes.
  var size: Int {
    switch content {
    case .update(_, let metadata): 64 + (metadata?.count ?? 0)
    case .specs(let specs): 64 + specs.specs.count
    case .wrong: 64
    }
  }
}

/// What a worker is answered.
public enum WorkerAnswer: Sendable, Hashable {
  case stored
  case error(WorkerErrorCode, String)
}

/// What a Listener decides: one job's channel between its workers and Uplink.
///
/// An update is acknowledged only after Uplink has said Stored. What was not stored when Uplink went away is
/// sent again, in order, once it is back; a worker's answers come in the order of its requests.
/// Source: DESIGN.md, One job, from start to finish.
public struct ListenerCore: Sendable {
  public enum Event: Sendable {
    case uplinkConnected
    case uplinkLost
    case fromUplink(UplinkToListener)
    case fromSupervisor(SupervisorToListener)
    case workerConnected(ConnectionID)
    case workerRequest(ConnectionID, WorkerRequest)
    /// It sends nothing more and may still wait for answers.
    case workerAtEnd(ConnectionID)
    /// It is gone.
    case workerClosed(ConnectionID)
    /// After the newest `drain`: everything that had been sent by then has been read.
    case drained
    /// From here on nothing is missed that is sent through Redis, whose connection is then a worker's like others.
    case channelReady
    /// After `endChannel`.
    case channelEnded
    case timeReached
  }

  public enum Action: Sendable, Equatable {
    case connectUplink
    case toUplink(ListenerToUplink)
    case toSupervisor(ListenerToSupervisor)
    case answer(ConnectionID, id: MessagePackValue?, WorkerAnswer)
    case close(ConnectionID)
    case pauseReading(ConnectionID)
    case resumeReading(ConnectionID)
    /// Read everything that has been sent so far, and say `drained`. One that comes before that begins anew: what has been
    /// sent up to the newer one is read, and `drained` is said once.
    case drain
    /// Leave nothing behind in Redis, and say `channelEnded`.
    case endChannel
    /// Of a name that was asked for.
    case resolved(addresses: [String], problem: String)
    case exit(Int32)
  }

  /// What comes through Redis comes as from this connection.
  public static let redisConnection = ConnectionID(2)
  /// Unanswered requests a connection may have before it is read no further.
  public static let pendingPerConnection = 64
  /// Unstored bytes over all connections before none is read any further: one of the largest frames.
  private let pendingBytesLimit: Int
  /// Bytes of answers still to be given, over all connections, before none is read any further.
  private static let slotBytesLimit = 1 << 19
  private static let reconnectDelay = Duration.milliseconds(50)
  /// How long a connection must have lived for its loss to be Uplink's end.
  private static let worked = Duration.seconds(1)

  /// One thing on its way to Uplink, in the order it goes there.
  private struct Pending: Sendable {
    var number: SequenceNumber
    var connection: ConnectionID
    var message: ListenerToUplink
    var size: Int
  }

  /// A worker's request that is not answered yet, or whose answer waits for an earlier one.
  private struct Slot: Sendable {
    var number: SequenceNumber?
    var id: MessagePackValue?
    var answer: WorkerAnswer?
    var closes = false

    /// What holding it costs, in bytes. Of an id that is no scalar no more is known than that it is short.
    var size: Int {
      var size = 64
      switch id {
      case nil, .null, .bool, .int, .uint, .float: break
      case .string(let text): size += text.utf8.count
      case .binary(let bytes), .ext(_, let bytes): size += bytes.count
      case .array, .map: size += 1 << 15
      }
      if case .error(_, let text) = answer { size += text.utf8.count }
      return size
    }
  }

  private struct Connection: Sendable {
    var slots: [Slot] = []
    var paused = false
    var atEnd = false
  }

  private enum Link: Sendable {
    case down, greeting, up
    /// Uplink has no room in its record.
    case held
  }
  private enum Leaving: Sendable { case no, draining, afterLast }

  private var settings: ListenerSettings
  private var channelIsReady: Bool
  private var endingChannel = false
  private var link = Link.down
  private var connectedAt = Instant(nanoseconds: 0)
  private var reconnectAt: Instant?
  private var saidReady = false
  private var number = SequenceNumber(0)
  private var pending = Deque<Pending>()
  private var pendingBytes = 0
  private var slotBytes = 0
  private var connections = ByConnection<Connection>()
  /// Whose request was looked at last.
  private var lastHeard = ConnectionID(0)
  private var exitFact: CommandExit?
  private var exitForwarded = false
  private var exitStored = false
  private var draining = false
  private var stopping = Leaving.no
  private var ended = false
  private var lingerUntil: Instant?
  private var lingeredEnough = false
  private var actions: [Action] = []

  public init(settings: ListenerSettings) {
    self.settings = settings
    pendingBytesLimit = settings.maxFrameBytes
    channelIsReady = settings.redis == nil
  }

  /// What to do first.
  public mutating func start() -> [Action] { [.connectUplink] }

  /// When `timeReached` is wanted next.
  public var nextDeadline: Instant? { .earlier(reconnectAt, lingerUntil) }

  public mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    actions = []
    switch event {
    case .uplinkConnected:
      link = .greeting
      connectedAt = now
      reconnectAt = nil
      actions.append(.toUplink(.hello(settings.job, token: settings.token)))
    case .uplinkLost:
      // One that has served is being replaced, and whoever connects waits at its socket. Anything else has its pause: an
      // Uplink that is lost as soon as it is told what waits would be so again and again.
      if link == .up || link == .held, now - connectedAt >= Self.worked {
        actions.append(.connectUplink)
      } else {
        reconnectAt = now + Self.reconnectDelay
      }
      link = .down
    case .fromUplink(let message): fromUplink(message, at: now)
    case .fromSupervisor(let message): fromSupervisor(message)
    case .workerConnected(let connection): connected(connection)
    case .workerRequest(let connection, let request): received(request, on: connection)
    case .workerAtEnd(let connection):
      connections.change(connection) { $0.atEnd = true }
      flush(connection)
    case .workerClosed(let connection): forget(connection)
    case .drained: drained()
    case .channelReady:
      channelIsReady = true
      connected(Self.redisConnection)
      sayReady()
    case .channelEnded:
      channelIsReady = true
      endingChannel = false
      settings.redis = nil
      forget(Self.redisConnection)
    case .timeReached:
      if let due = reconnectAt, due <= now {
        reconnectAt = nil
        actions.append(.connectUplink)
      }
      if let due = lingerUntil, due <= now {
        lingerUntil = nil
        lingeredEnough = true
      }
    }
    leaveIfDone()
    return actions
  }

  private mutating func fromUplink(_ message: UplinkToListener, at now: Instant) {
    switch message {
    case .welcome(let jobEnded):
      link = .up
      sayReady()
      // What was sent on an earlier connection and not stored has an unknown outcome: all of it goes again.
      for entry in pending { actions.append(.toUplink(entry.message)) }
      if jobEnded { jobHasEnded(at: now) }
      if exitForwarded, !exitStored, let exitFact { actions.append(.toUplink(.commandExited(exitFact))) }
    case .unknownJob:
      log(.warning, "Uplink knows no such open job; this Listener has nothing to hear and leaves")
      actions.append(.toSupervisor(.finished))
      actions.append(.exit(ExitCode.success))
    case .stored(let number): settled(number, .stored)
    case .refused(let number, let code, let text): settled(number, .error(code, text))
    case .exitStored: exitStored = true
    case .ended: jobHasEnded(at: now)
    case .resolved(_, let addresses, let problem):
      actions.append(.resolved(addresses: addresses, problem: problem))
    case .hold: link = .held
    case .resume:
      // What was sent in the meantime was not heard: all of it goes again, as on a new connection.
      link = .greeting
      actions.append(.toUplink(.hello(settings.job, token: settings.token)))
    }
  }

  /// Spawned is not ready: updates are heard, on every channel, and there is somebody to hand them to.
  private mutating func sayReady() {
    guard channelIsReady, link == .up, !saidReady else { return }
    saidReady = true
    actions.append(.toSupervisor(.ready))
  }

  private mutating func fromSupervisor(_ message: SupervisorToListener) {
    switch message {
    case .assign: log(.warning, "assigned twice; the first assignment stands")
    case .ping(let number): actions.append(.toSupervisor(.pong(number)))
    case .commandExited(let exit):
      guard exitFact == nil else { return }
      exitFact = exit
      // A stop's drain reads what had been sent before the stop, and the command has ended since.
      startDraining()
    case .stop:
      guard stopping == .no else { return }
      stopping = .draining
      // A later start would hold up an exit that is to be told within a second.
      if !draining { startDraining() }
    }
  }

  private mutating func startDraining() {
    draining = true
    actions.append(.drain)
  }

  /// Everything that was sent has been read: now the fact may follow it.
  private mutating func drained() {
    draining = false
    if exitFact != nil, !exitForwarded {
      exitForwarded = true
      if link == .up, let exitFact { actions.append(.toUplink(.commandExited(exitFact))) }
    }
    if stopping == .draining { stopping = .afterLast }
  }

  /// One that comes while there is no room is not read either, or each newcomer would bring a frame more.
  private mutating func connected(_ id: ConnectionID) {
    connections[id] = Connection()
    if !hasRoom { pause([id]) }
  }

  private mutating func received(_ request: WorkerRequest, on id: ConnectionID) {
    guard connections[id] != nil else { return }
    lastHeard = id
    let slot: Slot
    switch request.content {
    case .wrong(let code, let text, let closes):
      let text = Self.cut(text)
      log(.warning, "a worker's message is refused (\(code.rawValue)): \(text)")
      slot = Slot(id: request.id, answer: .error(code, text), closes: closes)
    case .update(let status, let metadata):
      slot = send(request, on: id) { .update($0, status, metadata: metadata) }
    case .specs(let specs):
      slot = send(request, on: id) { .specs($0, specs) }
    }
    let unanswered = connections.change(id) { connection in
      connection.slots.append(slot)
      return connection.slots.count
    }
    if (unanswered ?? 0) >= Self.pendingPerConnection { pause([id]) }
    slotBytes += slot.size
    if !hasRoom { pause(connections.ids) }
    flush(id)
  }

  private var hasRoom: Bool { pendingBytes < pendingBytesLimit && slotBytes < Self.slotBytesLimit }

  private mutating func pause(_ ids: [ConnectionID]) {
    for id in ids where connections[id]?.paused == false {
      connections.change(id) { $0.paused = true }
      actions.append(.pauseReading(id))
    }
  }

  /// Hands it to Uplink; returns the place for its answer.
  private mutating func send(
    _ request: WorkerRequest, on id: ConnectionID, _ message: (SequenceNumber) -> ListenerToUplink
  ) -> Slot {
    number = number.next
    let entry = Pending(number: number, connection: id, message: message(number), size: request.size)
    pending.append(entry)
    pendingBytes += entry.size
    if link == .up { actions.append(.toUplink(entry.message)) }
    return Slot(number: number, id: request.id)
  }

  /// Uplink has given its word on one update. Usually it is the oldest: a refusal may overtake a commit.
  private mutating func settled(_ number: SequenceNumber, _ answer: WorkerAnswer) {
    guard let index = pending.firstIndex(where: { $0.number == number }) else { return }
    let entry = pending.remove(at: index)
    pendingBytes -= entry.size
    let id = entry.connection
    let grown = connections.change(id) { connection in
      if let slot = connection.slots.firstIndex(where: { $0.number == number }) {
        let before = connection.slots[slot].size
        connection.slots[slot].answer = answer
        return connection.slots[slot].size - before
      }
      return 0
    }
    slotBytes += grown ?? 0
    flush(id)
    guard hasRoom else {
      // Answers that are held back by an earlier one may have grown.
      pause(connections.ids)
      return
    }
    let resumable = connections.ids { $0.paused && $0.slots.count <= Self.pendingPerConnection / 2 }
    guard !resumable.isEmpty else { return }
    // Behind whoever took the last of the room, or the same ones would take all of it again.
    for id in resumable.filter({ $0 > lastHeard }) + resumable.filter({ $0 <= lastHeard }) {
      connections.change(id) { $0.paused = false }
      actions.append(.resumeReading(id))
    }
  }

  /// Gives the answers that no earlier one of the same connection holds back.
  private mutating func flush(_ id: ConnectionID) {
    guard let connection = connections[id] else { return }
    let ready = connection.slots.prefix { $0.answer != nil }
    if !ready.isEmpty { connections.change(id) { $0.slots.removeFirst(ready.count) } }
    for slot in ready { slotBytes -= slot.size }
    for slot in ready {
      if let answer = slot.answer { actions.append(.answer(id, id: slot.id, answer)) }
      if slot.closes {
        close(id)
        return
      }
    }
    if connection.atEnd, ready.count == connection.slots.count { close(id) }
  }

  private mutating func forget(_ id: ConnectionID) {
    for slot in connections[id]?.slots ?? [] { slotBytes -= slot.size }
    connections[id] = nil
  }

  private mutating func close(_ id: ConnectionID) {
    forget(id)
    actions.append(.close(id))
  }

  private mutating func jobHasEnded(at now: Instant) {
    guard !ended else { return }
    ended = true
    lingerUntil = now + .seconds(Limits.lingerSeconds)
  }

  private mutating func leaveIfDone() {
    if ended, pending.isEmpty {
      let commandIsOver = exitFact != nil && exitStored
      let nobodyIsThere = connections.count == (connections[Self.redisConnection] == nil ? 0 : 1)
      if lingeredEnough || (commandIsOver && nobodyIsThere && !draining) {
        if settings.redis != nil {
          if !endingChannel { actions.append(.endChannel) }
          endingChannel = true
          return
        }
        actions.append(.toSupervisor(.finished))
        actions.append(.exit(ExitCode.success))
        return
      }
    }
    let exitIsSettled = exitFact == nil || exitStored
    if stopping == .afterLast, pending.isEmpty, exitIsSettled {
      actions.append(.exit(ExitCode.success))
    }
  }

  /// What a worker sent may be quoted in what is said about it, and may be long.
  private static func cut(_ text: String) -> String {
    text.unicodeScalars.count <= 500 ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(500))) + "…"
  }

  private mutating func log(_ priority: LogPriority, _ text: String) {
    actions.append(.toSupervisor(.log(priority, text)))
  }
}

extension ListenerCore: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    let unstored = pending.reduce(0) { $0 + $1.size }
    bounds.count(pendingBytes, is: unstored, of: "bytes that are not stored")
    // The one that goes beyond is the last; what was read from Redis with it comes all the same.
    let fromRedis = pending.reversed().prefix(RedisChannel.batch).prefix { $0.connection == Self.redisConnection }
    let beyond = pending.suffix(fromRedis.count + 1).reduce(0) { $0 + $1.size }
    bounds.hold(unstored - beyond < pendingBytesLimit, "\(unstored) bytes are not stored; \(pendingBytesLimit) may be")
    var unanswered = 0
    for id in connections.ids {
      guard let connection = connections[id] else { continue }
      unanswered += connection.slots.reduce(0) { $0 + $1.size }
      let most = Self.pendingPerConnection + (id == Self.redisConnection ? RedisChannel.batch : 0)
      bounds.hold(connection.slots.count <= most, "\(connection.slots.count) requests of one connection have no answer")
      bounds.hold(connection.paused || hasRoom, "a connection is read while there is no room")
      bounds.hold(!connection.paused || !pending.isEmpty, "a connection is not read, and nothing waits")
    }
    bounds.count(slotBytes, is: unanswered, of: "bytes of answers")
  }
}

import Decisions
import MessagePack
import Messages
import Redis

extension Choices {
  mutating func reply(depth: Int = 0) -> RedisReply {
    switch index(depth < 3 ? 7 : 5) {
    case 0: .status(pick(["OK", "PONG", text()]))
    case 1: .error(pick(["NOAUTH x", "LOADING x", "ERR unknown command", text()]))
    case 2: .integer(signed())
    case 3: .bytes(bytes())
    case 4: .null
    default: .array((0..<index(5)).map { _ in reply(depth: depth + 1) })
    }
  }
}

/// A Redis channel, whatever the server says: it hands over no message twice and asks for no more than it reads.
func fuzzRedisChannel(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var now = Instant(nanoseconds: 0)
  let layer: RedisLayer = choices.bool() ? .core : .pubsub
  let settings = RedisChannelSettings(server: choices.redisServer(), layer: layer, prefix: "asgi")
  var channel = RedisChannel(
    settings: settings, job: choices.bool() ? choices.job() : nil, longestMessage: 1 << 10, seed: choices.number())
  var received: [UInt64] = []
  var last: UInt64 = 0
  func look(_ actions: [RedisChannel.Action]) throws(Finding) {
    try hold(actions.count < 1000, "\(actions.count) actions at once")
    for action in actions {
      guard case .received(let number, _) = action else { continue }
      try hold(number > last, "number \(number) behind \(last)")
      last = number
      received.append(number)
    }
  }
  try look(channel.start(at: now))
  while !choices.isOver {
    now = now + .milliseconds(choices.pick([0, 1, 250, 1000, 5000, 20_000]))
    let link = choices.pick(RedisChannel.Link.allCases)
    let event: RedisChannel.Event =
      switch choices.index(10) {
      case 0, 1: .connected(link)
      case 2, 3, 4: .reply(link, choices.reply())
      case 5: .lost(link, choices.text())
      case 6: .settled(choices.bool() ? received.popLast() ?? 0 : choices.number())
      case 7: .paused(choices.bool())
      case 8: choices.index(4) == 0 ? .end : .drain
      default: .timeReached
      }
    try look(channel.handle(event, at: now))
    _ = channel.nextDeadline
  }
}

/// A Listener, whatever its workers, Uplink and the Supervisor say: each request is answered at most once, in order.
func fuzzListener(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var now = Instant(nanoseconds: 0)
  var settings = ListenerSettings(job: choices.job(), uplinkSocket: "/u", maxFrameBytes: 1 << 10)
  if choices.bool() {
    settings.redis = RedisChannelSettings(server: choices.redisServer(), layer: .core, prefix: "asgi")
  }
  var core = ListenerCore(settings: settings)
  /// What each connection was answered last.
  var answered: [ConnectionID: Int64] = [:]
  var asked: Int64 = 0
  var hasLeft = false
  func look(_ actions: [ListenerCore.Action]) throws(Finding) {
    for action in actions {
      switch action {
      case .answer(let connection, .int(let id), _):
        try hold(id > answered[connection] ?? 0, "\(id) answered behind \(answered[connection] ?? 0)")
        answered[connection] = id
      case .exit: hasLeft = true
      default: break
      }
    }
  }
  try look(core.start())
  while !choices.isOver, !hasLeft {
    now = now + .milliseconds(choices.pick([0, 1, 50, 1000, 10_000]))
    let connection = ConnectionID(UInt64(1 + choices.index(4)))
    let event: ListenerCore.Event
    switch choices.index(13) {
    case 0: event = .uplinkConnected
    case 1: event = .uplinkLost
    case 2: event = .fromUplink(choices.fromUplink())
    case 3: event = .fromUplink(.stored(SequenceNumber(UInt64(choices.byte()))))
    case 4: event = .fromSupervisor(choices.fromSupervisor())
    case 5: event = .workerConnected(connection)
    case 6, 7:
      asked += 1
      event = .workerRequest(connection, WorkerRequest(id: .int(asked), content: choices.content()))
    case 8: event = .workerAtEnd(connection)
    case 9: event = .workerClosed(connection)
    case 10: event = .drained
    case 11: event = choices.bool() ? .channelReady : .channelEnded
    default: event = .timeReached
    }
    try look(core.handle(event, at: now))
    _ = core.nextDeadline
  }
}

extension Choices {
  fileprivate mutating func fromUplink() -> UplinkToListener {
    switch index(9) {
    case 0: .welcome(ended: bool())
    case 1: .unknownJob
    case 2: .stored(SequenceNumber(number()))
    case 3: .refused(SequenceNumber(number()), pick([.malformed, .invalid, .jobClosed]), text())
    case 4: .exitStored
    case 5: .ended
    case 6: .hold
    case 7: .resume
    default: .resolved(text(), addresses: [text()], problem: text())
    }
  }

  fileprivate mutating func fromSupervisor() -> SupervisorToListener {
    switch index(4) {
    case 0: .ping(number())
    case 1: .commandExited(exit())
    case 2: .stop
    default: .assign(ListenerSettings(job: job(), uplinkSocket: "", maxFrameBytes: 1))
    }
  }

  fileprivate mutating func content() -> WorkerRequest.Content {
    switch index(4) {
    case 0: .wrong(.malformed, text(), closes: bool())
    case 1: .specs(MachineSpecs(minerHotkey: text(), batchID: text(), specs: bytes()))
    default: .update(status(), metadata: bool() ? bytes() : nil)
    }
  }
}

import Messages
import Redis

/// A channel of Django's channels_redis, as a Listener hears it: what was sent there comes out as `received`, in its
/// order, and what has been settled is removed. Source: PROTOCOL.md, The job's channel.
///
/// The pubsub layer keeps nothing: what is published while nobody is subscribed is gone. The core layer keeps messages in a
/// sorted set: the lowest are read, and each is removed only after it is settled, so that none is lost however often
/// this process or the server dies. A second connection, to which the server tells of changes of the key (CLIENT TRACKING), saves
/// asking again and again; where there is no such thing the key is read four times a second.
///
/// What was sent before the job's command ended is set aside then, under a key of its own, so that whoever sends without end
/// does not withhold the exit.
public struct RedisChannel: Sendable {
  /// One of its connections.
  public enum Link: Sendable, Hashable, CaseIterable {
    case data
    /// The core layer's: what announces that there is something to read.
    case bell
  }

  public enum Event: Sendable {
    case connected(Link)
    case reply(Link, RedisReply)
    case lost(Link, String)
    /// What was received under that number is stored, or never will be.
    case settled(UInt64)
    /// The Listener has more than it may hold, or has room again.
    case paused(Bool)
    /// Read what has been sent so far, and say `drained`. One that comes before that begins anew, and `drained` is said once.
    case drain
    /// The job is over: leave nothing behind, and say `ended`.
    case end
    case timeReached
  }

  public enum Action: Sendable, Equatable {
    case connect(Link)
    /// Close it; it counts as lost already.
    case disconnect(Link)
    case send(Link, RedisCommand)
    case received(UInt64, [UInt8])
    /// From here on nothing that is sent is missed.
    case ready
    case drained
    case ended
    case log(LogPriority, String)
  }

  /// What a reply is awaited for.
  private enum Expected: Sendable {
    case subscribed
    case unsubscribed
    /// Of the drain of that number.
    case drainPong(Int)
    case clientID
    /// By the bell of that number.
    case tracking(Int64)
    case takenBack
    /// Asked for in the drain of that number.
    case setAside(drain: Int)
    case messages
    case removed
    case deleted
  }

  /// Messages that are read at once from the core layer, if together they are no larger than one may be.
  static let batch = 8
  /// How often the key is read where the server does not tell of changes; and as a precaution where it does.
  private static let pollInterval = Duration.milliseconds(250)
  private static let precaution = Duration.seconds(5)
  /// What a sender of the core layer puts before each message, so that two alike are two.
  private static let saltBytes = 12
  private static let endDeadline = Duration.seconds(1)
  private static let bellChannel = "__redis__:invalidate"

  private let settings: RedisChannelSettings
  private let channel: String
  /// In bytes.
  private let longestMessage: Int
  private var dice: Dice
  private var data = RedisLink<Expected>()
  private var bell = RedisLink<Expected>()
  private var isReady = false
  private var number: UInt64 = 0
  /// One of the core layer's set.
  private struct Member: Sendable {
    var bytes: [UInt8]
    var isAside: Bool
  }
  /// Of the core layer: what has been handed over and is still in the set.
  private var unsettled: [UInt64: Member] = [:]
  /// Settled while there was no connection, and still in the set.
  private var toRemove: [Member] = []
  private var isReading = false
  /// A change was told of since the reading that is under way was asked for. It may have been made behind that reading and
  /// have come before its answer: they come on two connections.
  private var hasChanged = false
  /// The server's number of the bell's connection, once that is subscribed.
  private var bellID: Int64?
  private var isTracked = false
  private var mayTrack = true
  private var readAt: Instant?
  /// Messages that were sent before the command ended are being read.
  private var drain: RedisDrain?
  /// How many have begun.
  private var drains = 0
  /// Of the core layer: what a drain has set aside may not all be read yet. It is read first: a process before this one may
  /// have died over it.
  private var isAside = true
  private var maySetAside = true
  private var endBy: Instant?
  private var hasEnded = false
  private var lastFailure: String?
  private var actions: [Action] = []

  /// - Parameters:
  ///   - job: whose channel it is; nil for machine specs.
  ///   - longestMessage: in bytes.
  ///   - seed: of the jitter.
  public init(settings: RedisChannelSettings, job: JobID?, longestMessage: Int, seed: UInt64) {
    self.settings = settings
    self.longestMessage = longestMessage
    channel = RedisChannelSettings.channel(job)
    dice = Dice(seed: seed)
  }

  private var isCore: Bool { settings.layer == .core }
  private var key: [UInt8] { Array((settings.prefix + channel).utf8) }
  private var inFlightKey: [UInt8] { key + Array("$inflight".utf8) }
  private var asideKey: [UInt8] { key + Array("$aside".utf8) }

  /// What to do first.
  public mutating func start(at now: Instant) -> [Action] {
    data.want(at: now)
    if isCore { bell.want(at: now) }
    return handle(.timeReached, at: now)
  }

  public mutating func handle(_ event: Event, at now: Instant) -> [Action] {
    actions = []
    guard !hasEnded else { return [] }
    switch event {
    case .connected(let link): connected(link, at: now)
    case .reply(let link, let reply): replied(link, reply, at: now)
    case .lost(let link, let reason): lost(link, reason, at: now)
    case .settled(let number): settled(number, at: now)
    case .paused(let isPaused):
      data.isPaused = isPaused
      if !isPaused { data.heard(at: now) }
    case .drain: startDrain(at: now)
    case .end: end(at: now)
    case .timeReached: break
    }
    for link in Link.allCases { serve(link, at: now) }
    if let due = readAt, due <= now { read(at: now) }
    if let due = endBy, due <= now { finish() }
    return actions
  }

  /// When `timeReached` is wanted next.
  public var nextDeadline: Instant? {
    [data.nextDeadline, bell.nextDeadline, data.isUp && !isReading ? readAt : nil, endBy].compactMap(\.self).min()
  }

  // MARK: Connections

  private mutating func withLink<Result>(
    _ link: Link, _ body: (inout RedisLink<Expected>) -> Result
  ) -> Result {
    link == .data ? body(&data) : body(&bell)
  }

  private mutating func serve(_ link: Link, at now: Instant) {
    while let demand = withLink(link, { $0.demand(at: now) }) {
      switch demand {
      case .connect: actions.append(.connect(link))
      case .ping: actions.append(.send(link, RedisCommand("PING")))
      case .drop(let reason): drop(link, reason, at: now)
      }
    }
  }

  private mutating func send(_ command: RedisCommand, on link: Link = .data, _ expected: Expected, at now: Instant) {
    withLink(link) { $0.sent(.reply(expected), at: now) }
    actions.append(.send(link, command))
  }

  private mutating func connected(_ link: Link, at now: Instant) {
    let server = settings.server
    guard let greeting = withLink(link, { $0.connected(to: server, at: now) }) else { return }
    for command in greeting { actions.append(.send(link, command)) }
    if greeting.isEmpty { greeted(link, at: now) }
  }

  private mutating func greeted(_ link: Link, at now: Instant) {
    switch (link, isCore) {
    case (.bell, _): send(RedisCommand("CLIENT", "ID"), on: .bell, .clientID, at: now)
    case (.data, false): send(RedisCommand("SUBSCRIBE", channel), .subscribed, at: now)
    case (.data, true):
      // The end came while the greeting was not answered, or not read.
      if endBy != nil { return deleteKeys(at: now) }
      isTracked = false
      send(RedisScripts.takeBack(from: inFlightKey, to: key), .takenBack, at: now)
      for member in toRemove { remove(member, at: now) }
      toRemove = []
      // The answer to its setting aside may be lost.
      isAside = true
      track(at: now)
      read(at: now)
    }
  }

  private mutating func drop(_ link: Link, _ reason: String, at now: Instant) {
    actions.append(.disconnect(link))
    lost(link, reason, at: now)
  }

  private mutating func lost(_ link: Link, _ reason: String, at now: Instant) {
    if endBy != nil { return finish() }
    var dice = dice
    let delay = withLink(link) { $0.lost(at: now, dice: &dice) }
    self.dice = dice
    if reason != lastFailure {
      lastFailure = reason
      actions.append(
        .log(.warning, "\(settings.server): \(reason); the next attempt is in \(delay.wholeMilliseconds) ms"))
    }
    isTracked = false
    guard link == .data else {
      bellID = nil
      return scheduleRead(at: now)
    }
    isReading = false
    readAt = nil
    // Of the pubsub layer there is nothing left to be read.
    if !isCore { drained() }
  }

  // MARK: Replies

  private mutating func replied(_ link: Link, _ reply: RedisReply, at now: Instant) {
    // On the connection that reads the set an array is what was asked for.
    if link == .bell || !isCore, let pushed = Self.push(reply) {
      withLink(link) { $0.heard(at: now) }
      return self.pushed(link, pushed.kind, pushed.rest, at: now)
    }
    let isAsked = withLink(link) { $0.isAsked }
    let (expected, greeted) = withLink(link) { $0.replied(at: now) }
    if let refusal = reply.refusal, !isHarmless(refusal, to: expected) {
      return drop(link, "it says \(refusal)", at: now)
    }
    guard isAsked else { return drop(link, "it answers what it was not asked", at: now) }
    if greeted { return self.greeted(link, at: now) }
    guard let expected else { return }
    answered(expected, reply, at: now)
  }

  /// A server that does not know tracking or renaming, or does not let us, is done without it. One that refuses for
  /// another reason refuses everything, and only for now.
  private func isHarmless(_ refusal: String, to expected: Expected?) -> Bool {
    switch expected {
    case .tracking, .clientID, .setAside: refusal.hasPrefix("ERR ") || refusal.hasPrefix("NOPERM ")
    default: false
    }
  }

  private mutating func answered(_ expected: Expected, _ reply: RedisReply, at now: Instant) {
    switch expected {
    case .subscribed, .unsubscribed, .drainPong, .takenBack, .removed: break
    case .clientID:
      guard let id = reply.integer else { return doWithoutTracking(reply) }
      bellID = id
      send(RedisCommand("SUBSCRIBE", Self.bellChannel), on: .bell, .subscribed, at: now)
    case .tracking(let id):
      // The bell that was meant is gone.
      guard id == bellID else { return }
      if let refusal = reply.refusal {
        // The server has lost the bell, which we have not seen yet.
        if refusal.contains("redirect to does not exist") { return drop(.bell, "it says \(refusal)", at: now) }
        return doWithoutTracking(reply)
      }
      isTracked = true
      // What came before it was tracked.
      read(at: now)
    case .setAside(let number):
      isReading = false
      if number == drains { drain?.hasSetAside = true }
      if reply.refusal == nil { isAside = true } else { maySetAside = false }
      read(at: now)
    case .messages:
      let elements = reply.elements ?? []
      messages(elements.dropFirst().compactMap(\.bytes), removed: Int(clamping: elements.first?.integer ?? 0), at: now)
    case .deleted: finish()
    }
  }

  private mutating func doWithoutTracking(_ reply: RedisReply) {
    guard mayTrack else { return }
    mayTrack = false
    let why = reply.refusal ?? "an answer that was not expected"
    actions.append(
      .log(.notice, "\(settings.server) does not tell of changes (\(why)); the channel is read four times a second"))
  }

  /// Has the server tell the bell of changes of what this connection reads.
  private mutating func track(at now: Instant) {
    guard mayTrack, data.isUp, let bellID else { return }
    send(RedisCommand("CLIENT", "TRACKING", "ON", "REDIRECT", "\(bellID)", "NOLOOP"), .tracking(bellID), at: now)
  }

  /// A push, or what looks like one, on a connection that subscribes: an array that begins with its kind.
  private static func push(_ reply: RedisReply) -> (kind: String, rest: [RedisReply])? {
    guard let elements = reply.elements, elements.count >= 2, let first = elements[0].bytes else { return nil }
    let kind = String(decoding: first, as: UTF8.self)
    return ["message", "subscribe", "unsubscribe", "pong"].contains(kind) ? (kind, Array(elements.dropFirst())) : nil
  }

  private mutating func pushed(_ link: Link, _ kind: String, _ rest: [RedisReply], at now: Instant) {
    switch (kind, link) {
    case ("message", .bell):
      hasChanged = true
      read(at: now)
    case ("message", .data):
      let payload = rest.last?.bytes
      if let payload {
        number += 1
        actions.append(.received(number, payload))
      } else {
        actions.append(
          .log(.warning, "a message of more than \(longestMessage) bytes is left out; see max_frame_bytes"))
      }
      drain?.read(bytes: payload?.count ?? longestMessage)
      endDrainOfEnough(at: now)
    case ("subscribe", .data):
      _ = data.replied(at: now)
      becameReady()
    case ("pong", .data):
      let (expected, _) = data.replied(at: now)
      if case .drainPong(drains) = expected { drained() }
    case ("unsubscribe", .data):
      _ = data.replied(at: now)
      finish()
    case ("subscribe", .bell):
      _ = bell.replied(at: now)
      bell.settled()
      track(at: now)
    default: _ = bell.replied(at: now)
    }
  }

  private mutating func becameReady() {
    data.settled()
    if lastFailure != nil {
      lastFailure = nil
      actions.append(.log(.notice, "\(settings.server): the channel is heard again"))
    }
    guard !isReady else { return }
    isReady = true
    actions.append(.ready)
  }

  // MARK: The core layer's set

  private mutating func read(at now: Instant) {
    guard isCore, data.isUp, !isReading, unsettled.isEmpty else { return }
    isReading = true
    hasChanged = false
    readAt = nil
    if !isAside, drain?.hasSetAside == false {
      if maySetAside { return send(RedisScripts.setAside(key, as: asideKey), .setAside(drain: drains), at: now) }
      drain?.hasSetAside = true
    }
    send(
      RedisScripts.lowest(
        of: isAside ? asideKey : key, count: Self.batch, bytes: longestMessage + Self.saltBytes), .messages, at: now)
  }

  /// - Parameter removed: how many were taken out since they were too large.
  private mutating func messages(_ members: [[UInt8]], removed: Int, at now: Instant) {
    isReading = false
    becameReady()
    if removed > 0 {
      actions.append(
        .log(.warning, "\(removed) messages of more than \(longestMessage) bytes are removed; see max_frame_bytes"))
      drain?.read(removed, bytes: removed * longestMessage)
    }
    for bytes in members {
      drain?.read(bytes: bytes.count)
      let member = Member(bytes: bytes, isAside: isAside)
      guard bytes.count >= Self.saltBytes else {
        actions.append(
          .log(.warning, "a message of \(bytes.count) bytes is no message of channels_redis; it is removed"))
        remove(member, at: now)
        continue
      }
      number += 1
      unsettled[number] = member
      actions.append(.received(number, Array(bytes.dropFirst(Self.saltBytes))))
    }
    guard members.isEmpty, removed == 0 else { return readOn(at: now) }
    // The messages that were set aside are read, or there were none.
    let wasAside = isAside
    isAside = false
    if drain?.hasSetAside == true { drained() }
    if drain != nil || hasChanged || wasAside { read(at: now) } else { scheduleRead(at: now) }
  }

  /// Reads what lies behind the messages that were read, once all of these are settled.
  private mutating func readOn(at now: Instant) {
    guard unsettled.isEmpty else { return }
    endDrainOfEnough(at: now)
    read(at: now)
  }

  private mutating func remove(_ member: Member, at now: Instant) {
    let key = member.isAside ? asideKey : key
    send(RedisCommand("ZREM").with(key).with(member.bytes), .removed, at: now)
  }

  private mutating func scheduleRead(at now: Instant) {
    guard isCore, data.isUp, !isReading, unsettled.isEmpty else { return }
    let due = now + (isTracked ? Self.precaution : Self.pollInterval)
    readAt = min(readAt ?? due, due)
  }

  private mutating func settled(_ number: UInt64, at now: Instant) {
    guard let member = unsettled.removeValue(forKey: number) else { return }
    if data.isUp { remove(member, at: now) } else { toRemove.append(member) }
    readOn(at: now)
  }

  // MARK: The end

  private mutating func startDrain(at now: Instant) {
    drain = RedisDrain(at: now)
    drains += 1
    if isCore {
      read(at: now)
    } else if data.isUp {
      send(RedisCommand("PING"), .drainPong(drains), at: now)
    } else {
      drained()
    }
  }

  private mutating func drained() {
    guard drain != nil else { return }
    drain = nil
    actions.append(.drained)
  }

  private mutating func endDrainOfEnough(at now: Instant) {
    guard let drain, drain.isEnough(longestMessage: longestMessage, at: now) else { return }
    actions.append(
      .log(
        .warning,
        "\(drain.messages) messages that were sent through Redis before the command ended have been read and there are more: "
          + "its exit waits no longer"))
    drained()
  }

  private mutating func end(at now: Instant) {
    guard endBy == nil else { return }
    endBy = now + Self.endDeadline
    if data.isUp {
      if isCore { deleteKeys(at: now) } else { send(RedisCommand("UNSUBSCRIBE", channel), .unsubscribed, at: now) }
    } else if !isCore || !data.isComing {
      finish()
    }
  }

  private mutating func deleteKeys(at now: Instant) {
    send(RedisCommand("DEL").with(key).with(inFlightKey).with(asideKey), .deleted, at: now)
  }

  private mutating func finish() {
    guard !hasEnded else { return }
    hasEnded = true
    endBy = nil
    for link in Link.allCases {
      withLink(link) { $0.end() }
      actions.append(.disconnect(link))
    }
    actions.append(.ended)
  }
}

extension RedisChannel: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    bounds.hold(
      unsettled.count + toRemove.count <= Self.batch,
      "\(unsettled.count) messages are not settled, and \(toRemove.count) not removed")
  }
}

import Decisions
import MessagePack
import Messages
import Platform
import Redis
import RedisReading

/// The Listener's connections to Redis: turns what happens on them into events for `RedisChannel` and carries out what it
/// decides. Confined to the Listener's loop.
final class RedisEar {
  /// What the loop has to do.
  enum Output {
    case request(WorkerRequest)
    case ready
    case drained
    case ended
    case log(LogPriority, String)
    /// The addresses of this name are needed.
    case resolve(String)
  }

  private final class Connection {
    let bytes: ByteConnection
    let reader: RedisReader
    var isOpen = false

    init(_ socket: Descriptor, limit: Int) throws(RedisProtocolError) {
      bytes = ByteConnection(socket)
      reader = try RedisReader(limit: limit)
    }
  }

  private let settings: ListenerSettings
  private let server: RedisServer
  private let poller: Poller
  private let tokens: [RedisChannel.Link: UInt64]
  private var core: RedisChannel
  private var connections: [RedisChannel.Link: Connection] = [:]
  /// Links that wait for the addresses of the server's name.
  private var unresolved: Set<RedisChannel.Link> = []
  /// Which of several addresses is tried next.
  private var attempt = 0
  private var outputs: [Output] = []

  init(
    _ redis: RedisChannelSettings, settings: ListenerSettings, generation: Generation, poller: Poller,
    tokens: [RedisChannel.Link: UInt64]
  ) {
    self.settings = settings
    server = redis.server
    self.poller = poller
    self.tokens = tokens
    // Those that begin together, as after a restart of the server, are not to come back together.
    core = RedisChannel(
      settings: redis, job: settings.job, longestMessage: settings.maxFrameBytes,
      seed: generation.number &* 0x9e37_79b9_7f4a_7c15)
  }

  var nextDeadline: Instant? { core.nextDeadline }

  func start(at now: Instant) throws(SystemError) -> [Output] {
    try carryOut(core.start(at: now), at: now)
    return takeOutputs()
  }

  /// Hands over an event, and returns what the loop has to do.
  func handle(_ event: RedisChannel.Event, at now: Instant) throws(SystemError) -> [Output] {
    try carryOut(core.handle(event, at: now), at: now)
    return takeOutputs()
  }

  private func takeOutputs() -> [Output] {
    defer { outputs = [] }
    return outputs
  }

  private func post(_ event: RedisChannel.Event, at now: Instant) throws(SystemError) {
    try carryOut(core.handle(event, at: now), at: now)
  }

  private func carryOut(_ actions: [RedisChannel.Action], at now: Instant) throws(SystemError) {
    for action in actions {
      switch action {
      case .connect(let link): try connect(link, at: now)
      case .disconnect(let link):
        connections[link] = nil
        unresolved.remove(link)
      case .send(let link, let command): try send(command, on: link, at: now)
      case .received(let number, let message):
        outputs.append(
          .request(
            Worker.request(
              message[...], id: .int(Int64(clamping: number)), job: settings.job, limit: settings.maxFrameBytes)))
      case .ready: outputs.append(.ready)
      case .drained: outputs.append(.drained)
      case .ended: outputs.append(.ended)
      case .log(let priority, let text): outputs.append(.log(priority, text))
      }
    }
  }

  // MARK: Connecting

  private func connect(_ link: RedisChannel.Link, at now: Instant) throws(SystemError) {
    switch server.place {
    case .socket(let path): try open(link, at: now) { () throws(SystemError) in try UnixSocket.connect(to: path) }
    case .address(let host, let port):
      try open(link, at: now) { () throws(SystemError) in try InternetSocket.connect(to: host, port: port) }
    case .name(let name, _):
      if unresolved.isEmpty { outputs.append(.resolve(name)) }
      unresolved.insert(link)
    }
  }

  /// The addresses of the server's name, or why there are none.
  func resolved(_ addresses: [String], problem: String, at now: Instant) throws(SystemError) -> [Output] {
    guard case .name(let name, let port) = server.place else { return [] }
    let links = unresolved
    unresolved = []
    for link in RedisChannel.Link.allCases where links.contains(link) {
      if addresses.isEmpty {
        try post(.lost(link, "\(name) has no address: \(problem)"), at: now)
      } else {
        let address = addresses[attempt % addresses.count]
        attempt += 1
        try open(link, at: now) { () throws(SystemError) in try InternetSocket.connect(to: address, port: port) }
      }
    }
    return takeOutputs()
  }

  private func open(
    _ link: RedisChannel.Link, at now: Instant, _ connect: () throws(SystemError) -> Descriptor
  ) throws(SystemError) {
    do {
      // The largest message, or several that are together no larger, with what is around each.
      let connection = try Connection(try connect(), limit: settings.maxFrameBytes + 4096)
      connections[link] = connection
      try watch(link)
    } catch {
      connections[link] = nil
      try post(.lost(link, "\(error)"), at: now)
    }
  }

  // MARK: The sockets

  private func send(_ command: RedisCommand, on link: RedisChannel.Link, at now: Instant) throws(SystemError) {
    guard let connection = connections[link] else { return }
    do throws(SystemError) {
      try connection.bytes.send(command.encoded)
      try watch(link)
      let unsent = connection.bytes.unsentBytes
      guard unsent > 2 * settings.maxFrameBytes + Limits.updateOverheadBytes else { return }
      try closed(link, connection, "it does not read: \(unsent) bytes wait for it", at: now)
    } catch {
      // Its end shows when it is next read.
    }
  }

  private func watch(_ link: RedisChannel.Link) throws(SystemError) {
    guard let connection = connections[link] else { return }
    // It is there once it can be written.
    try poller.watch(
      connection.bytes.socket, token: tokens[link] ?? 0, read: connection.isOpen && !(isPaused && link == .data),
      write: connection.bytes.wantsToWrite || !connection.isOpen)
  }

  /// Whether what comes is left in the socket for now.
  var isPaused = false {
    didSet {
      // It fails for a descriptor that is closed, and then there is nothing to wait for.
      if isPaused != oldValue { try? watch(.data) }
    }
  }

  func serve(_ link: RedisChannel.Link, _ ready: Poller.Ready, at now: Instant) throws(SystemError) -> [Output] {
    guard let connection = connections[link] else { return [] }
    do {
      if !connection.isOpen {
        if let failure = connection.bytes.failure { throw failure }
        connection.isOpen = true
        try watch(link)
        try post(.connected(link), at: now)
      }
      if ready.writable {
        try connection.bytes.flush()
        try watch(link)
      }
      if ready.readable || ready.hungUp, let bytes = try connection.bytes.read() {
        guard !bytes.isEmpty else {
          try closed(link, connection, "the connection was closed", at: now)
          return takeOutputs()
        }
        try connection.reader.feed(bytes)
        // What follows may close it.
        while connections[link] === connection, let reply = try connection.reader.next() {
          try post(.reply(link, reply), at: now)
        }
      }
    } catch {
      try closed(link, connection, "\(error)", at: now)
    }
    return takeOutputs()
  }

  private func closed(
    _ link: RedisChannel.Link, _ connection: Connection, _ reason: String, at now: Instant
  ) throws(SystemError) {
    guard connections[link] === connection else { return }
    connections[link] = nil
    try post(.lost(link, reason), at: now)
  }
}

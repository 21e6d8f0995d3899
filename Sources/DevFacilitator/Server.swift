import Facilitator
import Identity
import JSON
import Messages
import NIOCore
import NIOPosix
import NIOSSL
import Platform

/// Listens for validators and does what the ledger says. Lives on one event loop, on which it must be used.
final class Server {
  /// What a server is started with.
  struct Settings: Sendable {
    /// Where to listen; port 0 takes a free one, and keeps it.
    var address: SocketAddress
    /// nil: without TLS.
    var tls: NIOSSLContext?
    /// Signs the jobs.
    var signer: Hotkey
    /// Whose authentication is accepted; none of them means everyone's.
    var validators: Set<PublicKey> = []
    /// What is to go wrong from the start.
    var faults = Faults()
  }

  private let loop: any EventLoop
  private let signer: Hotkey
  private let tls: NIOSSLContext?
  private let report: @Sendable (Event) -> Void
  private var ledger: Ledger
  private var address: SocketAddress
  private var listener: (any Channel)?
  /// Every accepted connection, WebSocket or not yet.
  private var channels: [ObjectIdentifier: any Channel] = [:]
  private var connections: [Int: WebSocketConnection] = [:]
  private var lastNumber = 0

  private init(_ settings: Settings, loop: any EventLoop, report: @escaping @Sendable (Event) -> Void) {
    self.loop = loop
    self.report = report
    signer = settings.signer
    tls = settings.tls
    ledger = Ledger(validators: settings.validators, faults: settings.faults)
    address = settings.address
  }

  /// Starts a server on `loop`, which must not be the caller's.
  ///
  /// - Parameter report: is called on `loop` with everything that happens, in order.
  /// - Returns: the server, to be used on `loop` only, once it listens.
  /// - Throws: why it cannot listen.
  static func start(
    _ settings: Settings, on loop: any EventLoop, report: @escaping @Sendable (Event) -> Void
  ) -> EventLoopFuture<NIOLoopBound<Server>> {
    loop.flatSubmit {
      let server = Server(settings, loop: loop, report: report)
      let bound = NIOLoopBound(server, eventLoop: loop)
      return server.listen().map { bound }
    }
  }

  /// Where validators connect, once it listens.
  var url: String {
    let host = address.ipAddress ?? ""
    return
      "\(tls == nil ? "ws" : "wss")://\(bracketed(host)):\(address.port ?? 0)\(Upgrade.path)"
  }

  // MARK: Listening

  private func listen() -> EventLoopFuture<Void> {
    let bound = NIOLoopBound(self, eventLoop: loop)
    return ServerBootstrap(group: loop)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          bound.value.keep(channel)
          if let tls = bound.value.tls {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
          }
          try Upgrade.configure(channel, server: bound.value)
        }
      }
      .bind(to: address)
      .assumeIsolated()
      .map { channel in
        self.listener = channel
        self.address = channel.localAddress ?? self.address
        self.report(.listening(url: self.url))
      }
      .nonisolated()
  }

  private func keep(_ channel: any Channel) {
    channels[ObjectIdentifier(channel)] = channel
    channel.closeFuture.assumeIsolated().whenComplete { _ in
      self.channels[ObjectIdentifier(channel)] = nil
    }
  }

  /// Stops listening and drops everything; new connections are refused.
  func goDown(reason: String) -> EventLoopFuture<Void> {
    let closing = listener?.close() ?? loop.makeSucceededVoidFuture()
    listener = nil
    perform(ledger.dropAll(reason: reason))
    for channel in channels.values { channel.close(promise: nil) }
    // That it was closed already comes to the same.
    return closing.flatMapError { [loop] _ in loop.makeSucceededVoidFuture() }
  }

  // MARK: Connections

  /// A channel became a WebSocket; its handler is what this returns.
  func connected(validatorVersion: String?, runnerVersion: String?) -> WebSocketConnection {
    lastNumber += 1
    let connection = WebSocketConnection(number: lastNumber, server: self)
    connections[lastNumber] = connection
    perform(
      ledger.connected(lastNumber, validatorVersion: validatorVersion, runnerVersion: runnerVersion))
    return connection
  }

  func received(_ frame: [UInt8], on number: Int) { perform(ledger.received(frame, on: number)) }

  func violated(_ number: Int, code: UInt16, reason: String) {
    perform(ledger.violated(number, code: code, reason: reason))
  }

  func disconnected(_ number: Int, reason: String) {
    connections[number] = nil
    perform(ledger.disconnected(number, reason: reason))
  }

  private func perform(_ actions: [Ledger.Action]) {
    for action in actions {
      switch action {
      case .report(let event): report(event)
      case .answer(let number, let response):
        connections[number]?.enqueue(
          .text(response.frame), after: .milliseconds(Int64(ledger.faults.delay)))
      case .send(let number, let frame): connections[number]?.enqueue(.text(frame))
      case .close(let number, let code, let reason):
        connections[number]?.enqueue(.close(code: code, reason: reason))
      case .drop(let number, let reason): connections[number]?.enqueue(.drop(reason: reason))
      case .discardWaiting(let number): connections[number]?.discardWaiting()
      }
    }
  }

  // MARK: Commands

  /// Carries out a line of standard input.
  ///
  /// - Returns: whether to go on, once the command is carried out.
  func execute(_ line: LineSplitter.Line) -> EventLoopFuture<Bool> {
    do throws(CommandError) {
      guard case .whole(let bytes) = line else {
        throw CommandError("the line is longer than \(LineSplitter.byteLimit) bytes; give shorter ones")
      }
      return try execute(Command(line: bytes))
    } catch {
      report(.badCommand(message: "\(error)"))
      return loop.makeSucceededFuture(true)
    }
  }

  private func execute(_ command: Command) throws(CommandError) -> EventLoopFuture<Bool> {
    switch command {
    case .job(let job): perform(ledger.send(job: job.job, request: try request(job)))
    case .jobWithBadSignature(let job):
      perform(ledger.send(job: job.job, request: Self.altered(try request(job))))
    case .raw(let text): perform(ledger.send(raw: Array(text.utf8)))
    case .drop: perform(ledger.dropAll(reason: "as asked for"))
    case .close(let code, let reason): perform(ledger.closeAll(code: code, reason: reason))
    case .dropAfter(let count): ledger.faults.dropAfter = count
    case .dropBeforeAnswer(let count): ledger.faults.dropBeforeAnswer = count
    case .answerError(let error): ledger.faults.answerError = error
    case .delay(let milliseconds): ledger.faults.delay = milliseconds
    case .neverAnswer(let on): ledger.faults.neverAnswers = on
    case .ill(let illness): ledger.faults.illness = illness
    case .down: return goDown(reason: "down, as asked for").map { true }
    case .up:
      guard listener == nil else { throw CommandError("up: it listens already") }
      return listen().map { true }.flatMapErrorThrowing { [report] error in
        report(.badCommand(message: "up: cannot listen: \(error)"))
        return true
      }
    case .quit: return loop.makeSucceededFuture(false)
    }
    return loop.makeSucceededFuture(true)
  }

  private func request(_ job: SignedJob) throws(CommandError) -> [UInt8] {
    let now = UInt64(max(Clock.wallMilliseconds, 0)) * 1_000_000
    do { return try job.request(signedBy: signer, timestamp: now) } catch { throw CommandError("\(error)") }
  }

  /// The request with another image than the one that was signed.
  private static func altered(_ request: [UInt8]) -> [UInt8] {
    guard case .object(var members) = try? JSONValue.parse(request, limits: JSONLimits(bytes: request.count))
    else { return request }
    for index in members.indices where members[index].name == "docker_image" {
      members[index].value = .string("hordelink/unsigned")
    }
    return JSONValue.object(members).text(.python)
  }
}

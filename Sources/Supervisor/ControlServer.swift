import Decisions
import Glibc
import Logging
import Messages
import Platform

/// Answers hordelinkctl on control.sock. Its socket is closed to others, and its peers are checked besides.
final class ControlServer {
  /// Connections at once. Each asks one thing at a time.
  private static let connectionLimit = 32
  /// How long a connection must have asked nothing before it gives way to another when there are as many.
  private static let idleNanoseconds: Int64 = 10_000_000_000

  private final class Client {
    let connection: FrameConnection
    var source: EventLoop.Source?
    /// Its question has no answer yet.
    var isAsking = false
    var heardAt = Clock.bootNanoseconds
    init(_ connection: FrameConnection) { self.connection = connection }
  }

  private let socket: Descriptor
  private let loop: EventLoop
  private let logger: Logger
  private let ask: (UInt64, UplinkQuery) -> Void
  private var lines: LineLimit
  private var clients: [UInt64: Client] = [:]
  private var nextClient: UInt64 = 1
  private var source: EventLoop.Source?
  private var pause: EventLoop.Source?

  /// - Parameter ask: is given each question with its number, under which `answer` is called later.
  init(
    socket: Descriptor, loop: EventLoop, logger: Logger, ask: @escaping (UInt64, UplinkQuery) -> Void
  ) throws(SystemError) {
    self.socket = socket
    self.loop = loop
    self.logger = logger
    self.ask = ask
    lines = LineLimit(LineLimit.complaints, at: Instant(nanoseconds: Clock.bootNanoseconds))
    try listen()
    pause = try loop.addTimer { [weak self] in
      do throws(SystemError) { try self?.listen() } catch { logger.error("the control socket is lost: \(error)") }
    }
  }

  /// Answers a question and ends its connection once the answer is out.
  func answer(_ number: UInt64, _ message: SupervisorToControl) {
    guard let client = clients[number] else { return }
    client.isAsking = false
    do {
      try client.connection.send(message.frame(generation: .none))
      client.source?.waitFor(read: true, write: client.connection.wantsToWrite)
    } catch {
      clients[number] = nil
    }
  }

  private func accept() {
    do {
      guard let accepted = try UnixSocket.accept(socket) else { return }
      let peer = try UnixSocket.peer(of: accepted)
      guard peer.uid == 0 || peer.uid == geteuid() else {
        complain("a connection of uid \(peer.uid) to the control socket is closed")
        return
      }
      makeRoom()
      guard clients.count < Self.connectionLimit else {
        complain("more than \(Self.connectionLimit) connections to the control socket; one is closed")
        return
      }
      let number = nextClient
      nextClient += 1
      let client = Client(
        FrameConnection(
          accepted, limit: Limits.updateOverheadBytes, outgoingLimit: Limits.controlFrameBytes))
      clients[number] = client
      client.source = try loop.add(accepted) { [weak self] in self?.serve(number) }
    } catch {
      logger.warning("the control socket: \(error); it rests for a second")
      source = nil
      pause?.fire(atNanoseconds: Clock.bootNanoseconds + 1_000_000_000)
    }
  }

  /// A line that whoever connects can cause again and again.
  private func complain(_ text: String) {
    let (passes, dropped) = lines.admit(at: Instant(nanoseconds: Clock.bootNanoseconds))
    guard passes else { return }
    for text in [LineLimit.leftOut(dropped), text].compactMap(\.self) { logger.warning("\(text)") }
  }

  /// Who asks nothing, or does not take the answer, has no place for ever.
  private func makeRoom() {
    guard clients.count >= Self.connectionLimit,
      let oldest = clients.min(by: { $0.value.heardAt < $1.value.heardAt }),
      Clock.bootNanoseconds - oldest.value.heardAt >= Self.idleNanoseconds
    else { return }
    clients[oldest.key] = nil
  }

  /// A connection that cannot be accepted, for want of descriptors above all, would be announced again at once.
  private func listen() throws(SystemError) {
    source = try loop.add(socket) { [weak self] in self?.accept() }
  }

  private func serve(_ number: UInt64) {
    guard let client = clients[number] else { return }
    do {
      try client.connection.flush()
      try client.connection.fill()
      while let (message, _) = try client.connection.next(ControlToSupervisor.self) {
        guard !client.isAsking, !client.connection.wantsToWrite else {
          logger.warning("a client of the control socket asks before it has taken its answer; it is closed")
          clients[number] = nil
          return
        }
        client.isAsking = true
        client.heardAt = Clock.bootNanoseconds
        switch message {
        case .query(let query): ask(number, query)
        }
      }
    } catch {
      complain("a client of the control socket: \(error)")
      clients[number] = nil
      return
    }
    if client.connection.atEnd {
      clients[number] = nil
    } else {
      client.source?.waitFor(read: true, write: client.connection.wantsToWrite)
    }
  }
}

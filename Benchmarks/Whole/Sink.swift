import Glibc
import JSON
import Messages
import Platform
import Rehearsal

/// A facilitator that costs next to nothing: it takes any authentication, answers each update as the original's does,
/// and notes what was accepted of each job and when. A thread of its own serves it, whose processor time can be told
/// apart. It looks at a message's first bytes only.
///
/// `@unchecked Sendable`: everything that changes is used under the monitor's mutex.
final class Sink: @unchecked Sendable {
  static let path = "/ws/v0/"
  private static let listeningToken: UInt64 = 0
  private static let wakingToken: UInt64 = 1

  let port: Int
  private let monitor = Monitor()
  private let poller: Poller
  private let waking: (reading: Descriptor, writing: Descriptor)
  private let scanner = MessageScanner()
  private var listening: Descriptor?
  private var connections: [UInt64: SinkConnection] = [:]
  private var lastToken = wakingToken
  /// The connection that was authenticated last.
  private var client: SinkConnection?
  private var thread: pthread_t?
  private var isOver = false
  private var failure: String?
  private var acceptances = Acceptances(count: 0)
  /// At how many acceptances somebody is to be woken.
  private var target = Int.max

  /// - Parameter isThere: whether it listens from the start.
  init(isThere: Bool = true) throws {
    poller = try Poller()
    waking = try Files.pipe()
    (port, listening) = try Self.freePort()
    if !isThere { listening = nil }
    try poller.watch(waking.reading, token: Self.wakingToken, read: true, write: false)
    try listen()
    try BackgroundThread.start { self.serve() }
  }

  private static func freePort() throws -> (Int, Descriptor) {
    while true {
      let port = Int.random(in: 30_001...32_000)
      do { return (port, try InternetSocket.bind(to: "127.0.0.1", port: port)) } catch {
        guard error.code == EADDRINUSE else { throw error }
      }
    }
  }

  var url: String { "ws://127.0.0.1:\(port)\(Self.path)" }

  private func listen() throws(SystemError) {
    guard let listening else { return }
    guard Glibc.listen(listening.number, 16) == 0 else { throw SystemError("listen", url) }
    try poller.watch(listening, token: Self.listeningToken, read: true, write: false)
  }

  /// Takes connections from now on.
  func arrive() throws {
    try monitor.locked {
      listening = try InternetSocket.bind(to: "127.0.0.1", port: port)
      try listen()
    }
  }

  /// Takes no connections from now on, and drops those that there are.
  func leave() {
    monitor.locked {
      listening = nil
      connections = [:]
      client = nil
    }
  }

  /// Ends the thread.
  func tearDown() {
    leave()
    monitor.locked { isOver = true }
    _ = write(waking.writing.number, [0], 1)
  }

  // MARK: For who measures

  /// What its thread has had of a processor so far, in nanoseconds.
  var processorTime: Int64 { monitor.locked { thread.flatMap { ProcessTable.processorTime(ofThread: $0) } } ?? 0 }

  /// What is accepted from now on is noted there, and belongs to no other jobs.
  func expect(_ acceptances: Acceptances) {
    monitor.locked {
      self.acceptances = acceptances
      target = .max
    }
  }

  /// Looks at what is accepted so far of the jobs that are expected.
  func look<Result>(_ body: (Acceptances) throws -> Result) rethrows -> Result {
    try monitor.locked { try body(acceptances) }
  }

  func waitUntilConnected(milliseconds: Int = 20_000) throws {
    try wait("a connection", milliseconds) { client != nil }
  }

  /// Waits until so many updates have been accepted of the jobs that are expected.
  func wait(for count: Int, milliseconds: Int = 120_000) throws {
    monitor.locked { target = count }
    try wait("\(count) updates", milliseconds) { acceptances.total >= count }
  }

  private func wait(_ what: String, _ milliseconds: Int, until isSo: () -> Bool) throws {
    let isThere = try monitor.wait(milliseconds: milliseconds) {
      if let failure { throw RehearsalError(failure) }
      return isSo()
    }
    guard isThere else {
      throw RehearsalError("\(milliseconds / 1000) s are not enough for \(what); \(acceptances.total) were accepted")
    }
  }

  /// Sends frames that are made already; what the socket does not take follows by itself.
  ///
  /// - Returns: the nanoseconds since boot at which the first was about to be written.
  @discardableResult
  func send(_ frames: some Sequence<[UInt8]>) throws -> Int64 {
    let bytes = frames.flatMap { $0 }
    return try monitor.locked {
      guard let client else { throw RehearsalError("nobody is connected to the sink to be sent jobs") }
      let time = Clock.bootNanoseconds
      try client.send(bytes, poller)
      return time
    }
  }

  // MARK: The thread

  private func serve() {
    monitor.locked { thread = pthread_self() }
    while !monitor.locked({ isOver }) {
      do {
        let ready = try poller.wait(timeout: nil)
        try monitor.locked { for event in ready { try handle(event) } }
      } catch {
        monitor.locked {
          failure = "the sink: \(error)"
          monitor.changed()
        }
        return
      }
    }
    monitor.locked { thread = nil }
  }

  private func handle(_ event: Poller.Ready) throws {
    if event.token == Self.listeningToken {
      guard let listening, let socket = try UnixSocket.accept(listening) else { return }
      lastToken += 1
      connections[lastToken] = try SinkConnection(socket, token: lastToken, poller)
    } else if let connection = connections[event.token] {
      do {
        if event.writable { try connection.flush(poller) }
        if event.readable || event.hungUp { try read(connection) }
      } catch let error as SystemError where [EPIPE, ECONNRESET].contains(error.code) {
        drop(connection)
      }
    }
  }

  private func drop(_ connection: SinkConnection) {
    if client === connection { client = nil }
    connections[connection.token] = nil
  }

  private func read(_ connection: SinkConnection) throws {
    let isOpen = try connection.read(poller) { message, time in
      switch scanner.scan(message) {
      case .update(let job, let status):
        guard acceptances.accept(status, of: job, at: time) else {
          throw RehearsalError("\(status.name) of job \(job), which is none that is measured, or has had too many")
        }
        return true
      case .authentication:
        client = connection
        monitor.changed()
        return true
      case .unanswered: return false
      case .unknown:
        throw RehearsalError("not a message of a validator's: \(String(decoding: message.prefix(80), as: UTF8.self))")
      }
    }
    if acceptances.total >= target {
      target = .max
      monitor.changed()
    }
    if !isOpen { drop(connection) }
  }
}

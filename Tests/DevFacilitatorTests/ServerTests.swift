import Facilitator
import Glibc
import Identity
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import DevFacilitator

/// A server on a thread of its own, and all that it has told.
private final class RunningServer: Sendable {
  let port: Int
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let server: NIOLoopBound<Server>
  private let log: Log

  private final class Log: Sendable {
    let events = Mutex<[Event]>([])
  }

  init(faults: Faults = Faults()) throws {
    let log = Log()
    let settings = Server.Settings(
      address: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
      signer: Hotkey(try SecretKey.development("//Alice")), faults: faults)
    server = try Server.start(settings, on: group.next()) { event in log.events.withLock { $0.append(event) } }
      .wait()
    self.log = log
    guard case .listening(let url) = log.events.withLock({ $0.first }),
      url.hasPrefix("ws://127.0.0.1:"), url.hasSuffix("/ws/v0/"),
      let port = Int(url.dropFirst(15).dropLast(7))
    else { throw FixtureError.unusable }
    self.port = port
  }

  deinit { try? group.syncShutdownGracefully() }

  @discardableResult
  func execute(_ command: String) throws -> Bool {
    try group.next().flatSubmit { [server] in server.value.execute(.whole(Array(command.utf8))) }.wait()
  }

  /// Waits until `isThere` holds for what has happened so far.
  func wait(for what: String, _ isThere: ([Event]) -> Bool) throws {
    for _ in 0..<20_000 {
      if isThere(events) { return }
      usleep(1000)
    }
    throw BlockingClient.Failure.unexpected("no \(what) within 20 s, only \(events)")
  }

  var events: [Event] { log.events.withLock { $0 } }

  func client() throws -> BlockingClient {
    let client = try BlockingClient(port: port)
    #expect(try client.upgrade() == "HTTP/1.1 101 Switching Protocols")
    return client
  }

  /// A client that has had the answer to its authentication.
  func authenticatedClient() throws -> BlockingClient {
    let client = try client()
    try client.send(text: Fixture.authentication(Fixture.validator()))
    #expect(try client.next() == .success)
    return client
  }
}

extension BlockingClient.Incoming {
  static var success: Self { .text(String(decoding: Response.success.frame, as: UTF8.self)) }
  static func refusal(_ refusal: Refusal) -> Self {
    .text(String(decoding: refusal.response.frame, as: UTF8.self))
  }
}

private let job = #"{"command":"job","uuid":"\#(Fixture.uuid)","args":["true"]}"#

/// The server over real sockets. Serialized: each test has threads of its own.
@Suite(.serialized) struct ServerTests {
  @Test func aWholeConversation() throws {
    let server = try RunningServer()
    try server.execute(job)
    let client = try BlockingClient(port: server.port)
    #expect(
      try client.upgrade(headers: ["X-Validator-Version: 1.2", "X-Validator-Runner-Version: 3"])
        == "HTTP/1.1 101 Switching Protocols")
    try client.send(text: Fixture.update("received"))
    #expect(try client.next() == .refusal(.notAuthenticated))
    try client.send(text: Fixture.authentication(Fixture.validator()))
    #expect(try client.next() == .success)

    guard case .text(let request) = try client.next(),
      case .jobRequest(let signed, _) = FacilitatorMessage.classify(Array(request.utf8))
    else { throw FixtureError.unusable }
    try signed.verify(trusted: TrustedSigners([SecretKey.development("//Alice").publicKey]))
    #expect(signed.uuid == Fixture.uuid)
    #expect(signed.arguments == ["true"])

    try client.send(text: Heartbeat.frame)
    try client.send(text: Fixture.specs)
    try client.send(text: Fixture.update("received"))
    try client.send(text: Fixture.update("received"))
    try client.send(text: Fixture.update("completed"))
    #expect(
      try [client.next(), client.next(), client.next()] == [.success, .refusal(.integrityError), .success])
    try client.send(opcode: 9, Array("are you there".utf8))
    #expect(try client.next() == .pong(Array("are you there".utf8)))
    try client.close(code: 1001)
    #expect(try client.next() == .close(code: 1001, reason: ""))
    #expect(try client.next() == .end)

    try server.wait(for: "disconnected") { $0.last == .disconnected(1, reason: "the validator closed with 1001") }
    let received = text(Fixture.update("received"))
    let hotkey = try Fixture.validator().publicKey.ss58
    #expect(
      Array(server.events.dropFirst()) == [
        .connected(1, validatorVersion: "1.2", runnerVersion: "3"),
        .refused(1, uuid: Fixture.uuid, status: "received", type: "auth.not_authenticated"),
        .authenticated(1, hotkey: hotkey),
        .jobSent(1, uuid: Fixture.uuid, frame: request),
        .heartbeat(1),
        .specs(1, frame: text(Fixture.specs)),
        .accepted(1, uuid: Fixture.uuid, status: "received", frame: received, row: 1),
        .duplicate(1, uuid: Fixture.uuid, status: "received", frame: received),
        .accepted(
          1, uuid: Fixture.uuid, status: "completed", frame: text(Fixture.update("completed")), row: 2),
        .disconnected(1, reason: "the validator closed with 1001"),
      ])
  }

  @Test func nothingElseIsServed() throws {
    let server = try RunningServer()
    #expect(try BlockingClient(port: server.port).upgrade("/ws/v1/") == "HTTP/1.1 404 Not Found")
    #expect(try BlockingClient(port: server.port).request("/", headers: []) == "HTTP/1.1 404 Not Found")
    let plain = try BlockingClient(port: server.port)
    #expect(try plain.request("/ws/v0/", headers: []) == "HTTP/1.1 426 Upgrade Required")
    #expect(try plain.next() == .end)
    #expect(server.events.count == 1)
  }

  struct Violation: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var code: UInt16
    var commit: @Sendable (BlockingClient) throws -> Void
  }

  static let violations = [
    Violation(testDescription: "binary", code: 1003) { try $0.send(opcode: 2, [1]) },
    Violation(testDescription: "not masked", code: 1002) { try $0.send(opcode: 1, [0x31], masked: false) },
    Violation(testDescription: "reserved bit", code: 1002) { try $0.send(opcode: 1, [0x31], reserved: 0x40) },
    Violation(testDescription: "not UTF-8", code: 1007) { try $0.send(opcode: 1, [0xff]) },
    Violation(testDescription: "unknown opcode", code: 1002) { try $0.send(opcode: 3, []) },
    Violation(testDescription: "stray continuation", code: 1002) { try $0.send(opcode: 0, []) },
    Violation(testDescription: "fragmented ping", code: 1002) { try $0.send(opcode: 9, [], fin: false) },
    Violation(testDescription: "too long", code: 1009) {
      try $0.send(opcode: 1, [], declaring: IncomingMessage.byteLimit + 1)
    },
    Violation(testDescription: "a message within another", code: 1002) {
      try $0.send(opcode: 1, [0x31], fin: false)
      try $0.send(opcode: 1, [0x31])
    },
  ]

  @Test(arguments: violations)
  func brokenRulesCloseTheConnection(_ violation: Violation) throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    try violation.commit(client)
    guard case .close(let code, let reason) = try client.next() else { throw FixtureError.unusable }
    #expect(code == violation.code)
    #expect(!reason.isEmpty)
    try client.close(code: code)
    #expect(try client.next() == .end)
    try server.wait(for: "disconnected") { $0.last == .disconnected(1, reason: "closed with \(code): \(reason)") }
  }

  @Test func fragmentsMakeOneMessage() throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    let frame = Fixture.update("received")
    try client.send(opcode: 1, Array(frame.prefix(10)), fin: false)
    try client.send(opcode: 9, [7])
    try client.send(opcode: 0, Array(frame[10..<20]), fin: false)
    try client.send(opcode: 0, Array(frame.dropFirst(20)))
    #expect(try client.next() == .pong([7]))
    #expect(try client.next() == .refusal(.jobNotFound))
  }

  @Test func aLargeMessageArrivesWhole() throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    try server.execute(job)
    _ = try client.next()
    let metadata = #"{"more":"\#(String(repeating: "x", count: 3 << 20))"}"#
    try client.send(text: Fixture.update("received", metadata: metadata))
    #expect(try client.next() == .success)
    guard case .accepted(_, _, _, let frame, _) = server.events.last else { throw FixtureError.unusable }
    #expect(frame == text(Fixture.update("received", metadata: metadata)))
  }

  @Test func aMalformedKeyEndsTheConnectionWithoutACloseFrame() throws {
    let server = try RunningServer()
    let client = try server.client()
    try client.send(
      text: Array(#"{"message_type":"V0AuthenticationRequest","public_key":"zz","signature":"0x00"}"#.utf8))
    #expect(try client.next() == .end)
  }

  @Test func aRefusedSignatureIsAnsweredAndClosed() throws {
    let server = try RunningServer()
    let client = try server.client()
    let key = try Fixture.validator().publicKey
    let signature = try SecretKey.development("//Alice").sign(key.bytes)
    try client.send(text: AuthenticationRequest(publicKey: key, signature: signature).frame)
    #expect(try client.next() == .refusal(.signatureInvalid))
    #expect(try client.next() == .close(code: 3000, reason: ""))
    try client.close(code: 3000)
    #expect(try client.next() == .end)
  }

  @Test func aRowKeptWithoutAnAnswerIsKnownAfterReconnecting() throws {
    let server = try RunningServer(faults: Faults(dropBeforeAnswer: 2))
    let first = try server.authenticatedClient()
    try server.execute(job)
    _ = try first.next()
    try first.send(text: Fixture.update("received"))
    try first.send(text: Fixture.update("accepted"))
    try first.send(text: Fixture.update("executor_ready"))
    #expect(try first.next() == .success)
    #expect(try first.next() == .end)
    let second = try server.authenticatedClient()
    try second.send(text: Fixture.update("accepted"))
    try second.send(text: Fixture.update("executor_ready"))
    #expect(try [second.next(), second.next()] == [.refusal(.integrityError), .success])
  }

  @Test func delayedAnswersKeepTheirOrder() throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    try server.execute(job)
    _ = try client.next()
    try server.execute(#"{"command":"delay","milliseconds":50}"#)
    try client.send(text: Fixture.update("received"))
    try server.wait(for: "accepted") { if case .accepted = $0.last { true } else { false } }
    try server.execute(#"{"command":"delay","milliseconds":0}"#)
    try client.send(text: Fixture.update("received"))
    try client.send(text: Fixture.update("accepted"))
    #expect(
      try [client.next(), client.next(), client.next()] == [.success, .refusal(.integrityError), .success])
  }

  @Test func droppingDoesNotWaitForDelayedAnswers() throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    try server.execute(#"{"command":"delay","milliseconds":86400000}"#)
    try client.send(text: Fixture.update("received"))
    try server.wait(for: "refused") { if case .refused = $0.last { true } else { false } }
    try server.execute(#"{"command":"drop"}"#)
    #expect(try client.next() == .end)
    try server.wait(for: "disconnected") { $0.last == .disconnected(1, reason: "dropped: as asked for") }
  }

  @Test func closingSaysWithWhichCode() throws {
    let server = try RunningServer(faults: Faults(closeCode: 1001))
    let first = try server.authenticatedClient()
    #expect(try first.next() == .close(code: 1001, reason: ""))
    let second = try server.authenticatedClient()
    try server.execute(#"{"command":"close","code":4321,"reason":"so it goes"}"#)
    #expect(try second.next() == .close(code: 4321, reason: "so it goes"))
    try second.close(code: 4321)
    #expect(try second.next() == .end)
  }

  @Test func downRefusesAndUpListensOnTheSamePort() throws {
    let server = try RunningServer()
    let client = try server.authenticatedClient()
    let idle = try BlockingClient(port: server.port)
    try server.execute(#"{"command":"down"}"#)
    #expect(try client.next() == .end)
    #expect(try idle.next() == .end)
    #expect(throws: BlockingClient.Failure.self) { _ = try BlockingClient(port: server.port) }
    try server.execute(#"{"command":"down"}"#)
    try server.execute(#"{"command":"up"}"#)
    _ = try server.authenticatedClient()
    #expect(server.events.filter { if case .listening = $0 { true } else { false } }.count == 2)
  }

  @Test func aBadSignatureAndRawTextReachTheNewestConnection() throws {
    let server = try RunningServer()
    let old = try server.authenticatedClient()
    let new = try server.authenticatedClient()
    try server.execute(#"{"command":"raw_job_with_bad_signature","uuid":"\#(Fixture.uuid)"}"#)
    try server.execute(#"{"command":"raw","text":"anything"}"#)
    guard case .text(let request) = try new.next(),
      case .jobRequest(let signed, _) = FacilitatorMessage.classify(Array(request.utf8))
    else { throw FixtureError.unusable }
    #expect(throws: VerificationError.badSignature) { try signed.verifySignature() }
    #expect(signed.uuid == Fixture.uuid)
    #expect(try new.next() == .text("anything"))
    try old.send(text: Fixture.update("rejected"))
    #expect(try old.next() == .success)
  }

  @Test func commandsGoOnAfterABadOneUntilQuit() throws {
    let server = try RunningServer()
    #expect(try server.execute("nope"))
    #expect(try server.execute(#"{"command":"never_answer","on":true}"#))
    #expect(try !server.execute(#"{"command":"quit"}"#))
    guard case .badCommand = server.events.last else { throw FixtureError.unusable }
  }
}

import Glibc
import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Synchronization
import Testing

/// A facilitator that does what a test says, to the byte, and keeps what it has accepted.
///
/// Each connection is served by a thread of its own, and closed when that returns or throws.
final class HostileFacilitator: Sendable {
  private struct State {
    var connections: [Int: HostileConnection] = [:]
    /// Those that are over for us and are left open.
    var kept: [HostileConnection] = []
    var lastNumber = 0
    var serving: HostileConnection?
    var accepted: [JobID: [JobStatus]] = [:]
    var isClosed = false
  }

  private let server: SilentServer
  private let state = Mutex(State())

  /// - Parameter serve: what becomes of a connection. Ends by throwing when the connection does.
  init(_ serve: @escaping @Sendable (HostileConnection) throws -> Void) throws {
    // Little is taken that nobody reads, so that Uplink is the one to keep it.
    server = try SilentServer(receiveBuffer: 4096)
    try BackgroundThread.start { [self] in
      while let socket = server.accept() {
        guard let connection = add(socket) else { return }
        try? BackgroundThread.start { [self] in
          try? serve(connection)
          remove(connection)
        }
      }
    }
  }

  var port: Int { server.port }
  var url: String { "ws://127.0.0.1:\(server.port)/ws/v0/" }

  /// Ends all connections, and takes no more.
  func close() {
    server.close()
    let open = state.withLock { state in
      state.isClosed = true
      return Array(state.connections.values)
    }
    for connection in open { connection.shutDown() }
  }

  private func add(_ socket: Descriptor) -> HostileConnection? {
    state.withLock { state in
      guard !state.isClosed else { return nil }
      state.lastNumber += 1
      let connection = HostileConnection(socket, number: state.lastNumber, of: self)
      state.connections[connection.number] = connection
      return connection
    }
  }

  /// Leaves a connection open, to the facilitator's end, although it is served no more.
  func keep(_ connection: HostileConnection) { state.withLock { $0.kept.append(connection) } }

  private func remove(_ connection: HostileConnection) {
    if !state.withLock({ $0.kept.contains { $0 === connection } }) { connection.shutDown() }
    state.withLock { state in
      state.connections[connection.number] = nil
      if state.serving === connection { state.serving = nil }
    }
  }

  // MARK: What has happened

  /// How many connections there have been.
  var connectionCount: Int { state.withLock { $0.lastNumber } }

  /// The connection that is served as it should be, if one is.
  var serving: HostileConnection? { state.withLock { $0.serving } }

  /// The updates it has accepted of a job, in their order.
  func accepted(_ job: JobID) -> [JobStatus] { state.withLock { $0.accepted[job] ?? [] } }

  func serves(_ connection: HostileConnection) { state.withLock { $0.serving = connection } }

  /// Takes a text of Uplink's; returns its answer, if it gets one.
  func take(_ text: [UInt8]) -> [UInt8]? {
    let message = try? JSONValue.parse(text, limits: JSONLimits(bytes: 64 << 20))
    switch message?["message_type"]?.stringValue {
    case "V0JobStatusUpdate":
      guard let job = (message?["uuid"]?.stringValue).flatMap({ JobID($0) }),
        let status = (message?["status"]?.stringValue).map({ JobStatus(name: $0) })
      else { return nil }
      // Like the real one it keeps one row for a job and a status: after a lost connection an update comes again.
      let isNew = state.withLock { state in
        guard state.accepted[job]?.contains(status) != true else { return false }
        state.accepted[job, default: []].append(status)
        return true
      }
      return Array(
        (isNew
          ? #"{"status":"success","errors":[]}"#
          : #"{"status":"error","errors":[{"msg":"there already","type":"job.integrity_error"}]}"#).utf8)
    default: return nil
    }
  }
}

/// Runs `body` with the whole service up, and a facilitator that serves each connection as told.
///
/// - Parameters:
///   - serve: see `HostileFacilitator`.
///   - change: of the settings; see `onStage`. PORT stands for the facilitator's port.
func withHostileFacilitator(
  _ serve: @escaping @Sendable (HostileConnection) throws -> Void,
  change: (inout Rehearsal.Settings) -> Void = { _ in },
  _ body: (Rehearsal, HostileFacilitator) throws -> Void
) throws {
  let facilitator = try HostileFacilitator(serve)
  defer { facilitator.close() }
  let url = facilitator.url
  try onStage(connected: false) { settings in
    settings.url = { _ in url }
    change(&settings)
    settings.more = settings.more.mapValues { $0.replacing("PORT", with: "\(facilitator.port)") }
  } _: { rehearsal in
    try body(rehearsal, facilitator)
  }
}

extension Rehearsal {
  /// Waits until a connection is served as it should be, has it send a job, and waits until that can be spoken to.
  func startJob(at facilitator: HostileFacilitator) throws -> JobID {
    let job = JobID.random()
    try until("a connection that is served") { _, _ in facilitator.serving != nil }
    try #require(facilitator.serving).send(job)
    _ = try readyChild("listener", job: job)
    return job
  }

  /// Waits until the facilitator has accepted these updates of the job, in this order, and no others.
  func expectAccepted(_ job: JobID, _ statuses: [JobStatus], by facilitator: HostileFacilitator) throws {
    try until("\(statuses.count) updates of \(job)") { _, _ in facilitator.accepted(job).count >= statuses.count }
    #expect(facilitator.accepted(job) == statuses)
  }
}

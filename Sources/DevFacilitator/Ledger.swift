import Facilitator
import Identity
import Messages
import StatusUpdates

/// The facilitator's rules: who may say what, which rows are kept, what is answered.
///
/// What happened goes in, what is to be done comes out, in order; nothing here waits, reads a clock or sends.
/// Source: PROTOCOL.md, The facilitator's WebSocket.
struct Ledger: Sendable {
  /// Something to do. Connections are numbered from 1, never twice.
  enum Action: Sendable, Equatable {
    case report(Event)
    /// Sends an answer, after the delay where one is set.
    case answer(Int, Response)
    /// Sends a text frame, behind everything that waits to be sent on that connection.
    case send(Int, [UInt8])
    /// Sends a close frame, likewise in turn.
    case close(Int, code: UInt16, reason: String)
    /// Ends the TCP connection without a close frame, likewise in turn.
    case drop(Int, reason: String)
    /// Throws away what waits to be sent.
    case discardWaiting(Int)
  }

  private enum Phase: Equatable {
    case unauthenticated
    case authenticated
    /// Closed or dropped by us: whatever still arrives is not looked at.
    case leaving
  }

  /// How many jobs wait for a validator at most.
  static let waitingLimit = 100_000

  /// What is to go wrong; may be changed at any time.
  var faults: Faults

  /// Nil when everyone who signs correctly is a validator.
  private let validators: Set<PublicKey>?
  private var phases: [Int: Phase] = [:]
  /// In the order in which they authenticated: jobs go to the last.
  private var authenticated: [Int] = []
  private var jobs: [JobID: JobStatusSet] = [:]
  private var rows = 0
  private var waiting: [(job: JobID, frame: [UInt8])] = []

  /// A ledger without jobs.
  ///
  /// - Parameter validators: whose authentication is accepted; none of them means everyone's.
  init(validators: Set<PublicKey> = [], faults: Faults = Faults()) {
    self.validators = validators.isEmpty ? nil : validators
    self.faults = faults
  }

  // MARK: Connections

  /// A WebSocket was opened.
  mutating func connected(_ connection: Int, validatorVersion: String?, runnerVersion: String?) -> [Action] {
    phases[connection] = .unauthenticated
    return [
      .report(.connected(connection, validatorVersion: validatorVersion, runnerVersion: runnerVersion))
    ]
  }

  /// A connection is no more, whoever ended it.
  mutating func disconnected(_ connection: Int, reason: String) -> [Action] {
    guard phases.removeValue(forKey: connection) != nil else { return [] }
    authenticated.removeAll { $0 == connection }
    return [.report(.disconnected(connection, reason: reason))]
  }

  /// The validator broke the WebSocket's rules: it is told with which code.
  mutating func violated(_ connection: Int, code: UInt16, reason: String) -> [Action] {
    guard isOpen(connection) else { return [] }
    return close(connection, code: code, reason: reason)
  }

  /// Drops every connection at once.
  mutating func dropAll(reason: String) -> [Action] {
    openConnections.flatMap { [.discardWaiting($0)] + drop($0, reason: reason) }
  }

  /// Closes every connection at once.
  mutating func closeAll(code: UInt16, reason: String) -> [Action] {
    openConnections.flatMap { [.discardWaiting($0)] + close($0, code: code, reason: reason) }
  }

  private var openConnections: [Int] { phases.filter { $0.value != .leaving }.keys.sorted() }

  private func isOpen(_ connection: Int) -> Bool { phases[connection].map { $0 != .leaving } ?? false }

  private mutating func leave(_ connection: Int) {
    phases[connection] = .leaving
    authenticated.removeAll { $0 == connection }
  }

  private mutating func drop(_ connection: Int, reason: String) -> [Action] {
    leave(connection)
    return [.drop(connection, reason: reason)]
  }

  private mutating func close(_ connection: Int, code: UInt16, reason: String) -> [Action] {
    leave(connection)
    return [.close(connection, code: code, reason: reason)]
  }

  // MARK: Jobs

  /// Sends a job request to the newest authenticated connection, or keeps it for the next one. From now on the job
  /// is known and has the status `sent`; a known one keeps its rows.
  mutating func send(job: JobID, request: [UInt8]) -> [Action] {
    know(job)
    if let connection = authenticated.last { return sending(job, request, to: connection) }
    guard waiting.count < Self.waitingLimit else {
      return [
        .report(.badCommand(message: "\(waiting.count) jobs wait already; connect a validator that takes them"))
      ]
    }
    waiting.append((job, request))
    return []
  }

  /// Sends any text to the newest authenticated connection, or to the newest where none is. A job request in it
  /// makes its job known.
  mutating func send(raw frame: [UInt8]) -> [Action] {
    guard let connection = authenticated.last ?? openConnections.last else {
      return [.report(.badCommand(message: "no validator is connected; send raw text once one is"))]
    }
    guard case .jobRequest(let request, _) = FacilitatorMessage.classify(frame), let job = request.job else {
      return [.send(connection, frame)]
    }
    know(job)
    return sending(job, frame, to: connection)
  }

  private mutating func know(_ job: JobID) { jobs[job, default: []].insert(JobStatusSet(.sent)) }

  private func sending(_ job: JobID, _ frame: [UInt8], to connection: Int) -> [Action] {
    let text = String(decoding: frame, as: UTF8.self)
    return [.report(.jobSent(connection, uuid: "\(job)", frame: text)), .send(connection, frame)]
  }

  // MARK: Messages

  /// A text frame arrived.
  mutating func received(_ frame: [UInt8], on connection: Int) -> [Action] {
    guard let phase = phases[connection], phase != .leaving else { return [] }
    guard let text = String(validating: frame, as: UTF8.self) else {
      return close(connection, code: CloseCode.notUTF8, reason: "a text frame is not UTF-8")
    }
    let message: IncomingMessage
    do { message = try IncomingMessage(frame: frame) } catch {
      return [.report(.unparsable(connection, type: error.type))]
        + answer(connection, .refusing(type: error.type, message: error.message))
    }
    switch message {
    case .authentication(let claim):
      return phase == .authenticated
        ? refuseAuthentication(connection, .alreadyAuthenticated) : authenticate(connection, claim)
    case .heartbeat where phase == .authenticated: return [.report(.heartbeat(connection))]
    case .machineSpecs where phase == .authenticated: return [.report(.specs(connection, frame: text))]
    case .heartbeat, .machineSpecs: return refuse(connection, uuid: nil, status: nil, .notAuthenticated)
    case .statusUpdate(let update):
      guard phase == .authenticated else {
        return refuse(connection, uuid: "\(update.job)", status: update.status.name, .notAuthenticated)
      }
      return record(update, frame: text, on: connection)
    case .updateOfNoJob(let uuid, let status):
      guard phase == .authenticated else {
        return refuse(connection, uuid: uuid, status: status, .notAuthenticated)
      }
      return drop(connection, reason: "a status update's uuid is not a UUID")
    }
  }

  private mutating func authenticate(_ connection: Int, _ claim: IncomingMessage.Claim) -> [Action] {
    switch claim {
    case .malformedKey(let error): return drop(connection, reason: "\(error)")
    case .malformedSignature(let key, let error):
      return refuseStranger(connection, key) ?? drop(connection, reason: "\(error)")
    case .request(let request):
      if let refusal = refuseStranger(connection, request.publicKey) { return refusal }
      guard request.isVerified else {
        return refuseAuthentication(connection, .signatureInvalid)
          + close(connection, code: CloseCode.signatureInvalid, reason: "")
      }
      phases[connection] = .authenticated
      return [
        .report(.authenticated(connection, hotkey: request.publicKey.ss58)), .answer(connection, .success),
      ] + welcome(connection)
    }
  }

  /// Nil for a validator's key.
  private mutating func refuseStranger(_ connection: Int, _ key: PublicKey) -> [Action]? {
    guard let validators, !validators.contains(key) else { return nil }
    return refuseAuthentication(connection, .validatorNotFound)
      + close(connection, code: CloseCode.validatorNotFound, reason: "")
  }

  /// What an authenticated connection gets behind its answer.
  private mutating func welcome(_ connection: Int) -> [Action] {
    if let code = faults.closeCode {
      faults.closeCode = nil
      return close(connection, code: code, reason: "")
    }
    authenticated.append(connection)
    defer { waiting = [] }
    return waiting.flatMap { sending($0.job, $0.frame, to: connection) }
  }

  private mutating func record(_ update: StatusUpdate, frame: String, on connection: Int) -> [Action] {
    let (uuid, status) = ("\(update.job)", update.status.name)
    if let illness = faults.illness { return fail(uuid, status, illness, on: connection) }
    if let type = faults.nextAnswerError() {
      return [.report(.refused(connection, uuid: uuid, status: status, type: type))]
        + answer(connection, .refusing(type: type, message: "as asked for"))
    }
    guard let kept = jobs[update.job] else {
      return refuse(connection, uuid: uuid, status: status, .jobNotFound)
    }
    guard !kept.contains(JobStatusSet(update.status)) else {
      return [.report(.duplicate(connection, uuid: uuid, status: status, frame: frame))]
        + answer(connection, Refusal.integrityError.response)
    }
    jobs[update.job] = kept.union(JobStatusSet(update.status))
    rows += 1
    let report = [Action.report(.accepted(connection, uuid: uuid, status: status, frame: frame, row: rows))]
    let fault = faults.rowAccepted()
    if fault == .dropInPlaceOfAnswer { return report + drop(connection, reason: "before an answer, as asked for") }
    if update.metadataJSON == nil, update.status == .completed || update.status == .streamingReady {
      return report + drop(connection, reason: "\(status) with null metadata")
    }
    return report + answer(connection, .success)
      + (fault == .dropAfterAnswer ? drop(connection, reason: "after a row, as asked for") : [])
  }

  /// Takes an update that it does not keep.
  private mutating func fail(
    _ uuid: String, _ status: String, _ illness: Faults.Illness, on connection: Int
  ) -> [Action] {
    let report = [Action.report(.refused(connection, uuid: uuid, status: status, type: illness.rawValue))]
    switch illness {
    case .drops: return report + drop(connection, reason: "at an update, as asked for")
    case .closes: return report + close(connection, code: CloseCode.internalError, reason: "as asked for")
    case .garbles: return report + [.send(connection, Array(#"{"status":"perhaps"}"#.utf8))]
    }
  }

  private func answer(_ connection: Int, _ response: Response) -> [Action] {
    faults.neverAnswers ? [] : [.answer(connection, response)]
  }

  private func refuse(_ connection: Int, uuid: String?, status: String?, _ refusal: Refusal) -> [Action] {
    [.report(.refused(connection, uuid: uuid, status: status, type: refusal.rawValue))]
      + answer(connection, refusal.response)
  }

  private func refuseAuthentication(_ connection: Int, _ refusal: Refusal) -> [Action] {
    [
      .report(.authenticationRefused(connection, type: refusal.rawValue)),
      .answer(connection, refusal.response),
    ]
  }
}

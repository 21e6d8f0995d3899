import Decisions
import Messages

/// The facilitator as PROTOCOL.md has it: a row for each (job, status), and answers without ids, in order.
final class SimulatedFacilitator {
  struct JobRequest {
    var job: JobID
    var hash: [UInt8]
    var limitSeconds: Int
    var isForged: Bool
    /// What goes over the wire.
    var body: [UInt8] = [1, 2, 3]
  }

  struct Cheat {
    var hash: [UInt8]
    var body: [UInt8]
    var isForged: Bool
  }

  enum ToFacilitator {
    case authenticate
    /// With the number of its sending.
    case update(JobID, JobStatus, metadata: [UInt8]?, Int)
    case specs(MachineSpecs)
    case ping(UInt64)
  }

  enum FromFacilitator {
    case opened
    case answer(FacilitatorAnswer)
    case garbage
    case pong(UInt64)
    case job(JobRequest)
    case cheated(Cheat)
  }

  final class Connection {
    let line: Line<ToFacilitator, FromFacilitator>
    var isOpen = true
    var isAuthenticated = false
    /// It takes what comes and says nothing any more.
    var isSilent = false
    init(_ world: World) {
      line = Line(world, up: { [unowned world] in world.written($0) }, down: { [unowned world] in world.written($0) })
    }
  }

  struct Update: Hashable {
    var job: JobID
    var status: JobStatus
  }

  /// How it takes no update at all, although it authenticates.
  enum Illness: CaseIterable {
    /// Each update ends the connection.
    case cuts
    /// Each is refused: of a job that it does not know, or as one that it cannot read.
    case refuses, doesNotUnderstand
    /// Each is answered with something that is no answer.
    case garbles
    /// None is answered.
    case isSilent
  }

  private unowned let world: World
  private(set) var connection: Connection?
  private(set) var accepted: [JobID: [JobStatus]] = [:]
  /// What came with each of those.
  private(set) var metadata: [Update: [UInt8]] = [:]
  /// The version of each miner's specs that came last.
  private(set) var specs: [String: Int] = [:]
  private var rows: Set<Update> = []
  /// How often it still refuses an update that it will take in the end.
  private var refusals: [Update: Int] = [:]
  /// An update that it cannot take, and whether it drops the connection over it or answers with an error of no job.
  private var poison: (update: Update, cuts: Bool)?
  /// Requests that it has sent, in order.
  private(set) var requested: [JobRequest] = []
  /// Reports of cheating that it has sent, in order.
  private(set) var cheats: [Cheat] = []
  private var isAway = false
  private var illness: Illness?
  /// The updates that it took, or had already, by the numbers of their sending.
  private(set) var taken: [(number: Int, job: JobID)] = []

  init(_ world: World) { self.world = world }

  func connect(_ number: UInt64) -> Connection? {
    cut()
    guard !isAway else { return nil }
    let connection = Connection(world)
    self.connection = connection
    connection.line.up.attach { [weak self, weak connection] message in
      guard let self, let connection, connection.isOpen else { return }
      if let message { heard(message, connection) } else { connection.isOpen = false }
    }
    connection.line.down.send(.opened)
    return connection
  }

  /// Drops the connection. What was on its way may be lost with it.
  func cut() {
    guard let connection else { return }
    connection.isOpen = false
    if world.chance(2) { connection.line.down.lose() }
    connection.line.closeByServer()
    self.connection = nil
  }

  func leave(for time: Int64) {
    isAway = true
    cut()
    world.after(time) { [weak self] in self?.isAway = false }
  }

  /// Takes no update for a while.
  func fallIll(for time: Int64) {
    guard illness == nil else { return }
    illness = Illness.allCases.randomElement(using: &world.random)
    world.note("the facilitator is ill: \(illness.map { "\($0)" } ?? "")")
    world.after(time) { [weak self] in
      self?.illness = nil
      self?.world.note("the facilitator is well")
    }
  }

  func fallSilent() { connection?.isSilent = true }

  private func heard(_ message: ToFacilitator, _ connection: Connection) {
    guard !connection.isSilent else { return }
    func answer(_ answer: FacilitatorAnswer) { connection.line.down.send(.answer(answer)) }
    func error(_ type: String) { answer(.errors([FacilitatorError(type: type, message: "said so")])) }
    switch message {
    case .authenticate:
      if world.chance(world.faults.refusesAuthentication) { return error("auth.not_registered") }
      connection.isAuthenticated = true
      answer(.success)
    case .specs(let update):
      world.note("the facilitator hears version \(update.batchID) of \(update.minerHotkey)")
      specs[update.minerHotkey] = Int(update.batchID)
    case .ping(let number): connection.line.down.send(.pong(number))
    case .update(let job, let status, let metadata, let number):
      if let illness {
        switch illness {
        case .cuts: return cut()
        case .refuses: return error("job.not_found")
        case .doesNotUnderstand: return error("value_error")
        case .garbles: return connection.line.down.send(.garbage)
        case .isSilent:
          // Answers have no id: what it has left out it cannot make up for on this connection.
          connection.isSilent = true
          return
        }
      }
      if world.chance(world.faults.cutsBeforeRow) { return cut() }
      let update = Update(job: job, status: status)
      if poison == nil, !rows.contains(update), world.chance(world.faults.poison) { poison = (update, world.chance(2)) }
      let isPoison = poison?.update == update
      if isPoison, poison?.cuts == true { return cut() }
      if isPoison || world.chance(world.faults.foreignError) {
        return error("value_error")
      }
      if rows.contains(update) {
        taken.append((number, job))
        return error("job.integrity_error")
      }
      if refusals[update] == nil {
        refusals[update] = world.chance(world.faults.refusesUpdate) ? Int.random(in: 1...5, using: &world.random) : 0
      }
      if let left = refusals[update], left > 0 {
        refusals[update] = left - 1
        return error("job.not_found")
      }
      rows.insert(update)
      taken.append((number, job))
      accepted[job, default: []].append(status)
      self.metadata[update] = metadata
      world.note("the facilitator accepts \(status.name) of \(job)")
      if world.chance(world.faults.cutsAfterRow) { return cut() }
      if world.chance(world.faults.garbage) { return connection.line.down.send(.garbage) }
      answer(.success)
    }
  }

  /// Sends a request: a new one, one that it has sent before, or one with the signature of another.
  func request() {
    guard let connection, connection.isAuthenticated else { return }
    if world.chance(60) { flood(connection) }
    var request = request(isForged: world.chance(20))
    if let older = requested.randomElement(using: &world.random) {
      // What was turned away has ended for it.
      if world.chance(5), let rows = accepted[older.job], rows != [.rejected] { request = older }
      if world.chance(15) { request.isReplay(of: older) }
    }
    if let redis = world.redis, accepted[request.job] == nil, redis.messages[request.job] == nil, world.chance(6) {
      redis.leaveInFlight(.accepted, of: request.job)
    }
    requested.append(request)
    connection.line.down.send(.job(request))
  }

  /// Reports that somebody has cheated: a new report, or one that it has sent before.
  func reportCheat() {
    guard let connection, connection.isAuthenticated else { return }
    if let older = cheats.randomElement(using: &world.random), world.chance(4) {
      connection.line.down.send(.cheated(older))
      return
    }
    let isForged = world.chance(10)
    let number = UInt8(truncatingIfNeeded: cheats.count)
    var cheat = Cheat(hash: [number, 1], body: [number], isForged: isForged)
    if world.hasBytes {
      cheat.body = Signing.cheatReport(world.newJob(), timestamp: UInt64(number), isForged: isForged)
    }
    cheats.append(cheat)
    connection.line.down.send(.cheated(cheat))
  }

  private func request(isForged: Bool) -> JobRequest {
    var request = JobRequest(
      job: world.newJob(), hash: [UInt8(requested.count)], limitSeconds: .random(in: 5...100, using: &world.random),
      isForged: isForged)
    if world.hasBytes {
      request.body = Signing.request(
        request.job, limitSeconds: request.limitSeconds, timestamp: UInt64(requested.count), isForged: isForged)
    }
    return request
  }

  /// What it has asked for.
  func body(of job: JobID) -> [UInt8]? { requested.first { $0.job == job }?.body }

  /// Sends forged requests faster than they can be looked at.
  private func flood(_ connection: Connection) {
    var forged = request(isForged: true)
    if world.chance(2) { forged.body += Array(repeating: UInt8(ascii: " "), count: 8192) }
    for _ in 0..<Int.random(in: 300...800, using: &world.random) {
      var request = forged
      request.job = world.newJob()
      request.isReplay(of: forged)
      connection.line.down.send(.job(request))
    }
  }
}

extension SimulatedFacilitator.JobRequest {
  var bytes: Int { body.count }

  /// It has the signature of another.
  mutating func isReplay(of other: Self) {
    hash = other.hash
    body = Signing.request(other.body, of: other.job, as: job)
  }
}

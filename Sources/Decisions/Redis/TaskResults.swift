import Messages
import Redis

/// Looks, every few seconds, what has become of the tasks of jobs that run: one connection to the server where workers leave
/// their results, and one command for each job. Pure.
struct TaskResults: Sendable {
  enum Event: Sendable {
    case connected
    case reply(RedisReply)
    case lost(String)
  }

  enum Action: Sendable, Equatable {
    case connect
    case disconnect
    case send([RedisCommand])
    case log(LogPriority, String)
    /// The job's task has ended otherwise than well. Told each time it is seen.
    case ended(JobID, CommandExit)
  }

  /// A job is to end within twice this of its task's failure.
  private static let interval = Duration.seconds(5)
  /// How many are asked for at once; the others have their turn when these are answered.
  private static let batch = 1000

  private let server: RedisServer
  private var link = RedisLink<JobID>()
  private var dueAt: Instant
  /// Those of this round that have not been asked for yet, the next at the end.
  private var waiting: [JobID] = []
  private var unanswered = 0
  /// Tasks that have ended well: what they report is on its way, and nothing more is to be learned of them.
  private var succeeded: Set<JobID> = []
  private var isLost = false
  private var actions: [Action] = []

  init(_ server: RedisServer, at now: Instant) {
    self.server = server
    dueAt = now
  }

  mutating func handle(_ event: Event, at now: Instant, dice: inout Dice) -> [Action] {
    actions = []
    switch event {
    case .connected:
      send(link.connected(to: server, at: now) ?? [])
    case .reply(let reply): replied(reply, at: now, dice: &dice)
    case .lost(let reason): lost(reason, at: now, dice: &dice)
    }
    ask(at: now)
    return actions
  }

  /// Does what is due.
  ///
  /// - Parameter running: the jobs whose tasks may have ended; looked up only when a round begins.
  mutating func serve(at now: Instant, dice: inout Dice, running: () -> [JobID]) -> [Action] {
    actions = []
    if dueAt <= now {
      dueAt = now + Self.interval
      let jobs = running()
      succeeded.formIntersection(jobs)
      // A server that is slow has its time before it is asked again.
      if waiting.isEmpty, unanswered == 0 { waiting = jobs.filter { !succeeded.contains($0) }.reversed() }
      if waiting.isEmpty, unanswered == 0 { actions += rest() }
      if !waiting.isEmpty { link.want(at: now) }
    }
    while let demand = link.demand(at: now) {
      switch demand {
      case .connect: actions.append(.connect)
      case .ping: send([RedisCommand("PING")])
      case .drop(let reason):
        actions.append(.disconnect)
        lost(reason, at: now, dice: &dice)
      }
    }
    ask(at: now)
    return actions
  }

  /// Nothing is to be looked for now: the server is left alone.
  mutating func rest() -> [Action] {
    guard !isIdle else { return [] }
    link.end()
    waiting = []
    unanswered = 0
    return [.disconnect]
  }

  /// When `serve` is wanted next, as long as jobs run.
  var nextDeadline: Instant { min(dueAt, link.nextDeadline ?? dueAt) }

  private var isIdle: Bool { if case .idle = link.state { true } else { false } }

  private mutating func send(_ commands: [RedisCommand]) {
    if !commands.isEmpty { actions.append(.send(commands)) }
  }

  /// An answer has come. That it let us in says little: it may want a password first.
  private mutating func works() {
    link.settled()
    if isLost { actions.append(.log(.notice, "the results of tasks can be read again, at \(server)")) }
    isLost = false
  }

  private mutating func ask(at now: Instant) {
    guard link.isUp, unanswered == 0, !waiting.isEmpty else { return }
    let jobs = waiting.suffix(Self.batch).reversed()
    waiting.removeLast(jobs.count)
    unanswered = jobs.count
    for job in jobs { link.sent(.reply(job), at: now) }
    send(jobs.map { RedisCommand("GETRANGE", "celery-task-meta-\($0)", "0", "\(TaskResult.readBytes - 1)") })
  }

  private mutating func replied(_ reply: RedisReply, at now: Instant, dice: inout Dice) {
    let isAsked = link.isAsked
    let (job, _) = link.replied(at: now)
    // What lies there in another shape is no result.
    let isOther = job != nil && reply.refusal?.hasPrefix("WRONGTYPE") == true
    if let refusal = reply.refusal, !isOther {
      actions.append(.disconnect)
      return lost("it says \(refusal)", at: now, dice: &dice)
    }
    guard isAsked else {
      actions.append(.disconnect)
      return lost("it answers what it was not asked", at: now, dice: &dice)
    }
    guard let job else { return }
    works()
    unanswered -= 1
    switch TaskResult(reply.bytes ?? []) {
    case .none: break
    case .success: succeeded.insert(job)
    case .failed(let exit): actions.append(.ended(job, exit))
    }
  }

  private mutating func lost(_ reason: String, at now: Instant, dice: inout Dice) {
    let delay = link.lost(at: now, dice: &dice)
    waiting = []
    unanswered = 0
    // Said once: it is tried for as long as it takes.
    if !isLost {
      actions.append(
        .log(
          .warning,
          "the results of tasks cannot be read, at \(server): \(reason); the next attempt is in "
            + "\(delay.wholeMilliseconds) ms"))
    }
    isLost = true
  }
}

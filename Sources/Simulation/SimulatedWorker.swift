import Decisions
import DequeModule
import Messages

/// What reports a job's statuses, wherever.
protocol Reporter: AnyObject {
  func die()
}

/// What reports a job's statuses on its socket, and all it was told about them.
final class SimulatedWorker: Reporter {
  private unowned let world: World
  let job: JobID
  /// What it sends, in this order; a status twice is one whose answer it has not believed.
  private let script: [JobStatus]
  private var next = 0
  /// Sent on this connection and not answered.
  private var unanswered = Deque<JobStatus>()
  private var line: WorkerLine?
  private var refusals = 0
  private(set) var isOver = false
  /// What it has an acknowledgement for, in the order in which it sent it.
  private(set) var acknowledged: [JobStatus] = []
  private let done: (Bool) -> Void

  /// - Parameter done: is called when it has nothing more to say, or nobody to say it to.
  init(_ world: World, job: JobID, done: @escaping (Bool) -> Void) {
    self.world = world
    self.job = job
    self.done = done
    script = Self.script(world)
    world.after(world.latency()) { [weak self] in self?.turn() }
  }

  static func script(_ world: World) -> [JobStatus] {
    var script: [JobStatus] = []
    let middle: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone]
    for status in middle where !world.chance(4) { script.append(status) }
    if !world.chance(5) { script.append(world.chance(3) ? .failed : .completed) }
    if world.chance(8) { script.append(.streamingReady) }
    if world.chance(6), let again = script.randomElement(using: &world.random) { script.append(again) }
    return script
  }

  func die() {
    isOver = true
    line?.closeByClient()
    line = nil
  }

  /// Connects, sends, or finds that it has said everything.
  private func turn() {
    guard !isOver else { return }
    guard next < script.count || !unanswered.isEmpty else {
      die()
      return done(true)
    }
    if line == nil { connect() }
    while let line, next < script.count, unanswered.count < world.pipelining {
      let status = script[next]
      next += 1
      unanswered.append(status)
      line.up.send(.update(status, metadata: world.metadata(of: status, job)))
      if world.chance(4) { break }
    }
    if next < script.count { world.after(world.latency() * 20) { [weak self] in self?.turn() } }
  }

  private func connect() {
    guard let ingress = world.ingress(of: job), ingress.isOpen else {
      refusals += 1
      if world.storesSockets, world.record.jobs[job]?.phase == .dispatching {
        world.fail("a worker of \(job) is refused although systemd keeps the job's socket")
      }
      // Its socket is gone for good.
      if refusals > 60 {
        die()
        return done(false)
      }
      world.after(1_000_000_000) { [weak self] in self?.turn() }
      return
    }
    let line = WorkerLine(world, up: { [unowned world, job] in world.framed($0, of: job) })
    self.line = line
    line.down.attach { [weak self, weak line] answer in
      guard let self, !isOver, self.line === line else { return }
      if let answer { answered(answer) } else { lost() }
    }
    ingress.connect(line)
  }

  private func answered(_ answer: WorkerAnswer) {
    refusals = 0
    guard let status = unanswered.popFirst() else { return }
    if case .stored = answer, !acknowledged.contains(status) { acknowledged.append(status) }
    turn()
  }

  private func lost() {
    line?.closeByClient()
    line = nil
    // All of it again, in its order.
    next -= unanswered.count
    unanswered = []
    world.after(world.latency() * 50) { [weak self] in self?.turn() }
  }
}

/// A job's command as a process: a worker, or a launcher whose worker lives elsewhere.
final class SimulatedCommand: SimulatedProcess, CustomStringConvertible {
  let job: JobID
  private var reporter: (any Reporter)?
  private let ignoresTermination: Bool

  var description: String { "command of \(job)" }

  init(_ world: World, job: JobID) {
    self.job = job
    ignoresTermination = world.chance(5)
    super.init(world)
    if world.settings.tasks != nil {
      dispatch()
    } else if world.settings.commandIsLauncher {
      let fails = world.chance(10)
      if !fails { world.report(job) { _ in } }
      world.after(world.latency() * 10) { [weak self] in self?.end(.code(fails ? 1 : 0)) }
    } else {
      reporter = world.report(job) { [weak self] isDone in
        guard let self else { return }
        // Some never end by themselves.
        if isDone, self.world.chance(10) { return }
        self.world.after(self.world.latency() * 10) { [weak self] in self?.end(.code(isDone ? 0 : 1)) }
      }
      if world.chance(10) { world.after(world.latency() * 200) { [weak self] in self?.end(.signal(11)) } }
    }
  }

  /// Puts the job's task into the queue, unless the broker remembers it; or the broker is away; or it dies on the way, before
  /// or after that.
  private func dispatch() {
    let isAway = world.chance(4)
    let dies = world.chance(8)
    let hangs = world.chance(50)
    world.after(world.latency() * 10) { [weak self] in
      guard let self, isAlive, !hangs else { return }
      if dies, world.chance(2) { return end(.signal(9)) }
      guard !isAway else { return end(.code(75)) }
      if world.brokerTakes(job) { world.report(job) { _ in } }
      end(dies ? .signal(9) : .code(0))
    }
  }

  /// From the Supervisor.
  func terminate(_ signal: Int32) {
    if signal != 9, ignoresTermination { return }
    end(.signal(signal))
  }

  override func closeAll() {
    reporter?.die()
    world.commandEnds[job] = world.now
  }
}

import Decisions
import Messages

/// What reports a job's statuses through Redis, as an original worker does: one after the other, and each again until the
/// server has taken it.
final class SimulatedSender: Reporter {
  private unowned let world: World
  private let redis: SimulatedRedis
  let job: JobID
  private let script: [JobStatus]
  private var next = 0
  private var refusals = 0
  private var isOver = false
  private let done: (Bool) -> Void

  init(_ world: World, _ redis: SimulatedRedis, job: JobID, done: @escaping (Bool) -> Void) {
    self.world = world
    self.redis = redis
    self.job = job
    self.done = done
    // What an original receiver has taken of it before was sent already.
    let sent = Set(redis.messages[job]?.map(\.status) ?? [])
    script = SimulatedWorker.script(world).filter { !sent.contains($0) }
    world.after(world.latency()) { [weak self] in self?.turn() }
  }

  func die() { isOver = true }

  private func turn() {
    guard !isOver else { return }
    guard next < script.count else {
      die()
      return done(true)
    }
    let status = script[next]
    // On its way; its sender may die meanwhile.
    world.after(world.latency()) { [self] in
      let isTaken = redis.report(status, of: job)
      world.after(world.latency()) { self.answered(isTaken) }
    }
  }

  private func answered(_ isTaken: Bool) {
    guard !isOver else { return }
    guard isTaken else { return again() }
    refusals = 0
    // The answer was lost, and it goes again.
    if world.chance(30) { return again() }
    next += 1
    world.after(world.chance(4) ? world.latency() * 20 : 0) { [weak self] in self?.turn() }
  }

  private func again() {
    refusals += 1
    guard refusals <= 60 else {
      die()
      return done(false)
    }
    world.after(1_000_000_000) { [weak self] in self?.turn() }
  }
}

import Decisions
import Messages

/// One run of a hook, as a process: it takes one thing after the other, and may die on the way. Or it is what puts all of them
/// into a queue as tasks.
final class SimulatedHook: SimulatedProcess, CustomStringConvertible {
  let run: HookRun
  private let items: [TaskOrder.Task]
  private var next = 0
  private let ignoresTermination: Bool

  /// What all of them are of: a job, or the one cheat report.
  var lane: Substring? { items.first?.id.prefix(36) }

  var description: String { "\(run.hook.name) from \(run.first)" }

  init(_ world: World, _ run: HookRun, _ items: [TaskOrder.Task]) {
    self.run = run
    self.items = items
    ignoresTermination = world.chance(5)
    super.init(world)
    world.hooks.append(self)
    world.after(world.latency() * 10) { [weak self] in
      guard let self else { return }
      if self.world.hooksAreTasks { push() } else { turn() }
    }
  }

  private func turn() {
    guard runs else { return }
    if world.chance(world.faults.hookFails) { return end(.code(1)) }
    // It never ends by itself.
    if world.chance(world.faults.hookFails * 4) { return }
    guard next < items.count else { return end(.code(0)) }
    world.hooked(items[next])
    next += 1
    world.after(world.latency()) { [weak self] in self?.turn() }
  }

  /// Puts all of them into the queue in one script, each unless the broker remembers it; or the broker is away, or it dies
  /// on the way, before or after that.
  private func push() {
    guard runs, !world.chance(world.faults.hookFails * 4) else { return }
    let dies = world.chance(world.faults.hookFails)
    if dies, world.chance(2) { return end(.signal(9)) }
    if world.chance(world.faults.hookFails) {
      return end(.code(world.mutation == .hookTaskLost ? ExitCode.success : ExitCode.temporary))
    }
    for item in items { world.queued(item) }
    end(dies ? .signal(9) : .code(0))
  }

  func terminate(_ signal: Int32) {
    if signal != 9, ignoresTermination { return }
    end(.signal(signal))
  }
}

// What must be true of the hook once the world has been calm for an hour.
extension World {
  /// A hook gets this. An update's task is known by its job and status, a report's by the hash of its signature.
  func hooked(_ item: TaskOrder.Task) {
    if let job = JobID(String(item.id.prefix(36))) {
      hooked(job, JobStatus(name: String(item.id.dropFirst(37))))
    } else {
      note("the hook hears \(item.id)")
      cheatsHeard.insert(item.argument)
    }
  }

  /// Every report that was stored has come, as it was sent; and none that is forged.
  private func checkCheats() {
    guard settings.hasCheatHook else { return }
    if !record.cheats.isEmpty { fail("\(record.cheats.count) cheat reports still wait for the hook") }
    let due = Set(facilitator.cheats.filter { record.knowsCheat(hash(of: $0)) }.map(\.body))
    if cheatsHeard != due { fail("the hook was due \(due.count) cheat reports, and heard \(cheatsHeard.count)") }
    if due.count < record.everCheats.count { fail("cheat reports are on record that nobody has sent") }
  }

  /// Every update that was stored has come, for the first time in its place in the job's order.
  func checkHooks() {
    checkCheats()
    guard settings.hasStatusHook else { return }
    if !record.forHook.isEmpty { fail("\(record.forHook.count) updates still wait for the hook") }
    for job in record.jobs.keys.sorted() {
      let due = record.updates(of: job).filter {
        !mayLeaveOutHooks || record.everForHook.contains($0.entry.id)
      }
      .map(\.entry.status)
      let heard = heardByHook[job] ?? []
      if heard != due {
        fail(
          "the hook was due of \(job): \(due.map(\.name)); it heard first of each: \(heard.map(\.name))"
        )
      }
    }
  }
}

import Decisions
import Messages

/// One run of the hook for stored updates, as a process: it takes one after the other, and may die on the way.
final class SimulatedHook: SimulatedProcess, CustomStringConvertible {
  let run: HookRun
  private let items: [TaskOrder.Task]
  private var next = 0
  private let ignoresTermination: Bool

  /// All of them are of one job.
  var job: JobID? { items.first.flatMap { JobID(String($0.id.prefix(36))) } }

  var description: String { "hook from \(run.first)" }

  init(_ world: World, _ run: HookRun, _ items: [TaskOrder.Task]) {
    self.run = run
    self.items = items
    ignoresTermination = world.chance(5)
    super.init(world)
    world.hooks.append(self)
    world.after(world.latency() * 10) { [weak self] in self?.turn() }
  }

  private func turn() {
    guard runs else { return }
    if world.chance(world.faults.hookFails) { return end(.code(1)) }
    // It never ends by itself.
    if world.chance(world.faults.hookFails * 4) { return }
    guard next < items.count else { return end(.code(0)) }
    if let job { world.hooked(job, JobStatus(name: String(items[next].id.dropFirst(37)))) }
    next += 1
    world.after(world.latency()) { [weak self] in self?.turn() }
  }

  func terminate(_ signal: Int32) {
    if signal != 9, ignoresTermination { return }
    end(.signal(signal))
  }
}

// What must be true of the hook once the world has been calm for an hour.
extension World {
  /// Every update that was stored has come, for the first time in its place in the job's order.
  func checkHooks() {
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

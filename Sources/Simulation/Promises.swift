import Decisions
import Messages

// What must be true once the world has been calm for an hour, as seen from outside: what workers were told against
// what the facilitator has.
extension World {
  func checkPromises() {
    for worker in workers { check(worker) }
    for job in record.jobs.keys.sorted() { check(job) }
    for job in facilitator.accepted.keys.sorted() where record.jobs[job] == nil {
      if facilitator.accepted[job] != [.rejected] {
        fail("the facilitator has \(names(facilitator.accepted[job] ?? [])) of \(job), which is not on record")
      }
    }
    checkRedis()
    checkHooks()
    checkSpecs()
    if !record.waiting.isEmpty { fail("\(record.waiting.count) updates still wait") }
    guard let supervisor, let report = supervisor.report else { return fail("the Supervisor does not answer") }
    if report.count != 2 {
      fail("of jobs that are over there is left: \(report.dropFirst(2).map { "\($0.name) \($0.state)" })")
    }
    if supervisor.openIngress != 1 { fail("\(supervisor.openIngress - 1) sockets of closed jobs are left") }
  }

  private func names(_ statuses: [JobStatus]) -> String { statuses.map(\.name).joined(separator: " ") }

  /// What it has an acknowledgement for is with the facilitator, in its order; or was refused there once too often.
  private func check(_ worker: SimulatedWorker) {
    let updates = record.updates(of: worker.job)
    let dead = Set(updates.filter { record.everDead.contains($0.entry.id) }.map(\.entry.status))
    let acknowledged = worker.acknowledged.filter { !dead.contains($0) }
    let accepted = (facilitator.accepted[worker.job] ?? []).filter(acknowledged.contains)
    if accepted != acknowledged {
      fail(
        "acknowledged to the worker of \(worker.job): \(names(acknowledged)); accepted of that: \(names(accepted))")
    }
  }

  private func check(_ job: JobID) {
    let updates = record.updates(of: job)
    let accepted = facilitator.accepted[job] ?? []
    let stored = updates.map(\.entry.status)
    if stored.count(where: \.isTerminal) != 1 || stored.last?.isTerminal != true {
      return fail("\(job) has the statuses \(names(stored)): not one terminal status, as its last")
    }
    if Set(accepted).count != accepted.count { fail("of \(job) was accepted twice: \(names(accepted))") }
    if accepted.dropLast().contains(where: \.isTerminal) {
      fail("of \(job) something was accepted behind the terminal status: \(names(accepted))")
    }
    let inTurn = updates.filter { !record.everDead.contains($0.entry.id) }.map(\.entry.status)
    let found = accepted.filter(inTurn.contains)
    if found != inTurn { fail("stored of \(job): \(names(inTurn)); accepted: \(names(found))") }
    for update in updates where record.everDead.contains(update.entry.id) {
      let refused = facilitator.refused[.init(job: job, status: update.entry.status)] ?? 0
      // Refused four times, or alone in flight on three connections that were lost, after one that disagreed.
      if refused < 4, sends(job, update.entry.status) < 4 {
        fail("\(update.entry.status.name) of \(job) is a dead letter after \(refused) refusals")
      }
    }
    if record.jobs[job]?.phase != .closed { fail("\(job) is not closed") }
  }
}

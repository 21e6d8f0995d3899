import Decisions
import JSON
import Messages

// What must be true once the world has been calm for an hour, as seen from outside: what workers were told against
// what the facilitator has.
extension World {
  func checkPromises() {
    checkReloads()
    if let used = supervisor?.settings.uplink, !used.hasLimits(of: configured) {
      fail("the last reload has changed nothing: a window of \(used.window), and not of \(configured.window)")
    }
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

  /// All of a reload takes effect, or nothing: the Supervisor and Uplink have the same settings.
  func checkReloads() {
    guard let used = supervisor?.settings.uplink, let uplink = uplinks.last(where: \.accepts)?.settings else { return }
    if !uplink.hasLimits(of: used) {
      fail("the Supervisor has a window of \(used.window), and Uplink one of \(uplink.window)")
    }
  }

  private func names(_ statuses: [JobStatus]) -> String { statuses.map(\.name).joined(separator: " ") }

  /// Whether it is a dead letter, or was: then it may be missing, or be out of its place.
  private func isExcused(_ update: SimulatedRecord.Update) -> Bool { record.everDead.contains(update.entry.id) }

  /// What it has an acknowledgement for is with the facilitator, in its order; or was refused there while it took
  /// others.
  private func check(_ worker: SimulatedWorker) {
    let updates = record.updates(of: worker.job)
    let excused = Set(updates.filter(isExcused).map(\.entry.status))
    let acknowledged = worker.acknowledged.filter { !excused.contains($0) }
    let accepted = (facilitator.accepted[worker.job] ?? []).filter(acknowledged.contains)
    if accepted != acknowledged {
      fail(
        "acknowledged to the worker of \(worker.job): \(names(acknowledged)); accepted of that: \(names(accepted))")
    }
  }

  /// What a worker said with a status has come with it.
  private func checkMetadata(of job: JobID, _ accepted: [JobStatus]) {
    guard hasBytes else { return }
    let ours: [JobStatus] = [.received, .rejected, .hordeFailed]
    for status in accepted where !ours.contains(status) {
      let metadata = facilitator.metadata[.init(job: job, status: status)] ?? []
      let read = try? JSONValue.parse(metadata, limits: JSONLimits(bytes: metadata.count))
      if read?["miner_response"]?["docker_process_stdout"]?.stringValue != Self.word(status, job) {
        fail("with \(status.name) of \(job) came \(String(decoding: metadata, as: UTF8.self))")
      }
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
    let inTurn = updates.filter { !isExcused($0) }.map(\.entry.status)
    let found = accepted.filter(inTurn.contains)
    if found != inTurn { fail("stored of \(job): \(names(inTurn)); accepted: \(names(found))") }
    // Nothing else excuses it: four refusals, or three connections that were lost with it alone.
    for update in updates where isExcused(update) {
      let counted = attemptsWhileOthersWereTaken(job, update.entry.status)
      if counted < (update.entry.isRefusedForGood ? 4 : 3) {
        fail("\(update.entry.status.name) of \(job) is a dead letter; of its attempts others speak against \(counted)")
      }
    }
    if record.jobs[job]?.phase != .closed { fail("\(job) is not closed") }
    checkMetadata(of: job, accepted)
  }
}

extension UplinkSettings {
  /// Whether that which the world's reloads change is the same.
  fileprivate func hasLimits(of other: UplinkSettings) -> Bool {
    window == other.window && maxOpenJobs == other.maxOpenJobs && graceSeconds == other.graceSeconds
      && maxRows == other.maxRows
  }
}

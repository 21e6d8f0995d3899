import Decisions
import Messages

// What must be true of what was reported through Redis, once the world has been calm for an hour. That what is stored reaches
// the facilitator is looked at for all updates alike.
extension World {
  func checkRedis() {
    guard let redis else { return }
    for (job, sent) in redis.messages.sorted(by: { $0.key < $1.key }) where record.jobs[job] != nil {
      check(job, sent)
    }
    for job in lastListener.keys.sorted() { checkKeys(of: job, redis) }
  }

  /// What the server had taken while the job was open is on record, in its order.
  private func check(_ job: JobID, _ sent: [SimulatedRedis.Message]) {
    let stored = record.statuses(of: job)
    let lost = Set(sent.filter(\.isLost).map(\.status))
    for message in required(of: job, sent) where !lost.contains(message.status) && !stored.contains(message.status) {
      fail("redis had \(message.status.name) of \(job), and it is not on record")
    }
    var first: [JobStatus] = []
    for status in sent.map(\.status) where !lost.contains(status) && !first.contains(status) { first.append(status) }
    let inTurn = first.filter(stored.contains)
    let found = stored.filter(inTurn.contains)
    if found != inTurn {
      fail("sent through redis of \(job): \(inTurn.map(\.name)); stored in another order: \(found.map(\.name))")
    }
  }

  /// What nothing but the job's end could keep off the record.
  private func required(of job: JobID, _ sent: [SimulatedRedis.Message]) -> [SimulatedRedis.Message] {
    guard let last = record.updates(of: job).last?.entry else { return sent }
    if let terminal = sent.firstIndex(where: { $0.status == last.status }) { return Array(sent[...terminal]) }
    // That the command has exited comes behind what was sent before it. A deadline, a stop and a restart do not wait.
    let metadata = String(decoding: last.metadata ?? [], as: UTF8.self)
    guard metadata.contains("without a terminal status"), let end = commandEnds[job] else { return [] }
    return sent.filter { $0.at <= end }
  }

  /// A Listener that leaves takes its job's keys with it, unless the server was not to be had.
  private func checkKeys(of job: JobID, _ redis: SimulatedRedis) {
    guard let last = lastListener[job], last.redisWasWell else { return }
    for name in ["", "$inflight", "$aside"].map({ redis.key(of: job) + $0 }) {
      let left = redis.model.sets[name]?.filter { $0.score * 1_000_000_000 < Double(last.end) } ?? []
      if !left.isEmpty { fail("the key \(name) is left with \(left.count) members") }
    }
  }
}

import Glibc
import JSON
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing

extension EndToEnd {
  /// Workers that report through a real Redis as fast as it takes their messages, while processes are killed:
  /// HORDELINK_KILLS times, by default 20.
  @Suite struct RedisKills {
    private let kills = Int(ProcessTable.environment["HORDELINK_KILLS"] ?? "") ?? 20

    /// The core layer keeps what nobody reads: all of it arrives, in its order, and nothing is left behind.
    @Test func listenersKilledWhileSendersWriteLoseNothingOfTheCoreLayer() throws {
      try onRedis("core") { rehearsal, redis in
        var random = SplitMix64(state: testSeed("Listeners killed under the core layer"))
        let client = try RedisClient(socket: redis.socket)
        var (heard, killed, uplinks, waiting, jobs, messages) = (0, 0, 0, 0, 0, 0)
        while killed < kills {
          let started = try (0..<8).map { _ in try rehearsal.startJob() }
          var all = try started.map { job in
            try Reporting(job, .random(using: &random), to: redis) { client, job, report in
              try client.add(report.status, of: job, metadata: report.metadata)
              return 1
            }
          }
          var ended: Set<JobID> = []
          while ended.count < all.count {
            if killed < kills, let victim = try rehearsal.readyListeners(of: all).randomElement(using: &random),
              try client.waiting(all[victim.index].job) > 0
            {
              // What Uplink has not stored dies with both of them, and has to be in Redis still. Each further death of
              // Uplink within a minute is followed by a longer pause: a few are enough.
              if uplinks < 5, .random(in: 0..<3, using: &random) == 0, try rehearsal.killReadyUplink() { uplinks += 1 }
              guard ProcessTable.signal(victim.pid, SIGKILL) else { continue }
              killed += 1
              all[victim.index].kills += 1
              // Nobody has read any by now.
              if try client.waiting(all[victim.index].job) > 0 { waiting += 1 }
            }
            try rehearsal.facilitator.read(milliseconds: .random(in: 0...5, using: &random))
            ended.formUnion(rehearsal.jobsEnded(from: &heard))
          }
          for reporting in all {
            let sent = reporting.sent()
            #expect(sent.failure == nil && sent.messages.count == reporting.sequence.count)
            #expect(try rehearsal.acceptedReports(reporting.job) == reporting.sequence.firsts)
            messages += sent.messages.count
          }
          jobs += all.count
        }
        try rehearsal.until("the end of all keys") { _, _ in try redis.keys.isEmpty }
        print(
          "\(killed) Listeners killed, \(uplinks) with Uplink, \(waiting) while messages waited; "
            + "\(jobs) jobs, \(messages) messages")
      }
    }

    /// The pubsub layer keeps nothing. What a Listener that is not killed has heard arrives in its order, whoever else is.
    @Test func whatAListenerHasHeardOfThePubsubLayerArrivesWhoeverElseIsKilled() throws {
      try onRedis("pubsub") { rehearsal, redis in
        var random = SplitMix64(state: testSeed("others killed under the pubsub layer"))
        let publish: Reporting.Send = { try $0.publish($2.status, of: $1, metadata: $2.metadata) }
        var killed = 0
        var uplinks = 0
        var count = 0
        while killed < kills {
          let jobs = try (0..<6).map { _ in try rehearsal.startJob() }
          let reporting = try jobs.map { try Reporting($0, .random(using: &random), to: redis, publish) }
          let (spared, doomed) = (reporting[..<2], Array(reporting[2...]))
          var victims = try rehearsal.readyListeners(of: doomed).map(\.pid)
          // Each further death of Uplink within a minute is followed by a longer pause: a few are enough.
          if uplinks < 5 {
            victims.append(pid_t(try rehearsal.readyChild("uplink").pid))
            uplinks += 1
          }
          for pid in victims.shuffled(using: &random) {
            try rehearsal.facilitator.read(milliseconds: .random(in: 0...5, using: &random))
            if ProcessTable.signal(pid, SIGKILL) { killed += 1 }
          }
          for reporting in spared {
            let sent = reporting.sent()
            #expect(sent.failure == nil && sent.messages.count == reporting.sequence.count)
            #expect(sent.messages.allSatisfy { $0.heard == 1 }, "a Listener that nobody has killed was not subscribed")
            try rehearsal.until("the end of \(reporting.job)") { rehearsal, _ in rehearsal.hasEnded(reporting.job) }
            #expect(try rehearsal.acceptedReports(reporting.job) == reporting.sequence.firsts)
            count += sent.messages.count
          }
          for reporting in doomed {
            _ = reporting.sent()
            // Nobody may have heard of the end.
            try rehearsal.until("the end of \(reporting.job)") { rehearsal, _ in
              if !rehearsal.hasEnded(reporting.job) { try redis.publish(.completed, of: reporting.job) }
              return rehearsal.hasEnded(reporting.job)
            }
            let numbers = try rehearsal.acceptedReports(reporting.job).dropLast().map(\.number)
            #expect(numbers == numbers.sorted())
          }
        }
        print("\(killed) processes killed, \(uplinks) of them Uplink; \(count) messages to the Listeners that were not")
      }
    }
  }
}

/// One message of a sender. The same status may come often, and the first one counts.
private struct Report: Sendable, Hashable {
  var status: JobStatus
  /// Its place among the job's, which goes along in its metadata.
  var number: Int

  var metadata: MessagePackValue { .map([MessagePackPair(.string("number"), .string("\(number)"))]) }
}

extension [Report] {
  /// Every status many times over, the statuses in an order of the job's own; then the end, once.
  fileprivate static func random(using random: inout SplitMix64) -> [Report] {
    let statuses = (reported.dropLast() + [.streamingReady]).shuffled(using: &random)
    let all = statuses.flatMap { [JobStatus](repeating: $0, count: .random(in: 20...60, using: &random)) }
    return (all + [.completed]).enumerated().map { Report(status: $1, number: $0) }
  }

  /// The first of each status: what the facilitator is to accept.
  fileprivate var firsts: [Report] {
    var seen: Set<JobStatus> = []
    return filter { seen.insert($0.status).inserted }
  }
}

/// A job and its sender, a thread that sends each report as soon as Redis has taken the one before.
private struct Reporting {
  /// Sends one report; returns how many heard it.
  typealias Send = @Sendable (RedisClient, JobID, Report) throws -> Int64

  struct Sent: Sendable {
    var messages: [(report: Report, heard: Int64)] = []
    /// Why it did not go on.
    var failure: String?
  }

  let job: JobID
  let sequence: [Report]
  var kills = 0
  private let result = Mailbox<Sent>()

  init(_ job: JobID, _ sequence: [Report], to redis: RedisProcess, _ send: @escaping Send) throws {
    self.job = job
    self.sequence = sequence
    let (result, socket) = (result, redis.socket)
    try BackgroundThread.start {
      var sent = Sent()
      do {
        let client = try RedisClient(socket: socket)
        for report in sequence { sent.messages.append((report, try send(client, job, report))) }
      } catch {
        sent.failure = "\(error)"
      }
      result.put(sent)
      result.close()
    }
  }

  /// Waits until all of it is sent.
  func sent() -> Sent { result.takeUntilClosed().first ?? Sent() }
}

extension RedisClient {
  /// How many messages of a job the core layer keeps.
  fileprivate func waiting(_ job: JobID) throws -> Int64 { try command("ZCARD", Self.key(of: job)).integer ?? 0 }
}

extension Rehearsal {
  /// Kills Uplink if it is ready; returns whether it was.
  fileprivate func killReadyUplink() throws -> Bool {
    let uplink = try report()?.children.first { $0.name == "uplink" && $0.state == "ready" }
    return uplink.map { ProcessTable.signal(pid_t($0.pid), SIGKILL) } ?? false
  }

  /// Those that can be killed: a second death within a minute is followed by a pause, so one job has two at most.
  fileprivate func readyListeners(of reporting: [Reporting]) throws -> [(index: Int, pid: pid_t)] {
    let children = try report()?.children ?? []
    return reporting.indices.compactMap { index in
      let child = children.first { $0.name == "listener" && $0.job == reporting[index].job && $0.state == "ready" }
      return reporting[index].kills < 2 ? child.map { (index, pid_t($0.pid)) } : nil
    }
  }

  fileprivate func hasEnded(_ job: JobID) -> Bool { facilitator.accepted(job).last?.isTerminal ?? false }

  /// The jobs whose ends are among the facilitator's events from that one on.
  fileprivate func jobsEnded(from index: inout Int) -> Set<JobID> {
    let fresh = facilitator.events[index...]
    index = facilitator.events.count
    let ends = fresh.filter { $0.name == "accepted" && JobStatus(name: $0.text("status")).isTerminal }
    return Set(ends.compactMap { JobID($0.text("uuid")) })
  }

  /// What the facilitator has accepted of a job's reports, in order; `received` is none of them.
  fileprivate func acceptedReports(_ job: JobID) throws -> [Report] {
    try facilitator.accepted(job).dropFirst().map {
      Report(status: $0, number: Int(try metadata(job, $0)["number"]?.stringValue ?? "") ?? -1)
    }
  }
}

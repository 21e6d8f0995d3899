import Messages
import TestSupport
import Testing

@testable import Decisions

/// Uplink against everything around it at once: workers, exits, deadlines, a record that takes its time, a
/// facilitator that loses connections, and its own death.
@Suite struct UplinkModelTests {
  /// One job's side of the world, which outlives any Uplink.
  private struct Worker {
    /// What it sends, in this order, each until it is acknowledged.
    var script: [JobStatus]
    var acknowledged: [JobStatus] = []
    var listener: UInt64?
    var number: UInt64 = 0
    var inFlight = false
    var exited = false
    var exitTold = false
  }

  private final class World {
    var random: SplitMix64
    let uplink: UplinkUnderTest
    var facilitator = FacilitatorModel()
    var workers: [JobID: Worker] = [:]
    var started: Set<JobID> = []
    var nextListener: UInt64 = 0
    var jobs = 0
    var connected = false

    init(seed: UInt64) {
      random = SplitMix64(state: seed)
      uplink = UplinkUnderTest(.test(graceSeconds: 50, window: .random(in: 1...4, using: &random)))
    }

    func take(_ actions: [UplinkCore.Action]) {
      for action in actions {
        switch action {
        case .send(let job, let status, _): facilitator.receive(job, status)
        case .disconnect:
          facilitator.disconnect()
          connected = false
        case .toListener(let id, .stored(let number)):
          guard let job = workers.first(where: { $0.value.listener == id.number })?.key, let worker = workers[job],
            worker.inFlight, worker.number == number.number
          else { continue }
          workers[job]?.inFlight = false
          workers[job]?.acknowledged.append(worker.script[worker.acknowledged.count])
        case .toListener(let id, .refused):
          // The job has ended without it: it gives up.
          guard let job = workers.first(where: { $0.value.listener == id.number })?.key else { continue }
          workers[job]?.inFlight = false
          let acknowledged = workers[job]?.acknowledged ?? []
          workers[job]?.script = acknowledged
        case .toSupervisor(.dispatch(let job, _, _)):
          #expect(started.insert(job).inserted, "its command is started twice")
        case .toSupervisor(.exitStored(let job)): workers[job]?.exitTold = true
        case .toSupervisor(.openJob(let open)) where open.phase == .dispatching:
          take(uplink.supervisor(.commandKnowledge(open.job, started.contains(open.job) ? .started : .neverStarted)))
        default: break
        }
      }
    }

    func killed() {
      facilitator.disconnect()
      connected = false
      for job in workers.keys {
        workers[job]?.listener = nil
        workers[job]?.inFlight = false
      }
      let asked = uplink.waiting.count
      take(uplink.restart(durable: .random(in: 0...asked, using: &random)))
    }

    func step(calm: Bool) {
      let pick = workers.keys.sorted().randomElement(using: &random)
      switch Int.random(in: 0..<(calm ? 16 : 20), using: &random) {
      case 0...2: take(uplink.settleOne())
      case 3:
        guard !connected else { break }
        uplink.pass(31)
        take(uplink.does(.timeReached))
        take(uplink.does(.opened(connection: uplink.connection)))
        if !uplink.core.session.isReady { take(uplink.does(.answered(.success, connection: uplink.connection))) }
        connected = uplink.core.session.isReady
      case 4, 5: _ = facilitator.work()
      case 6, 7: if connected, let answer = facilitator.answer() { take(uplink.facilitator(answer)) }
      case 8:
        guard let job = pick, workers[job]?.listener == nil else { break }
        nextListener += 1
        workers[job]?.listener = nextListener
        take(uplink.listener(nextListener, .hello(job), generation: nextListener))
        take(uplink.supervisor(.listenerReady(job, Generation(nextListener))))
      case 9...12:
        guard let job = pick, var worker = workers[job], let listener = worker.listener, !worker.inFlight,
          started.contains(job), worker.acknowledged.count < worker.script.count
        else { break }
        worker.number += 1
        worker.inFlight = true
        workers[job] = worker
        take(uplink.update(listener, worker.number, worker.script[worker.acknowledged.count]))
      case 13:
        guard let job = pick, let worker = workers[job], let listener = worker.listener, started.contains(job),
          !worker.inFlight, calm ? worker.acknowledged.count == worker.script.count : true, !worker.exitTold
        else { break }
        workers[job]?.exited = true
        workers[job]?.script = worker.acknowledged
        take(uplink.listener(listener, .commandExited(CommandExit(code: 0, signal: nil)), generation: listener))
      case 14: take(uplink.does(.timeReached))
      case 15: if calm { uplink.pass(1) }
      case 16:
        guard jobs < 4 else { break }
        jobs += 1
        var script = Array(JobStatus.allCases.shuffled(using: &random).prefix(.random(in: 0...6, using: &random)))
        if let end = script.firstIndex(where: \.isTerminal) { script = Array(script[...end]) }
        workers[job(jobs)] = Worker(script: script)
        take(uplink.request(job(jobs), limitSeconds: 10))
      case 17:
        facilitator.disconnect()
        if connected { take(uplink.does(.lost(reason: "cut", connection: uplink.connection))) }
        connected = false
      case 18:
        switch Int.random(in: 0...3, using: &random) {
        case 0: uplink.pass(40)
        case 1: if let pick, started.contains(pick) { take(uplink.supervisor(.dispatchFailed(pick, reason: "x"))) }
        case 2:
          guard let pick, let listener = workers[pick]?.listener else { break }
          workers[pick]?.listener = nil
          workers[pick]?.inFlight = false
          take(uplink.does(.listenerGone(ConnectionID(listener))))
        default: break
        }
      default: if Int.random(in: 0...4, using: &random) == 0 { killed() }
      }
    }
  }

  @Test func everyJobEndsInExactlyOneTerminalStatusAndAllOfItArrivesInOrder() {
    let seed = testSeed("Uplink model")
    for round in 0..<300 as Range<UInt64> {
      let world = World(seed: seed &+ round)
      for _ in 0..<Int.random(in: 50...800, using: &world.random) { world.step(calm: false) }
      // The world calms down: every worker ends, the facilitator stays.
      var steps = 0
      func isOver() -> Bool {
        world.uplink.waiting.isEmpty && world.uplink.record.queued.isEmpty
          && world.uplink.record.jobs.allSatisfy { job, stored in
            stored.phase == .closed || world.uplink.record.dead.contains { $0.job == job && $0.status.isTerminal }
          }
      }
      while !isOver(), steps < 50_000 {
        world.step(calm: true)
        steps += 1
      }
      let record = world.uplink.record
      let shown: Comment = "seed \(seed), round \(round)"
      #expect(isOver(), shown)
      for (job, worker) in world.workers where record.jobs[job] != nil {
        let statuses = record.statuses(of: job)
        #expect(statuses.count { $0.isTerminal } == 1, shown)
        #expect(statuses.last?.isTerminal == true, shown)
        // What the worker has an acknowledgement for is there, in the order in which it sent it.
        let acknowledged = worker.acknowledged.filter { $0 != .received }
        #expect(statuses.filter { acknowledged.contains($0) } == acknowledged, shown)
        // The facilitator has all of it, in that order, each once.
        // But what chance has made look like the end of connections, alone in flight at each: a dead letter.
        let dead = record.dead.filter { $0.job == job }.map(\.status)
        #expect(
          world.facilitator.accepted(of: job).filter { !dead.contains($0) }
            == statuses.filter { !dead.contains($0) }, shown)
      }
      #expect(world.uplink.dispatched.count == Set(world.uplink.dispatched).count, shown)
    }
  }
}

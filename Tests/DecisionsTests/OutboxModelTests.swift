import Messages
import TestSupport
import Testing

@testable import Decisions

/// The outbox against a facilitator that loses connections, refuses and does not understand.
@Suite struct OutboxModelTests {
  private struct Run {
    var random: SplitMix64
    var outbox: Outbox
    var facilitator = FacilitatorModel()
    var coming: [OutboxEntry] = []
    var delivered: [OutboxEntry] = []
    var dead: [OutboxEntry] = []
    /// Given up on since connections ended with it alone in flight, as chance may have it.
    var buried: Set<FacilitatorModel.Update> = []
    private var others = 0
    var now = at(0)

    init(seed: UInt64) {
      random = SplitMix64(state: seed)
      outbox = Outbox(window: .random(in: 1...9, using: &random))
      outbox.connected(at: now)
      let jobs = (1...Int.random(in: 1...8, using: &random)).map { job($0) }
      var left = jobs.map {
        ($0, Array(JobStatus.allCases.shuffled(using: &random).prefix(.random(in: 1...12, using: &random))))
      }
      while let lane = left.indices.filter({ !left[$0].1.isEmpty }).randomElement(using: &random) {
        let status = left[lane].1.removeFirst()
        coming.append(entry(Int64(coming.count + 1), left[lane].0, status))
      }
      for entry in coming {
        let update = FacilitatorModel.Update(job: entry.job, status: entry.status)
        switch Int.random(in: 0..<20, using: &random) {
        case 0: facilitator.poison.insert(update)
        case 1, 2: facilitator.refusals[update] = .random(in: 1...3, using: &random)
        default: break
        }
      }
    }

    /// Does one thing that can happen; `calm` leaves out what goes wrong.
    mutating func step(calm: Bool) {
      now = now + .milliseconds(calm ? 4000 : .random(in: 0...3000, using: &random))
      switch Int.random(in: 0..<(calm ? 9 : 10), using: &random) {
      case 0: if !coming.isEmpty { outbox.enqueue(coming.removeFirst()) }
      case 1...3: if let entry = outbox.next(at: now) { facilitator.receive(entry.job, entry.status) }
      case 4...6: _ = facilitator.work()
      case 7, 8: if let answer = facilitator.answer() { take(outbox.answered(answer, at: now)) }
      default: lose(.lost)
      }
    }

    private mutating func take(_ outcome: Outbox.Outcome) {
      switch outcome {
      case .delivered(let entry, _): if entry.job < job(100) { delivered.append(entry) }
      case .retry: break
      case .ephemeral: Issue.record("nothing ephemeral was sent")
      case .disagreement: lose(.disagreement)
      }
      for case .dead(let entry, let failure) in outbox.takeJudged() {
        dead.append(entry)
        outbox.buried(entry.job)
        if failure == .lost { buried.insert(FacilitatorModel.Update(job: entry.job, status: entry.status)) }
      }
    }

    private mutating func lose(_ loss: Outbox.Loss) {
      facilitator.disconnect()
      outbox.connectionLost(loss, at: now)
      outbox.connected(at: now)
    }

    /// An update of a job of its own, without which nothing speaks against the last that are left.
    mutating func another() {
      others += 1
      outbox.enqueue(entry(Int64(1_000_000 + others), job(100 + others), .received))
    }
  }

  @Test func everyUpdateArrivesOnceAndInItsJobsOrder() {
    let seed = testSeed("Outbox model")
    for round in 0..<400 as Range<UInt64> {
      var run = Run(seed: seed &+ round)
      let all = run.coming
      for _ in 0..<Int.random(in: 0...600, using: &run.random) { run.step(calm: false) }
      var steps = 0
      while run.outbox.count > 0 || !run.coming.isEmpty, steps < 100_000 {
        run.step(calm: true)
        steps += 1
        if run.outbox.retrying > 0, steps % 50 == 0 { run.another() }
      }
      let shown: Comment = "seed \(seed), round \(round)"
      #expect(run.outbox.count == 0 && run.outbox.bytes == 0 && run.outbox.inFlight == 0, shown)
      // Nothing is lost: each is delivered or dead, once.
      #expect((run.delivered + run.dead).map(\.id).sorted() == all.map(\.id), shown)
      // Only what was never understood is dead, and all of it.
      #expect(
        Set(run.dead.map { FacilitatorModel.Update(job: $0.job, status: $0.status) })
          == run.facilitator.poison.union(run.buried), shown)
      for job in Set(all.map(\.job)) {
        let expected = all.filter { entry in entry.job == job && !run.dead.contains { $0.id == entry.id } }
          .map(\.status)
        let accepted = run.facilitator.accepted(of: job).filter { status in
          !run.buried.contains(FacilitatorModel.Update(job: job, status: status))
        }
        #expect(accepted == expected, shown)
        #expect(run.delivered.filter { $0.job == job }.map(\.status) == expected, shown)
      }
    }
  }
}

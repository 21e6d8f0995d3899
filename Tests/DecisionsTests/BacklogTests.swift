import Messages
import Testing

@testable import Decisions

/// More in the record than memory holds, and what is in memory fails.
@Suite struct BacklogTests {
  /// Jobs of which each has two updates in the record: first all the first ones, then all the second ones.
  private func stored(_ jobs: Range<Int>) -> RecordModel {
    var record = RecordModel()
    for number in jobs {
      record.carryOut(
        .insertJob(
          NewJob(
            job: job(number), receivedAt: WallTime(milliseconds: 0), body: [], signatureHash: nil, limitSeconds: 1)))
    }
    var id: Int64 = 0
    for status in [JobStatus.received, .accepted] {
      for number in jobs {
        id += 1
        record.carryOut(.insertUpdate(entry(id, job(number), status)))
      }
    }
    return record
  }

  private final class Line {
    let uplink: UplinkUnderTest
    var facilitator = FacilitatorModel()
    private(set) var seconds = 0

    init(_ uplink: UplinkUnderTest) { self.uplink = uplink }

    func take(_ actions: [UplinkCore.Action]) {
      for update in actions.sent { facilitator.receive(update.job, update.status) }
    }

    /// Everything that can happen at once, and then a second passes.
    func second() {
      while !facilitator.isIdle || !uplink.waiting.isEmpty {
        _ = facilitator.work()
        if let answer = facilitator.answer() { take(uplink.facilitator(answer)) }
        take(uplink.settle())
        #expect(uplink.core.outbox.count <= 2 * UplinkCore.pageSize)
      }
      seconds += 1
      #expect(uplink.core.session.isReady, "\(uplink.core.session.lastLoss)")
      uplink.pass(1)
      take(uplink.does(.ponged(0, connection: uplink.connection)))
      take(uplink.does(.timeReached))
    }
  }

  /// The facilitator has forgotten the jobs that are first in the record, and knows those behind them.
  @Test func whatFailsKeepsOutNothingThatIsBehindIt() {
    let uplink = UplinkUnderTest(.test(window: 100), record: stored(1..<3010))
    let line = Line(uplink)
    let forgotten = 1..<3000
    for number in forgotten {
      line.facilitator.refusals[.init(job: job(number), status: .received)] = 1_000_000
    }
    line.take(uplink.connect())
    while line.facilitator.accepted.isEmpty, line.seconds < 300 { line.second() }
    #expect(line.seconds < 100)
    // What comes meanwhile is not kept out either.
    line.take(uplink.request(job(9000)))
    line.take(uplink.settle())
    while line.facilitator.accepted(of: job(9000)).isEmpty, line.seconds < 300 { line.second() }
    // It remembers them after all: everything arrives, in order, but for what it refused while it took others.
    for number in forgotten { line.facilitator.refusals[.init(job: job(number), status: .received)] = 0 }
    let began = line.seconds
    while uplink.record.queuedCount > 0, line.seconds < began + 300 { line.second() }
    #expect(uplink.record.queuedCount == 0, "\(uplink.record.queuedCount) after \(line.seconds) s")
    let dead = Set(uplink.record.dead.map(\.job))
    let wrong = (1..<3010).map { job($0) }.filter {
      !dead.contains($0) && line.facilitator.accepted(of: $0) != [.received, .accepted]
    }
    #expect(wrong.isEmpty)
    #expect(uplink.core.queued == 0)
  }

  /// While nothing gets through, each is tried again at its intervals and nothing is given up on.
  @Test func anOutageWithALongBacklogBuriesNothing() {
    let uplink = UplinkUnderTest(.test(window: 100), record: stored(1..<2000))
    let line = Line(uplink)
    for number in 1..<2000 { line.facilitator.refusals[.init(job: job(number), status: .received)] = 1_000_000 }
    line.take(uplink.connect())
    while line.seconds < 240 { line.second() }
    #expect(uplink.record.dead.isEmpty && line.facilitator.accepted.isEmpty)
    for number in 1..<2000 { line.facilitator.refusals[.init(job: job(number), status: .received)] = 0 }
    while uplink.record.queuedCount > 0, line.seconds < 600 { line.second() }
    #expect(uplink.record.queuedCount == 0 && uplink.record.dead.isEmpty, "after \(line.seconds) s")
    let wrong = (1..<2000).map { job($0) }.filter { line.facilitator.accepted(of: $0) != [.received, .accepted] }
    #expect(wrong.isEmpty)
  }
}

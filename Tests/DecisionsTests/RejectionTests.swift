import Messages
import Testing

@testable import Decisions

/// Requests that are not taken: their answers are not on record, and neither they nor lines about them grow without bound.
@Suite struct RejectionTests {
  private func uplink(window: Int) -> UplinkUnderTest {
    let uplink = UplinkUnderTest(.test(window: window))
    uplink.connect()
    return uplink
  }

  @Test func rejectionsTakeAQuarterOfTheWindowAndUpdatesTheRest() {
    let uplink = uplink(window: 8)
    for number in 1...20 { uplink.request(job(number), refusal: "forged") }
    #expect(uplink.core.outbox.inFlight == 2)
    // Acknowledged updates are not held up by them.
    for number in 21...30 { uplink.request(job(number)) }
    uplink.settle()
    #expect(uplink.core.outbox.inFlight == 8)
    // As answers come, the others follow, until all is told.
    var sent: [FacilitatorModel.Update] = []
    while uplink.core.outbox.inFlight > 0 {
      sent += uplink.facilitator(.success).sent
      uplink.settle()
    }
    #expect(Set(sent.filter { $0.status == .rejected }.map(\.job)) == Set((3...20).map { job($0) }))
    #expect(uplink.record.queued.isEmpty && uplink.record.jobs.count == 10)
  }

  @Test func beyondABoundARequestThatIsNotTakenIsNotAnswered() {
    let uplink = uplink(window: 1)
    var lines = 0
    for number in 1...(3 * IntakeBounds.rejections) {
      lines += uplink.request(job(number), refusal: "forged").count { if case .log = $0 { true } else { false } }
    }
    #expect(uplink.core.rejections.count == IntakeBounds.rejections)
    #expect(lines <= LineLimit.complaints.burst)
    #expect(uplink.record.jobs.isEmpty)
  }

  @Test func aRejectionThatWaitsIsNotSentOnceTheTrueRequestHasCome() {
    let uplink = uplink(window: 1)
    uplink.request(job(1), refusal: "forged")
    uplink.request(job(2), refusal: "forged")
    uplink.request(job(2))
    uplink.settle()
    uplink.facilitator(.success)
    uplink.settle()
    uplink.facilitator(.success)
    uplink.settle()
    #expect(uplink.core.rejections.count == 0 && uplink.core.outbox.inFlight == 0)
    #expect(uplink.record.statuses(of: job(2)) == [.received] && !uplink.busyJobs.contains(job(2)))
  }

  @Test func oneRejectionWaitsForAJobHoweverOftenItIsForged() {
    let uplink = uplink(window: 1)
    for _ in 1...10 {
      uplink.request(job(1), refusal: "forged")
      uplink.request(job(2), refusal: "forged")
    }
    #expect(uplink.core.rejections.count <= 2)
  }

  @Test func whatWaitsOnALostConnectionIsForgotten() {
    let uplink = uplink(window: 1)
    for number in 1...5 { uplink.request(job(number), refusal: "forged") }
    uplink.does(.lost(reason: "gone", connection: uplink.connection))
    #expect(uplink.core.rejections.count == 0)
  }

  // MARK: Bytes

  @Test func theRequestsOfOpenJobsHaveABoundTogether() {
    let uplink = UplinkUnderTest(.test(maxOpenJobs: 100, maxRequestBytes: 65_536))
    uplink.connect()
    // 32 of the largest.
    for number in 1...40 { uplink.request(job(number), bytes: 65_536) }
    uplink.settle()
    #expect(uplink.record.jobs.count == 32 && uplink.busyJobs.count == 8)
    uplink.listener(1, .hello(job(1)))
    uplink.update(1, 1, .completed)
    uplink.settle()
    uplink.request(job(41), bytes: 65_536)
    uplink.settle()
    #expect(uplink.record.jobs.count == 33)
  }

  @Test func soManyRequestsAreOnTheWayToTheirCommandsAtOnce() {
    let uplink = UplinkUnderTest()
    let size = 1 << 20
    for number in 1...10 { uplink.request(job(number), bytes: size) }
    uplink.settle()
    for number in 1...10 { uplink.supervisor(.listenerReady(job(number), Generation(1))) }
    uplink.settle()
    #expect(uplink.dispatched.count == BodiesOnTheWay.most / size)
    // Each that has arrived makes room for the next, whatever has become of it.
    uplink.supervisor(.commandStarted(uplink.dispatched[0], CommandRecord(pid: 1, startTime: 1, bootID: "b")))
    uplink.supervisor(.dispatchFailed(uplink.dispatched[1], reason: "no such file"))
    uplink.listener(1, .hello(uplink.dispatched[2]))
    uplink.update(1, 1, .completed)
    uplink.settle()
    #expect(uplink.dispatched.count == BodiesOnTheWay.most / size + 3)
    // A delayed one makes room until its next attempt, and waits for its turn then.
    let delayed = uplink.dispatched[3]
    uplink.supervisor(.dispatchDelayed(delayed, reason: "the broker is away"))
    uplink.settle()
    #expect(uplink.dispatched.count == BodiesOnTheWay.most / size + 4)
    uplink.supervisor(.commandKnowledge(delayed, .neverStarted))
    uplink.supervisor(.dispatchDelayed(uplink.dispatched[4], reason: "the broker is away"))
    uplink.supervisor(.dispatchDelayed(uplink.dispatched[5], reason: "the broker is away"))
    uplink.settle()
    #expect(Array(uplink.dispatched.dropFirst(BodiesOnTheWay.most / size + 4)) == [job(9), job(10)])
    uplink.supervisor(.dispatchDelayed(job(9), reason: "the broker is away"))
    uplink.settle()
    #expect(uplink.dispatched.last == delayed)
  }

  @Test func aRequestLargerThanTheBoundGoesAlone() {
    var bodies = BodiesOnTheWay()
    bodies.want(job(1), bytes: 2 * BodiesOnTheWay.most)
    bodies.want(job(2), bytes: 1)
    bodies.want(job(1), bytes: 2 * BodiesOnTheWay.most)
    #expect(bodies.next() == job(1) && bodies.next() == nil)
    bodies.arrived(job(1))
    #expect(bodies.next() == job(2) && bodies.next() == nil)
  }

  // MARK: Expiry

  @Test(arguments: [30 * 86_400, 0]) func signaturesAreKeptForAsLongAsTheyCouldBeAccepted(seconds: Int) {
    let uplink = UplinkUnderTest(.test(maxAgeSeconds: seconds))
    uplink.now.wall = WallTime(milliseconds: 2_000_000_000_000)
    uplink.pass(4000)
    let before = uplink.does(.timeReached).compactMap { action in
      if case .expire(_, let forgotten, _) = action { forgotten } else { nil }
    }
    let expected = seconds == 0 ? Int64.min : uplink.now.wall.milliseconds - 90 * 86_400_000
    #expect(before.map(\.milliseconds) == [expected])
  }
}

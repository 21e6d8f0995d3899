import Messages
import Testing

@testable import Decisions

private let one = ConnectionID(1)

/// A full record: who waits, who is turned away, and that every job can still end.
@Suite struct RecordRoomTests {
  /// Room for four rows: `received` and the reserved end of one job, and two updates more.
  private func full() -> UplinkUnderTest {
    let uplink = UplinkUnderTest(.test(maxRows: 4))
    uplink.run(job(1))
    uplink.update(1, 1, .accepted)
    uplink.update(1, 2, .executorReady)
    uplink.settle()
    return uplink
  }

  private func answers(_ actions: [UplinkCore.Action]) -> [UplinkToListener] {
    actions.compactMap { if case .toListener(one, let message) = $0 { message } else { nil } }
  }

  @Test func anUpdateThatDoesNotFitHasNoAnswerUntilItDoes() {
    let uplink = full()
    #expect(answers(uplink.update(1, 3, .volumesReady)) == [.hold])
    // What was under way is not heard either, or it would overtake the one that waits.
    #expect(answers(uplink.update(1, 4, .executionDone)).isEmpty)
    #expect(answers(uplink.settle()).isEmpty)
    #expect(uplink.core.state(at: uplink.now).full == "record")
    uplink.connect()
    #expect(answers(uplink.facilitator(.success)) == [.resume])
    #expect(answers(uplink.update(1, 4, .executionDone)).isEmpty)
    #expect(answers(uplink.listener(1, .hello(job(1)))) == [.welcome(ended: false)])
    uplink.update(1, 3, .volumesReady)
    #expect(answers(uplink.settle()) == [.stored(SequenceNumber(3))])
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted, .executorReady, .volumesReady])
  }

  @Test func aFullRecordTurnsJobsAwayAndStoresNothingOfThem() {
    let uplink = full()
    uplink.connect()
    let effects = uplink.request(job(2)).effects
    #expect(effects.count == 1)
    guard case .send(job(2), .rejected, metadata: .some(let metadata)) = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(String(decoding: metadata, as: UTF8.self).contains(#""reason":"busy""#))
    // Nor does a forged one get a row.
    #expect(uplink.request(job(3), refusal: "forged").effects.count == 1)
    #expect(uplink.record.jobs.count == 1)
  }

  @Test func theRoomForItsEndIsSetAsideWhenAJobIsAccepted() {
    let uplink = full()
    let end = uplink.update(1, 3, .completed)
    #expect(answers(end).isEmpty)
    #expect(answers(uplink.settle()) == [.stored(SequenceNumber(3)), .ended])
    #expect(uplink.record.updates.count == 4)
  }

  /// A held worker that never comes to its turn: the job ends by its deadline, and the worker is told.
  @Test func aHeldJobEndsByItsDeadline() {
    let uplink = full()
    uplink.update(1, 3, .volumesReady)
    uplink.pass(701)
    let told = answers(uplink.does(.timeReached)) + answers(uplink.settle())
    #expect(told == [.resume, .ended])
    #expect(uplink.record.statuses(of: job(1)).last == .hordeFailed)
    uplink.listener(1, .hello(job(1)))
    #expect(
      answers(uplink.update(1, 3, .volumesReady)).first.map { if case .refused = $0 { true } else { false } } == true)
  }

  @Test func whoWaitsIsNotOvertakenByWhoAsksForLess() {
    let uplink = UplinkUnderTest(.test(maxRows: 1000, maxBytes: 200_000))
    uplink.run(job(1), listener: 1)
    uplink.run(job(2), listener: 2)
    let large = [UInt8](repeating: 0x20, count: 100_000)
    uplink.update(1, 1, .accepted, metadata: large)
    uplink.settle()
    #expect(uplink.update(2, 1, .accepted, metadata: large).effects == [.toListener(ConnectionID(2), .hold)])
    #expect(uplink.update(1, 2, .executorReady).effects == [.toListener(one, .hold)])
    uplink.connect()
    var told: [UplinkCore.Action] = []
    for _ in 0..<4 {
      told += uplink.facilitator(.success)
      uplink.settle()
    }
    let resumed = told.filter { if case .toListener(_, .resume) = $0 { true } else { false } }
    #expect(resumed == [.toListener(ConnectionID(2), .resume), .toListener(one, .resume)])
  }

  /// The record holds two large updates. Whoever was told to begin again is not held behind one that still waits, and
  /// nobody comes in between.
  @Test func whoHasComeToItsTurnIsHeldBehindNobody() {
    let uplink = UplinkUnderTest(.test(maxRows: 1000, maxBytes: 350_000))
    for number in 1...4 { uplink.run(job(number), listener: UInt64(number)) }
    func large(_ bytes: Int) -> [UInt8] { [UInt8](repeating: 0x20, count: bytes) }
    func told(_ listener: UInt64, _ actions: [UplinkCore.Action]) -> [UplinkToListener] {
      actions.compactMap { if case .toListener(ConnectionID(listener), let message) = $0 { message } else { nil } }
    }
    uplink.update(1, 1, .accepted, metadata: large(100_000))
    uplink.update(2, 1, .accepted, metadata: large(90_000))
    uplink.settle()
    #expect(told(3, uplink.update(3, 1, .accepted, metadata: large(80_000))) == [.hold])
    #expect(told(4, uplink.update(4, 1, .accepted, metadata: large(150_000))) == [.hold])
    uplink.connect()
    var resumed: [UplinkCore.Action] = []
    for _ in 0..<20 where told(3, resumed).isEmpty { resumed += uplink.facilitator(.success) + uplink.settle() }
    #expect(told(3, resumed) == [.resume] && told(4, resumed).isEmpty)
    // Neither a job nor another's update takes the room that it was told of.
    uplink.request(job(5))
    #expect(uplink.busyJobs == [job(5)])
    #expect(told(1, uplink.update(1, 2, .executorReady)) == [.hold])
    uplink.listener(3, .hello(job(3)))
    uplink.update(3, 1, .accepted, metadata: large(80_000))
    #expect(told(3, uplink.settle()) == [.stored(SequenceNumber(1))])
    // Its next one waits behind the others, who come to their turns one after the other.
    #expect(told(3, uplink.update(3, 2, .executorReady)) == [.hold])
    var order: [UInt64] = []
    for _ in 0..<20 {
      for action in uplink.facilitator(.success) + uplink.settle() {
        guard case .toListener(let listener, .resume) = action else { continue }
        order.append(listener.number)
      }
    }
    #expect(order.first == 4 && Set(order) == [1, 3, 4])
  }

  @Test func whoHasComeToItsTurnAndFindsNoRoomKeepsItsPlace() {
    let uplink = full()
    #expect(answers(uplink.update(1, 3, .volumesReady)) == [.hold])
    uplink.connect()
    #expect(answers(uplink.facilitator(.success)) == [.resume])
    uplink.listener(1, .hello(job(1)))
    uplink.does(.disk(isFull: true))
    #expect(answers(uplink.update(1, 3, .volumesReady)) == [.hold])
    #expect(uplink.core.holding == [one])
    #expect(answers(uplink.does(.disk(isFull: false))) == [.resume])
    uplink.listener(1, .hello(job(1)))
    uplink.update(1, 3, .volumesReady)
    #expect(answers(uplink.settle()) == [.stored(SequenceNumber(3))])
    #expect(uplink.core.holding.isEmpty)
  }

  @Test func anUpdateLargerThanTheRecordGoesInWhenThereIsNothingElse() {
    let uplink = UplinkUnderTest(.test(maxRows: 1000, maxBytes: 100_000))
    uplink.run(job(1))
    uplink.connect()
    uplink.facilitator(.success)
    uplink.settle()
    uplink.update(1, 1, .accepted, metadata: [UInt8](repeating: 0x20, count: 200_000))
    #expect(answers(uplink.settle()) == [.stored(SequenceNumber(1))])
  }

  @Test func whatIsAcceptedOrDroppedGivesItsRoomBack() {
    let uplink = full()
    let before = uplink.core.room
    #expect(before.rows == 3 && before.openJobs == 1)
    uplink.connect()
    uplink.update(1, 3, .completed)
    uplink.settle()
    for _ in 0..<4 {
      uplink.facilitator(.success)
      uplink.settle()
    }
    let after = uplink.core.room
    #expect(after.rows == 0 && after.bytes == 0 && after.openJobs == 0)
    // And a start counts the same.
    let restarted = full()
    let counted = restarted.core.room
    restarted.restart()
    restarted.settle()
    #expect(restarted.core.room.rows == counted.rows && restarted.core.room.bytes == counted.bytes)
    #expect(restarted.core.room.openJobs == counted.openJobs)
  }

  @Test func aFullDiskTakesNothingButTheEndsOfJobs() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.run(job(1))
    uplink.does(.disk(isFull: true))
    #expect(uplink.core.state(at: uplink.now).full == "disk")
    #expect(answers(uplink.update(1, 1, .accepted)) == [.hold])
    uplink.request(job(2))
    #expect(uplink.record.jobs[job(2)] == nil && uplink.busyJobs == [job(2)])
    // It is looked at again by and by, and then goes on.
    uplink.pass(6)
    #expect(uplink.does(.timeReached).contains(.checkDisk))
    #expect(answers(uplink.does(.disk(isFull: false))) == [.resume])
    uplink.listener(1, .hello(job(1)))
    uplink.does(.disk(isFull: true))
    uplink.update(1, 1, .failed)
    #expect(answers(uplink.settle()).contains(.stored(SequenceNumber(1))))
  }

  @Test func aDrainingServiceTakesNoNewJobsAndRunsTheOthers() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.request(job(1))
    uplink.settle()
    uplink.supervisor(.refuseJobs(true))
    uplink.request(job(2))
    #expect(uplink.busyJobs == [job(2)] && uplink.core.state(at: uplink.now).draining)
    uplink.listener(1, .hello(job(1)))
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.settle()
    #expect(uplink.dispatched == [job(1)])
    uplink.supervisor(.refuseJobs(false))
    uplink.request(job(3))
    uplink.settle()
    #expect(uplink.record.jobs[job(3)] != nil)
  }

  @Test func closedJobsExpireBatchByBatchThenByTheHour() {
    let uplink = UplinkUnderTest()
    uplink.pass(3601)
    let week = Int64(7 * 86_400_000)
    let due = uplink.does(.timeReached)
    #expect(
      due.contains(
        .expire(
          closedBefore: WallTime(milliseconds: uplink.now.wall.milliseconds - week),
          forgottenBefore: WallTime(milliseconds: uplink.now.wall.milliseconds - 90 * week / 7), limit: 500)))
    uplink.does(.expired(500))
    uplink.pass(0.2)
    #expect(uplink.does(.timeReached).contains { if case .expire = $0 { true } else { false } })
    uplink.does(.expired(3))
    uplink.pass(60)
    #expect(!uplink.does(.timeReached).contains { if case .expire = $0 { true } else { false } })
  }

  @Test func aRestoredRecordStartsNothingAgain() {
    let before = UplinkUnderTest()
    before.request(job(1))
    before.settle()
    before.run(job(2), listener: 2)
    var record = before.record
    record.isRestored = true
    let uplink = UplinkUnderTest(record: record, started: false)
    let started = uplink.start() + uplink.settle()
    #expect(!started.contains { if case .toSupervisor(.openJob) = $0 { true } else { false } })
    for number in 1...2 {
      #expect(uplink.record.statuses(of: job(number)) == [.received, .hordeFailed])
      #expect(uplink.record.metadata(of: job(number), .hordeFailed)?.contains("restored from a backup") == true)
    }
    #expect(!uplink.record.isRestored && uplink.dispatched.isEmpty)
    // Killed before that was durable, it does so again.
    let again = UplinkUnderTest(record: record, started: false)
    again.start()
    again.restart()
    again.settle()
    #expect(again.record.statuses(of: job(1)) == [.received, .hordeFailed])
  }
}

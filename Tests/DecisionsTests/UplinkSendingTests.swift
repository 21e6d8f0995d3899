import Messages
import Testing

@testable import Decisions

@Suite struct UplinkSendingTests {
  private func stored(_ jobs: [Int], statuses: [JobStatus] = [.received]) -> RecordModel {
    var record = RecordModel()
    var id: Int64 = 0
    for number in jobs {
      record.carryOut(
        .insertJob(
          NewJob(
            job: job(number), receivedAt: WallTime(milliseconds: 0), body: [], signatureHash: nil, limitSeconds: 1)))
    }
    for status in statuses {
      for number in jobs {
        id += 1
        record.carryOut(.insertUpdate(entry(id, job(number), status)))
      }
    }
    return record
  }

  private func retires(_ actions: [UplinkCore.Action]) -> [Int64] {
    actions.flatMap { action -> [Int64] in
      guard case .commit(let operations, _) = action else { return [] }
      return operations.compactMap { if case .retire(let id, _) = $0 { id.number } else { nil } }
    }
  }

  /// As its worker sent them, also when they come from the record.
  @Test func aJobIsReportedWithItsStatusesInTheirOrderAndItsAge() throws {
    let uplink = UplinkUnderTest(.test(launcher: true))
    uplink.run(job(1))
    for (number, status) in [JobStatus.volumesReady, .streamingReady, .accepted].enumerated() {
      uplink.update(1, UInt64(number + 1), status)
    }
    uplink.settle()
    uplink.pass(90)
    for _ in 0..<2 {
      let report = uplink.supervisor(.query(1, .jobs)).compactMap {
        if case .toSupervisor(.report(1, let report)) = $0 { report } else { nil }
      }
      let found = try #require(report.first?.jobs.first)
      #expect(found.statuses == [.received, .volumesReady, .streamingReady, .accepted] && found.seconds == 90)
      uplink.restart()
      uplink.settle()
    }
  }

  @Test func aWholeConnection() {
    let uplink = UplinkUnderTest(record: stored([1]), started: false)
    uplink.start()
    #expect(uplink.does(.timeReached).contains(.connect(connection: 1)))
    #expect(uplink.settle().sent.isEmpty)
    #expect(uplink.does(.opened(connection: 1)).contains(.authenticate))
    let ready = uplink.facilitator(.success)
    // The first heartbeat follows the authentication at once; nothing is sent before it.
    #expect(ready.contains(.heartbeat))
    #expect(ready.sent == [.init(job: job(1), status: .received)])
    #expect(retires(uplink.facilitator(.success)) == [1])
  }

  @Test func nothingIsSentBeforeTheAuthentication() {
    let uplink = UplinkUnderTest(record: stored([1]))
    #expect(uplink.does(.timeReached).sent.isEmpty)
    #expect(uplink.does(.opened(connection: uplink.connection)).sent.isEmpty)
    uplink.request(job(2))
    #expect(uplink.settle().sent.isEmpty)
  }

  @Test func aRefusedAuthenticationIsSaidAndTriedAgain() {
    let uplink = UplinkUnderTest(record: stored([1]))
    uplink.does(.timeReached)
    uplink.does(.opened(connection: 1))
    let refused = uplink.facilitator(errors("auth.validator_not_found"))
    #expect(refused.contains(.disconnect(connection: 1)))
    #expect(refused.contains { if case .log(let entry) = $0 { entry.event == .authenticationRefused } else { false } })
    #expect(refused.sent.isEmpty)
    uplink.pass(2)
    #expect(uplink.connect().sent == [.init(job: job(1), status: .received)])
    #expect(uplink.connection == 2)
  }

  @Test func wordsOfAnEarlierConnectionAreNothing() {
    let uplink = UplinkUnderTest(record: stored([1, 2]))
    uplink.connect()
    uplink.does(.lost(reason: "cut", connection: 1))
    uplink.pass(2)
    uplink.connect()
    #expect(uplink.connection == 2)
    #expect(retires(uplink.does(.answered(.success, connection: 1))).isEmpty)
    #expect(uplink.does(.lost(reason: "cut", connection: 1)).effects.isEmpty)
    #expect(uplink.does(.opened(connection: 1)).effects.isEmpty)
    #expect(retires(uplink.does(.answered(.success, connection: 2))) == [1])
  }

  @Test func whatWasUnansweredGoesAgainOnTheNextConnection() {
    let uplink = UplinkUnderTest(record: stored([1, 2, 3], statuses: [.received, .accepted]))
    #expect(uplink.connect().sent.map(\.job) == [job(1), job(2), job(3)])
    uplink.facilitator(.success)
    let lost = uplink.does(.lost(reason: "cut", connection: 1))
    #expect(lost.sent.isEmpty)
    uplink.pass(2)
    #expect(
      uplink.connect().sent == [
        .init(job: job(2), status: .received), .init(job: job(3), status: .received),
        .init(job: job(1), status: .accepted),
      ])
    // "Set the same status twice" then means delivered.
    #expect(retires(uplink.facilitator(errors("job.integrity_error"))) == [2])
  }

  @Test func anAnswerThatFitsNothingDropsTheConnection() {
    let uplink = UplinkUnderTest(record: stored([1]))
    uplink.connect()
    #expect(uplink.facilitator(errors("value_error")).contains(.disconnect(connection: 1)))
    uplink.pass(2)
    #expect(uplink.connect().sent.count == 1)
    uplink.facilitator(.success)
    #expect(uplink.facilitator(.success).contains(.disconnect(connection: 2)))
  }

  @Test func anUpdateThatIsNotAnsweredDropsTheConnection() {
    let uplink = UplinkUnderTest(record: stored([1]))
    uplink.connect()
    #expect(uplink.core.nextDeadline.map { $0 <= at(30) } == true)
    for _ in 0..<29 {
      uplink.pass(1)
      uplink.does(.ponged(0, connection: 1))
      #expect(!uplink.does(.timeReached).contains(.disconnect(connection: 1)))
    }
    uplink.pass(1)
    #expect(uplink.does(.timeReached).contains(.disconnect(connection: 1)))
  }

  @Test func refusalsAreCountedInTheRecordAndEndInADeadLetter() {
    let uplink = UplinkUnderTest(record: stored([1, 2], statuses: [.received, .accepted]))
    uplink.connect()
    for (attempt, wait) in [1.0, 10, 60].enumerated() {
      let refused = uplink.facilitator(errors("job.not_found"))
      guard case .commit(let operations, _) = refused.effects.first,
        case .noteAttempt(UpdateID(1), let error, _) = operations.first
      else {
        Issue.record("\(refused)")
        return
      }
      #expect(operations.count == 1 && error.contains("job.not_found"))
      uplink.settle()
      if attempt > 0 { uplink.takesAnother() }
      // The other job goes on.
      if attempt == 0 {
        uplink.facilitator(.success)
        uplink.facilitator(.success)
        uplink.settle()
        // A restart forgets nothing of it, except that its wait begins anew.
        uplink.restart()
        uplink.settle()
        uplink.does(.timeReached)
        uplink.pass(2)
        #expect(uplink.connect().sent == [.init(job: job(1), status: .received)])
        continue
      }
      for _ in 0..<Int(wait) {
        uplink.pass(1)
        uplink.does(.ponged(0, connection: uplink.connection))
        uplink.does(.timeReached)
      }
      #expect(uplink.core.outbox.inFlight == 1)
    }
    #expect(uplink.record.updates.first?.entry.attempts == 3)
    uplink.facilitator(errors("job.not_found"))
    uplink.takesAnother()
    #expect(uplink.record.dead.map(\.id) == [UpdateID(1)])
    #expect(uplink.core.outbox.inFlight == 1)
    uplink.facilitator(.success)
    uplink.settle()
    #expect(uplink.record.queued.isEmpty)
    #expect(uplink.core.dead == 1 && uplink.core.queued == 0)
  }

  @Test func aJobIsClosedOnceItsTerminalStatusIsAccepted() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.run(job(1))
    uplink.update(1, 1, .completed)
    uplink.settle()
    uplink.facilitator(.success)
    #expect(!uplink.settle().contains(.toSupervisor(.jobClosed(job(1)))))
    let closing = uplink.facilitator(.success)
    #expect(!closing.contains(.toSupervisor(.jobClosed(job(1)))))
    #expect(uplink.settle().said == [.toSupervisor(.jobClosed(job(1)))])
    #expect(uplink.record.jobs[job(1)]?.phase == .closed)
  }

  @Test func aLongRecordIsSentPageByPageAndInOrder() {
    let jobs = Array(1...1500)
    let uplink = UplinkUnderTest(
      .test(window: 100), record: stored(jobs, statuses: [.received, .accepted, .executorReady]))
    var facilitator = FacilitatorModel()
    func take(_ actions: [UplinkCore.Action]) {
      for update in actions.sent { facilitator.receive(update.job, update.status) }
    }
    take(uplink.connect())
    // New ones come in between.
    uplink.listener(1, .hello(job(7)))
    uplink.update(1, 1, .volumesReady)
    var steps = 0
    while uplink.record.queuedCount > 0, steps < 10_000 {
      steps += 1
      #expect(uplink.core.outbox.count <= 2 * UplinkCore.pageSize)
      if steps == 700 { uplink.update(1, 2, .executionDone) }
      _ = facilitator.work()
      if let answer = facilitator.answer() { take(uplink.facilitator(answer)) }
      take(uplink.settle())
    }
    #expect(facilitator.accepted.count == 4502)
    #expect(facilitator.accepted(of: job(7)) == [.received, .accepted, .executorReady, .volumesReady, .executionDone])
    #expect(facilitator.accepted(of: job(1500)) == [.received, .accepted, .executorReady])
  }

  // MARK: The stop

  @Test func stoppingTakesNoNewJobs() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.request(job(1))
    uplink.settle()
    #expect(uplink.supervisor(.stop(.refuseJobs)).effects == [.toSupervisor(.stopped(.refuseJobs))])
    #expect(uplink.request(job(2)).sent == [.init(job: job(2), status: .rejected)])
    // Nor is one dispatched that was accepted before: it waits for the next start.
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.settle()
    #expect(uplink.dispatched.isEmpty && uplink.record.jobs[job(1)]?.phase == .accepted)
    uplink.restart()
    uplink.settle()
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.settle()
    #expect(uplink.dispatched == [job(1)])
  }

  @Test func jobsThatRanHereAreClosedAndThatIsToldOnceItIsDurable() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1), listener: 1)
    uplink.run(job(2), listener: 2)
    uplink.request(job(3))
    uplink.update(2, 1, .completed)
    uplink.settle()
    uplink.update(1, 1, .accepted)
    uplink.supervisor(.stop(.refuseJobs))
    #expect(!uplink.supervisor(.stop(.closeJobs)).effects.contains(.toSupervisor(.stopped(.closeJobs))))
    #expect(uplink.settle().said.last == .toSupervisor(.stopped(.closeJobs)))
    #expect(uplink.record.statuses(of: job(1)) == [.received, .accepted, .hordeFailed])
    #expect(uplink.record.statuses(of: job(2)) == [.received, .completed])
    #expect(uplink.record.statuses(of: job(3)) == [.received])
    // Asked again by a Supervisor that did not hear, it changes nothing.
    uplink.supervisor(.stop(.closeJobs))
    #expect(uplink.settle().said.last == .toSupervisor(.stopped(.closeJobs)))
  }

  @Test func jobsThatRunElsewhereAreNotClosed() {
    let uplink = UplinkUnderTest(.test(launcher: true))
    uplink.run(job(1))
    #expect(uplink.supervisor(.stop(.closeJobs)).effects.contains(.toSupervisor(.stopped(.closeJobs))))
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received])
  }

  private let over: [UplinkCore.Action] = [.toSupervisor(.stopped(.drain)), .exit(0)]

  @Test func theOutboxDrainsBeforeTheEnd() {
    let uplink = UplinkUnderTest(record: stored([1, 2]))
    uplink.connect()
    #expect(!uplink.supervisor(.stop(.drain)).contains(.exit(0)))
    uplink.facilitator(.success)
    uplink.settle()
    uplink.facilitator(.success)
    let end = uplink.settle()
    #expect(Array(end.effects.suffix(3)) == [.close(connection: 1)] + over)
    // What was delivered is durable as that.
    #expect(uplink.record.queued.isEmpty)
  }

  @Test func drainingIsBounded() {
    let uplink = UplinkUnderTest(record: stored([1]))
    uplink.supervisor(.stop(.drain))
    uplink.pass(29)
    uplink.does(.timeReached)
    #expect(!uplink.settle().contains(.exit(0)))
    #expect(uplink.core.nextDeadline.map { $0 <= at(30) } == true)
    uplink.pass(1)
    uplink.does(.timeReached)
    #expect(uplink.settle().effects.suffix(2) == over[...])
    #expect(uplink.record.queued.count == 1)
    #expect(!uplink.does(.timeReached).contains { if case .connect = $0 { true } else { false } })
  }

  @Test func anEmptyOutboxIsDrainedAtOnce() {
    let uplink = UplinkUnderTest()
    uplink.supervisor(.stop(.drain))
    #expect(uplink.settle().effects.suffix(2) == over[...])
  }

  // MARK: Reports

  @Test func questionsAreAnsweredWithTheirNumber() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    guard case .toSupervisor(.report(7, let report)) = uplink.supervisor(.query(7, .jobs)).effects.first else {
      Issue.record("no report")
      return
    }
    #expect(report.jobs == [JobReport(job: job(1), phase: .dispatching, seconds: 0, statuses: [.received], queued: 1)])
    #expect(report.queue.isEmpty && report.state.session == "ready" && report.state.openJobs == 1)
    #expect(report.state.queued == 1 && report.state.inFlight == 1)
    guard case .toSupervisor(.report(8, let queue)) = uplink.supervisor(.query(8, .queue)).effects.first else {
      Issue.record("no report")
      return
    }
    #expect(queue.queue == [QueueEntry(id: 1, job: job(1), status: .received, attempts: 0, inFlight: true)])
  }
}

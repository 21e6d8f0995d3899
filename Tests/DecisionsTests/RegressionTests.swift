import Messages
import Testing

@testable import Decisions

/// What once went wrong, or would have.
@Suite struct RegressionTests {
  /// A request is looked up before it is turned away; by then the connection it came on may be gone. What was
  /// never sent is never answered, and every answer on the next connection would be taken for the one before.
  @Test func aRequestTurnedAwayWithoutAConnectionIsNotWaitedFor() {
    let uplink = UplinkUnderTest(.test(maxOpenJobs: 1))
    uplink.run(job(1))
    uplink.connect()
    uplink.does(.lost(reason: "cut", connection: 1))
    #expect(uplink.request(job(2)).sent.isEmpty)
    #expect(uplink.core.outbox.inFlight == 0)
    uplink.pass(2)
    uplink.connect()
    // The facilitator refuses the one update that was sent.
    let refused = uplink.facilitator(errors("job.not_found"))
    let noted = refused.contains {
      if case .commit(let operations, _) = $0, case .noteAttempt = operations.first { true } else { false }
    }
    #expect(noted)
  }

  /// Without a facilitator for hours, what waits is in the record, not in memory.
  @Test func whatWaitsWithoutAConnectionIsNotAllInMemory() {
    let uplink = UplinkUnderTest(.test(maxOpenJobs: 100_000))
    for number in 1...3000 { uplink.request(job(number)) }
    uplink.settle()
    #expect(uplink.record.queuedCount == 3000)
    #expect(uplink.core.outbox.count <= 2 * UplinkCore.pageSize)
    // And goes out all the same.
    var facilitator = FacilitatorModel()
    func take(_ actions: [UplinkCore.Action]) {
      for update in actions.sent { facilitator.receive(update.job, update.status) }
    }
    take(uplink.connect())
    var steps = 0
    while uplink.record.queuedCount > 0, steps < 10_000 {
      steps += 1
      _ = facilitator.work()
      if let answer = facilitator.answer() { take(uplink.facilitator(answer)) }
      take(uplink.settle())
    }
    #expect(facilitator.accepted.count == 3000)
  }

  /// PROTOCOL.md: should another kind of update make the facilitator drop the connection and keep nothing, it
  /// must not hold up the others for ever.
  @Test func anUpdateThatDropsTheConnectionEachTimeDoesNotHoldUpTheOthers() {
    var outbox = Outbox(window: 4)
    for number in 1...20 { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    var now = at(0)
    var delivered: Set<Int64> = []
    var dead: [Int64] = []
    var connections = 0
    while delivered.filter({ $0 < 100 }).count + dead.count < 20, connections < 100 {
      connections += 1
      now = now + .seconds(61)
      outbox.connected(at: now)
      delivered.formUnion(outbox.answerAll(until: job(1), at: &now))
      outbox.connectionLost(.lost, at: now)
      for case .dead(let entry, _) in outbox.takeJudged() { dead.append(entry.id.number) }
      // There are new ones all the time.
      outbox.enqueue(entry(Int64(100 + connections), job(100 + connections), .received))
    }
    #expect(dead == [1])
    #expect(delivered.filter { $0 < 100 } == Set(2...20), "after \(connections) connections")
  }

  /// DESIGN.md, step 6: any error but job.* and auth.* means that the two sides no longer agree.
  @Test func anErrorThatIsNoAnswerToARejectionIsADisagreementToo() {
    var outbox = Outbox(window: 4)
    outbox.sentEphemeral(job(1), at: at(0))
    guard case .disagreement = outbox.answered(errors("value_error"), at: at(0)) else {
      Issue.record("taken for the answer to the rejection")
      return
    }
  }

  /// DESIGN.md, Liveness: two minutes without a commit kill, though the loop answers.
  @Test func anUplinkThatDoesNotCommitForTwoMinutesIsKilled() {
    var supervisor = SupervisorUnderTest.ready()
    #expect(supervisor.uplink(.pong(0, oldestUncommittedMilliseconds: 119_000)).signals.isEmpty)
    #expect(
      supervisor.uplink(.pong(0, oldestUncommittedMilliseconds: 120_000)).signals
        == [.signalChild(.uplink, pid: supervisor.pid(.uplink), signal: 6)])
  }

  // MARK: The same events lead to the same actions, in the same order

  // A dictionary's order differs from one to the next of the same content, so a run cannot be repeated from its
  // seed while an order of actions or of numbers comes from one. Two runs may well agree by chance: it is the
  // order itself that is looked at.

  @Test func overdueJobsEndInAFixedOrder() {
    let uplink = UplinkUnderTest()
    for number in 1...20 { uplink.run(job(number), listener: UInt64(number)) }
    uplink.pass(10_000)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.updates.suffix(20).map(\.entry.job) == (1...20).map { job($0) })
  }

  @Test func heldUpdatesGoAgainInAFixedOrder() {
    func run() -> [JobID] {
      var outbox = Outbox(window: 100)
      for number in 1...20 { outbox.enqueue(entry(Int64(number), job(number), .received)) }
      while outbox.next(at: at(0)) != nil {}
      for _ in 1...20 { _ = outbox.answered(errors("job.not_found"), at: at(0)) }
      var order: [JobID] = []
      while let entry = outbox.next(at: at(1)) { order.append(entry.job) }
      return order
    }
    #expect(run() == (1...20).map { job($0) })
  }

  @Test func theSupervisorStopsCommandsInAFixedOrder() {
    var supervisor = SupervisorUnderTest.ready()
    for number in 1...20 {
      supervisor.uplink(.openJob(OpenJob(job: job(number), phase: .accepted)))
      supervisor.listener(.job(job(number)), .ready)
      supervisor.uplink(.dispatch(job(number), body: [], beginBy: 0))
      supervisor.does(.commandStarted(job(number), SupervisorUnderTest.command))
    }
    #expect(
      supervisor.does(.stopRequested).signals == (1...20).map { .signalCommand(job($0), signal: 15) })
  }

  @Test func theListenerResumesItsConnectionsInAFixedOrder() {
    var listener = ListenerUnderTest(maxFrameBytes: 100)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    let ids = 1...20 as ClosedRange<UInt64>
    for id in ids {
      listener.does(.workerConnected(ConnectionID(id)))
      listener.sends(.accepted, on: id, metadata: [UInt8](repeating: 0, count: 200))
    }
    var actions: [ListenerCore.Action] = []
    for number in ids { actions += listener.uplink(.stored(SequenceNumber(number))) }
    let resumed = actions.filter { if case .resumeReading = $0 { true } else { false } }
    #expect(resumed == ids.map { .resumeReading(ConnectionID($0)) })
  }

  /// Lines that come every 9.5 ms are 105 a second, of which 100 pass: what is left of a line's worth of time is
  /// not thrown away with each that is earned.
  @Test func theSteadyRateOfOutputHoldsForAnySpacing() {
    var limit = LineLimit(LineLimit.output, at: at(0))
    while limit.admit(at: at(0)).passes {}
    var passed = 0
    for index in 1...1050 where limit.admit(at: at(Double(index) * 0.0095)).passes { passed += 1 }
    #expect(passed >= 950 && passed <= 1000)
  }
}

/// What reviews of the decisions have found.
@Suite struct ReviewedTests {
  /// A stop has no use for Listeners that nobody would stop.
  @Test func anUplinkThatComesBackDuringAStopStartsNoListeners() {
    var supervisor = SupervisorUnderTest.ready()
    supervisor.does(.stopRequested)
    let opened = supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted)))
    #expect(!opened.contains { if case .spawnListener(.job, _) = $0 { true } else { false } })
  }

  /// An answer that cannot be read was meant for something: what follows would be taken for the wrong one.
  @Test func anUnreadableAnswerDropsTheConnectionWhenOneIsAwaited() {
    let uplink = UplinkUnderTest()
    uplink.connect()
    #expect(!uplink.does(.unreadableAnswer(connection: uplink.connection)).contains(.disconnect(connection: 1)))
    uplink.request(job(1))
    uplink.settle()
    #expect(uplink.core.outbox.inFlight == 1)
    #expect(uplink.does(.unreadableAnswer(connection: uplink.connection)).contains(.disconnect(connection: 1)))
    #expect(uplink.core.outbox.inFlight == 0)
  }

  /// A job whose Listener can never be started ends all the same.
  @Test func aJobThatIsNeverDispatchedEndsToo() {
    let uplink = UplinkUnderTest(.test(graceSeconds: 50))
    uplink.request(job(1), limitSeconds: 10)
    uplink.settle()
    uplink.pass(59)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received])
    uplink.pass(1)
    uplink.does(.timeReached)
    uplink.settle()
    #expect(uplink.record.statuses(of: job(1)) == [.received, .hordeFailed])
  }

  /// Killed before its dead letter is on record, a successor sends that again: what follows must not have gone before.
  @Test func whatFollowsADeadLetterWaitsUntilThatIsOnRecord() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.connect()
    uplink.facilitator(.success)
    uplink.update(1, 1, .accepted)
    uplink.update(1, 2, .executorReady)
    uplink.settle()
    for seconds in [1.0, 10, 60] {
      uplink.facilitator(errors("job.not_found"))
      uplink.takesAnother()
      uplink.pass(seconds)
      uplink.does(.timeReached)
      uplink.settle()
    }
    uplink.facilitator(errors("job.not_found"))
    uplink.request(job(2))
    uplink.settle()
    let given = uplink.facilitator(.success)
    #expect(given.effects.allSatisfy { if case .send = $0 { false } else { true } })
    // Nor does what comes meanwhile.
    #expect(uplink.update(1, 3, .volumesReady).effects.allSatisfy { if case .send = $0 { false } else { true } })
    #expect(uplink.settle().contains(.send(job(1), .executorReady, metadata: nil)))
  }

  /// The hello of a Listener that is dead already may be read behind its successor's.
  @Test func aDeadListenersHelloTakesNobodysPlace() {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .completed)
    uplink.settle()
    uplink.does(.listenerGone(ConnectionID(1)))
    uplink.pass(100)
    uplink.restart()
    uplink.settle()
    uplink.listener(3, .hello(job(1)), generation: 3)
    uplink.listener(2, .hello(job(1)), generation: 2)
    uplink.does(.listenerGone(ConnectionID(2)))
    #expect(uplink.settle().contains(.toListener(ConnectionID(3), .welcome(ended: true))))
  }
}

import Messages
import Testing

@testable import Decisions

private func specs(_ miner: String, bytes: Int = 2) -> MachineSpecs {
  MachineSpecs(minerHotkey: miner, batchID: "b", specs: [UInt8](repeating: 0, count: bytes))
}

private func entry(_ number: UInt64, _ miner: String, bytes: Int = 2) -> SpecsEntry {
  SpecsEntry(number: number, specs: specs(miner, bytes: bytes))
}

extension SpecsQueue {
  /// Everything that may be sent now, by miner.
  fileprivate mutating func sendAll(at now: Instant = at(0)) -> [String] {
    var sent: [String] = []
    while let next = next(at: now) { sent.append(next.minerHotkey) }
    return sent
  }
}

@Suite struct SpecsQueueTests {
  @Test func theNewestOfAMinerIsSentInTheOrderOfItsComing() {
    var queue = SpecsQueue()
    for (number, miner) in ["a", "b", "a", "c"].enumerated() { queue.put(entry(UInt64(number + 1), miner)) }
    #expect(queue.count == 3)
    #expect(queue.sendAll() == ["b", "a", "c"])
    queue.pinged(1)
    #expect(queue.ponged(0) == [])
    #expect(queue.ponged(1) == [2, 3, 4])
    #expect(queue.count == 0 && !queue.needsPing)
  }

  @Test func whatIsNotConfirmedGoesAgainUnlessNewerOnesCame() {
    var queue = SpecsQueue()
    queue.put(entry(1, "a"))
    queue.put(entry(2, "b"))
    #expect(queue.sendAll() == ["a", "b"])
    queue.pinged(1)
    queue.put(entry(3, "a"))
    queue.connectionLost(.lost, at: at(0))
    #expect(queue.sendAll() == ["b", "a"])
    queue.pinged(2)
    #expect(queue.ponged(2) == [2, 3])
  }

  @Test func newerOnesThatCameAfterTheSendingStay() {
    var queue = SpecsQueue()
    queue.put(entry(1, "a"))
    _ = queue.sendAll()
    queue.pinged(1)
    queue.put(entry(2, "a"))
    #expect(queue.ponged(1) == [1])
    #expect(queue.count == 1 && queue.sendAll() == ["a"])
  }

  @Test func aBatchIsBoundedAndTheNextWaitsForThePong() {
    var queue = SpecsQueue()
    for number in 1...200 as ClosedRange<UInt64> { queue.put(entry(number, "m\(number)")) }
    #expect(queue.sendAll().count == SpecsQueue.batch)
    queue.pinged(1)
    #expect(queue.sendAll().isEmpty)
    #expect(queue.ponged(1).count == SpecsQueue.batch)
    #expect(queue.sendAll().count == SpecsQueue.batch)
  }

  private func queue(_ miners: [String]) -> SpecsQueue {
    var queue = SpecsQueue()
    for (number, miner) in miners.enumerated() { queue.put(entry(UInt64(number + 1), miner)) }
    return queue
  }

  /// However long: no update is taken, so it is the facilitator that is ill.
  @Test(arguments: [Outbox.Loss.disagreement, .lost, .ours])
  func nothingIsGivenUpOnWhileNothingGetsThrough(loss: Outbox.Loss) {
    var queue = queue(["a", "b", "c"])
    var now = at(0)
    for _ in 0..<100 {
      #expect(!queue.sendAll(at: now).isEmpty)
      queue.connectionLost(loss, at: now)
      now = now + .seconds(75)
    }
    #expect(queue.updateTaken().isEmpty)
    var arrived: [UInt64] = []
    for ping in 1...3 as ClosedRange<UInt64> {
      _ = queue.sendAll(at: now)
      queue.pinged(ping)
      arrived += queue.ponged(ping)
    }
    #expect(Set(arrived) == [1, 2, 3] && queue.count == 0)
  }

  /// One ends each connection on which it is sent, and updates are taken on the next.
  @Test(arguments: [Outbox.Loss.disagreement, .lost])
  func theCulpritIsFoundAndGivenUpOn(loss: Outbox.Loss) {
    var queue = queue(["a", "b", "culprit", "d", "e"])
    var arrived: [UInt64] = []
    var givenUp: [UInt64] = []
    var connections = 0
    for step in 1...100 where queue.count > 0 {
      if queue.sendAll().contains("culprit") {
        queue.connectionLost(loss, at: at(0))
        givenUp += queue.updateTaken()
        connections += 1
      } else {
        queue.pinged(UInt64(step))
        arrived += queue.ponged(UInt64(step))
      }
    }
    #expect(Set(arrived) == [1, 2, 4, 5] && givenUp == [3])
    #expect(connections <= 10)
  }

  @Test func aSuspectGoesAloneBehindTheOthersAndLessOftenEachTime() {
    var queue = queue(["a"])
    #expect(queue.sendAll() == ["a"])
    queue.connectionLost(.disagreement, at: at(0))
    queue.put(entry(2, "b"))
    #expect(queue.sendAll() == ["b"] && !queue.isProbing)
    queue.pinged(1)
    #expect(queue.ponged(1) == [2])
    #expect(queue.next(at: at(0), mayProbe: false) == nil)
    var now = at(0)
    var waits: [Duration] = []
    for _ in 0..<6 {
      #expect(queue.sendAll(at: now) == ["a"] && queue.isProbing)
      queue.connectionLost(.lost, at: now)
      let due = queue.nextDeadline ?? now
      waits.append(due - now)
      if due > now { #expect(queue.sendAll(at: now).isEmpty) }
      now = due
    }
    #expect(waits == [.zero, .seconds(1), .seconds(10), .seconds(75), .seconds(75), .seconds(75)])
    // A newer one of its miner is none.
    queue.put(entry(3, "a"))
    #expect(queue.sendAll(at: now) == ["a"] && !queue.isProbing)
  }

  @Test func suspectsThatArriveGoInLargerBatches() {
    var queue = queue((1...40).map { "m\($0)" })
    _ = queue.sendAll()
    queue.connectionLost(.disagreement, at: at(0))
    var batches: [Int] = []
    for ping in 1...6 as ClosedRange<UInt64> {
      batches.append(queue.sendAll().count)
      queue.pinged(ping)
      _ = queue.ponged(ping)
    }
    #expect(batches == [1, 2, 4, 8, 16, 9])
  }

  @Test func aMinerThatIsToldOfAgainAndAgainTakesOnePlace() {
    var queue = SpecsQueue()
    queue.put(entry(1, "first"))
    for number in 2...10_000 as ClosedRange<UInt64> { queue.put(entry(number, "again")) }
    #expect(queue.count == 2 && queue.places < 200)
    #expect(queue.sendAll() == ["first", "again"])
  }

  @Test func aBatchIsBoundedInBytes() {
    var queue = SpecsQueue()
    for number in 1...4 as ClosedRange<UInt64> {
      queue.put(entry(number, "m\(number)", bytes: SpecsQueue.batchBytes / 2))
    }
    #expect(queue.sendAll() == ["m1", "m2"])
  }

  @Test func roomIsBoundedInMinersAndInBytes() {
    var queue = SpecsQueue()
    queue.put(entry(1, "a", bytes: SpecsQueue.byteCapacity - 1000))
    #expect(!queue.hasRoom(for: specs("b", bytes: 2000)))
    #expect(queue.hasRoom(for: specs("a", bytes: 2000)))
    queue.put(entry(2, "a"))
    #expect(queue.hasRoom(for: specs("b", bytes: 2000)))
    for number in 3...SpecsQueue.capacity + 1 { queue.put(entry(UInt64(number), "m\(number)")) }
    #expect(!queue.hasRoom(for: specs("more")))
    #expect(queue.hasRoom(for: specs("a")))
  }
}

@Suite struct UplinkSpecsAndHookTests {
  private func sent(_ actions: [UplinkCore.Action]) -> [String] {
    actions.compactMap { if case .sendSpecs(let specs) = $0 { specs.minerHotkey } else { nil } }
  }

  private func stored(_ actions: [UplinkCore.Action]) -> [SequenceNumber] {
    actions.compactMap { if case .toListener(_, .stored(let number)) = $0 { number } else { nil } }
  }

  private func runs(_ actions: [UplinkCore.Action]) -> [UInt64] {
    actions.compactMap { if case .toSupervisor(.runHook(let run, _, _)) = $0 { run.first } else { nil } }
  }

  private func exited(_ number: UInt64, _ exit: CommandExit?) -> SupervisorToUplink {
    .hookExited(HookRun(.cheated, first: number), last: number, exit)
  }

  @Test func specsAreAnsweredAfterTheCommitSentBehindUpdatesAndKeptUntilThePong() {
    let uplink = UplinkUnderTest()
    uplink.listener(9, .hello(nil))
    #expect(stored(uplink.listener(9, .specs(SequenceNumber(1), specs("a")))).isEmpty)
    #expect(stored(uplink.settle()) == [SequenceNumber(1)])
    let actions = uplink.connect()
    #expect(sent(actions) == ["a"])
    #expect(uplink.record.specs.count == 1)
    // A connection that is lost before the pong, and a restart: they go again.
    uplink.does(.lost(reason: "cut", connection: uplink.connection))
    uplink.restart()
    uplink.settle()
    #expect(sent(uplink.connect()) == ["a"])
    uplink.does(.ponged(.max, connection: uplink.connection))
    uplink.settle()
    #expect(uplink.record.specs.isEmpty)
  }

  /// It answers that it does not understand; what it means is given up on only once it takes updates in between.
  @Test func specsOutliveAFacilitatorThatIsIll() {
    let uplink = UplinkUnderTest()
    uplink.listener(9, .hello(nil))
    uplink.listener(9, .specs(SequenceNumber(1), specs("a")))
    uplink.settle()
    func fails() {
      let said = uplink.facilitator(errors("value_error"))
      #expect(said.contains(.disconnect(connection: uplink.connection)))
      uplink.settle()
    }
    for attempt in 1...10 {
      if attempt > 1 { uplink.pass(80) }
      #expect(sent(uplink.connect()) == ["a"])
      fails()
    }
    for number in 1...SpecsQueue.attempts {
      #expect(uplink.record.specs.count == 1)
      uplink.pass(31)
      uplink.request(job(number))
      uplink.settle()
      uplink.connect()
      uplink.facilitator(.success)
      fails()
    }
    #expect(uplink.record.specs.isEmpty)
  }

  /// Whatever happens while suspect specs are on their way must tell on them alone.
  @Test func nothingIsSentBesideSuspectSpecs() {
    let uplink = UplinkUnderTest()
    uplink.listener(9, .hello(nil))
    uplink.connect()
    uplink.request(job(1))
    uplink.listener(9, .specs(SequenceNumber(1), specs("a")))
    uplink.settle()
    // The update's answer cannot be read while the specs are on their way.
    uplink.does(.unreadableAnswer(connection: uplink.connection))
    uplink.pass(31)
    #expect(sent(uplink.connect()).isEmpty)
    #expect(sent(uplink.facilitator(.success)) == ["a"])
    uplink.request(job(2))
    #expect(uplink.settle().sent.isEmpty)
    #expect(uplink.does(.ponged(.max, connection: uplink.connection)).sent.map(\.job) == [job(2)])
  }

  @Test func whatADeadListenerSentDoesNotReplaceWhatItsSuccessorSentSince() {
    let uplink = UplinkUnderTest()
    uplink.listener(9, .hello(nil), generation: 1)
    uplink.listener(10, .hello(nil), generation: 2)
    uplink.listener(10, .specs(SequenceNumber(1), specs("a", bytes: 7)))
    uplink.listener(9, .specs(SequenceNumber(1), specs("a", bytes: 3)))
    #expect(stored(uplink.settle()) == [SequenceNumber(1)])
    #expect(uplink.record.specs.map(\.specs.specs.count) == [7])
    // Nor is one heard that says hello only then.
    let late = uplink.listener(11, .hello(nil), generation: 1)
    #expect(late.effects == [.dropListener(ConnectionID(11))])
  }

  @Test func withoutRoomThereIsNoAnswerUntilThereIs() {
    let uplink = UplinkUnderTest()
    uplink.listener(9, .hello(nil))
    uplink.listener(9, .specs(SequenceNumber(1), specs("a", bytes: SpecsQueue.byteCapacity - 1000)))
    let held = uplink.listener(9, .specs(SequenceNumber(2), specs("b", bytes: 5000)))
    #expect(held.effects == [.toListener(ConnectionID(9), .hold)])
    // What was under way when it was told to wait is not heard.
    #expect(uplink.listener(9, .specs(SequenceNumber(3), specs("c"))).effects.isEmpty)
    #expect(stored(uplink.settle()) == [SequenceNumber(1)])
    uplink.connect()
    let roomy = uplink.does(.ponged(.max, connection: uplink.connection))
    #expect(roomy.contains(.toListener(ConnectionID(9), .resume)))
    // Nor is what it sends before it begins again.
    #expect(uplink.listener(9, .specs(SequenceNumber(3), specs("c"))).effects.isEmpty)
    uplink.listener(9, .hello(nil))
    uplink.listener(9, .specs(SequenceNumber(2), specs("b", bytes: 5000)))
    uplink.listener(9, .specs(SequenceNumber(3), specs("c")))
    #expect(stored(uplink.settle()) == [SequenceNumber(2), SequenceNumber(3)])
  }

  @Test func theHookIsRunUntilItTakesTheReportAlsoAfterARestart() {
    var settings = UplinkSettings.test()
    settings.hasCheatHook = true
    let uplink = UplinkUnderTest(settings)
    #expect(runs(uplink.does(.cheated([1, 2], signatureHash: [7]))).isEmpty)
    #expect(runs(uplink.settle()) == [1])
    // The same report again, and one while it runs.
    #expect(runs(uplink.does(.cheated([1, 2], signatureHash: [7]))).isEmpty)
    #expect(runs(uplink.supervisor(exited(1, CommandExit(code: 1, signal: nil)))).isEmpty)
    uplink.pass(1)
    #expect(runs(uplink.does(.timeReached)) == [1])
    uplink.restart()
    #expect(runs(uplink.does(.timeReached)) == [1])
    uplink.supervisor(exited(1, nil))
    uplink.pass(300)
    #expect(runs(uplink.does(.timeReached)) == [1])
    uplink.supervisor(exited(1, CommandExit(code: 0, signal: nil)))
    uplink.settle()
    #expect(uplink.record.cheats.isEmpty)
    uplink.pass(1000)
    #expect(runs(uplink.does(.timeReached)).isEmpty)
  }

  @Test func withoutAHookReportsOnRecordWaitForOne() {
    var record = RecordModel()
    record.carryOut(.insertCheat(CheatReport(number: 3, body: [1], signatureHash: [7]), at: WallTime(milliseconds: 0)))
    let uplink = UplinkUnderTest(record: record, started: false)
    uplink.start()
    #expect(runs(uplink.settle()).isEmpty)
    #expect(uplink.record.cheats.count == 1)
    var settings = UplinkSettings.test()
    settings.hasCheatHook = true
    let later = UplinkUnderTest(settings, record: record, started: false)
    later.start()
    #expect(runs(later.settle()) == [3])
  }
}

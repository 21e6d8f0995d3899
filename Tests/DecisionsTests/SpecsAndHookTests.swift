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
  fileprivate mutating func sendAll() -> [String] {
    var sent: [String] = []
    while let next = next() { sent.append(next.minerHotkey) }
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
    #expect(queue.connectionLost(disagreeing: false) == [])
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

  @Test func onesThatAreNeverUnderstoodAreGivenUpOn() {
    var queue = SpecsQueue()
    queue.put(entry(1, "a"))
    for attempt in 1...SpecsQueue.attempts {
      #expect(queue.sendAll() == ["a"])
      #expect(queue.connectionLost(disagreeing: false) == [])
      #expect(queue.sendAll() == ["a"])
      #expect(queue.connectionLost(disagreeing: true) == (attempt == SpecsQueue.attempts ? [1] : []))
    }
    #expect(queue.count == 0)
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

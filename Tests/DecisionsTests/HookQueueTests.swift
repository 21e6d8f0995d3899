import Messages
import TestSupport
import Testing

@testable import Decisions

@Suite struct HookQueueTests {
  private struct Item: HookItem {
    var number: UInt64
    var hookBytes = 1
  }

  private typealias Queue = HookQueue<String, Item>

  private func numbers(_ items: [Item]?) -> [UInt64]? { items.map { $0.map(\.number) } }

  @Test func whatTheHookCannotTakeHoldsUpNoOtherLane() {
    var queue = Queue()
    var dice = Dice(seed: 1)
    for number in 1...6 as ClosedRange<UInt64> { queue.put(Item(number: number), in: "\(number)", at: at(0)) }
    var started: [[UInt64]] = []
    while let next = queue.next(at: at(0)) { started.append(next.map(\.number)) }
    #expect(started == [[1], [2], [3], [4]])
    #expect(queue.exited(first: 1, last: 1, success: false, at: at(0), dice: &dice).delay != nil)
    #expect(numbers(queue.next(at: at(0))) == [5])
    let end = queue.exited(first: 2, last: 2, success: true, at: at(0), dice: &dice)
    #expect(end.taken == [2] && end.delay == nil)
    queue.settled(2, at: at(0))
    #expect(numbers(queue.next(at: at(0))) == [6])
    #expect(queue.count == 5)
  }

  @Test func aLaneRunsOnceAtATimeAndInItsOrder() {
    var queue = Queue()
    var dice = Dice(seed: 1)
    queue.put(Item(number: 1), in: "a", at: at(0))
    #expect(numbers(queue.next(at: at(0))) == [1])
    for number in 2...200 as ClosedRange<UInt64> { queue.put(Item(number: number), in: "a", at: at(0)) }
    #expect(queue.next(at: at(0)) == nil)
    _ = queue.exited(first: 1, last: 1, success: true, at: at(0), dice: &dice)
    // Nor before what it took is off the record.
    #expect(queue.next(at: at(0)) == nil)
    queue.settled(1, at: at(0))
    #expect(numbers(queue.next(at: at(0))) == Array(2...65))
    // It failed: the same again, and after a while only.
    let delay = queue.exited(first: 2, last: 65, success: false, at: at(0), dice: &dice).delay ?? .zero
    #expect(queue.nextDeadline == at(0) + delay)
    #expect(numbers(queue.next(at: at(1))) == Array(2...65))
  }

  @Test func aRunIsNoLargerThanItMayBeUnlessItIsOneThing() {
    var queue = Queue()
    queue.put(Item(number: 1, hookBytes: 5 << 20), in: "a", at: at(0))
    queue.put(Item(number: 2, hookBytes: 1 << 19), in: "b", at: at(0))
    queue.put(Item(number: 3, hookBytes: 1 << 19), in: "b", at: at(0))
    queue.put(Item(number: 4), in: "b", at: at(0))
    #expect(numbers(queue.next(at: at(0))) == [1])
    #expect(numbers(queue.next(at: at(0))) == [2, 3])
  }

  @Test func aLargeOneBetweenSmallOnesIsNotPassedOver() {
    var queue = Queue()
    var dice = Dice(seed: 1)
    for (number, bytes) in [(1, 100), (2, 5 << 20), (3, 100)] as [(UInt64, Int)] {
      queue.put(Item(number: number, hookBytes: bytes), in: "a", at: at(0))
    }
    var heard: [[UInt64]] = []
    while let items = queue.next(at: at(0)), let first = items.first, let last = items.last {
      heard.append(items.map(\.number))
      _ = queue.exited(first: first.number, last: last.number, success: true, at: at(0), dice: &dice)
      queue.settled(first.number, at: at(0))
    }
    #expect(heard == [[1], [2], [3]])
  }

  /// A predecessor of ours has had it run with less, or with more.
  @Test func onlyWhatARunGotIsTaken() {
    var queue = Queue()
    var dice = Dice(seed: 1)
    for number in 1...3 as ClosedRange<UInt64> { queue.put(Item(number: number), in: "a", at: at(0)) }
    #expect(numbers(queue.next(at: at(0))) == [1, 2, 3])
    #expect(queue.exited(first: 1, last: 2, success: true, at: at(0), dice: &dice).taken == [1, 2])
    queue.settled(1, at: at(0))
    #expect(numbers(queue.next(at: at(0))) == [3])
    #expect(queue.exited(first: 3, last: 9, success: true, at: at(0), dice: &dice).taken == [3])
    queue.settled(3, at: at(0))
    #expect(queue.count == 0 && queue.bytes == 0 && queue.nextDeadline == nil)
    #expect(queue.exited(first: 3, last: 3, success: true, at: at(0), dice: &dice).taken.isEmpty)
  }

  /// Uplink and its hook, which fails and is killed at random: each job's updates come in their order, none is left out.
  @Test func everyStoredUpdateComesInOrderWhateverDies() {
    var random = SplitMix64(state: testSeed("status hook"))
    for _ in 0..<50 {
      var settings = UplinkSettings.test()
      settings.hasStatusHook = true
      let uplink = UplinkUnderTest(settings)
      // What the Supervisor runs, with what each run got; it outlives Uplinks.
      var runs: [HookRun: (last: UInt64, items: [TaskOrder.Task])] = [:]
      var heard: [String] = []
      func take(_ actions: [UplinkCore.Action]) {
        for case .toSupervisor(.runHook(let run, let last, let items)) in actions where runs[run] == nil {
          runs[run] = (last, items)
        }
      }
      let jobs = (1...5).map { job($0) }
      for (index, job) in jobs.enumerated() { uplink.run(job, listener: UInt64(index + 1)) }
      var told: [JobID: Int] = [:]
      let script: [JobStatus] = [.accepted, .executorReady, .executionDone, .completed]
      for _ in 0..<400 {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3:
          let index = Int.random(in: 0..<jobs.count, using: &random)
          let count = told[jobs[index], default: 0]
          guard count < script.count else { continue }
          told[jobs[index]] = count + 1
          take(uplink.update(UInt64(index + 1), UInt64(count + 1), script[count]))
        case 3..<5: take(uplink.settleOne())
        case 5..<8:
          guard let run = runs.keys.sorted().randomElement(using: &random), let what = runs.removeValue(forKey: run)
          else { continue }
          let success = Bool.random(using: &random)
          if success { heard += what.items.map(\.id) }
          take(
            uplink.supervisor(.hookExited(run, last: what.last, CommandExit(code: success ? 0 : 1, signal: nil))))
        case 8:
          uplink.pass(10)
          take(uplink.does(.timeReached))
        default:
          take(uplink.settle())
          take(uplink.restart())
          for index in jobs.indices { uplink.listener(UInt64(index + 1), .hello(jobs[index])) }
        }
      }
      while !uplink.record.forHook.isEmpty || !runs.isEmpty {
        take(uplink.settle())
        for (run, what) in runs {
          heard += what.items.map(\.id)
          runs[run] = nil
          take(uplink.supervisor(.hookExited(run, last: what.last, CommandExit(code: 0, signal: nil))))
        }
        uplink.pass(400)
        take(uplink.does(.timeReached))
      }
      for job in jobs {
        let stored = uplink.record.statuses(of: job).map { "\(job)-\($0.name)" }
        // Each again only together with what came before it.
        var first: [String] = []
        for id in heard where id.hasPrefix("\(job)") && !first.contains(id) { first.append(id) }
        #expect(first == stored)
      }
      #expect(uplink.core.updateHooks.count == 0 && uplink.core.hookRoom.rows == 0 && uplink.core.hookRoom.bytes == 0)
    }
  }

  @Test func aSuccessorRunsNothingBesideWhatIsUnderWay() {
    var settings = UplinkSettings.test()
    settings.hasStatusHook = true
    let uplink = UplinkUnderTest(settings)
    func runs(_ actions: [UplinkCore.Action]) -> [HookRun] {
      actions.compactMap { if case .toSupervisor(.runHook(let run, _, _)) = $0 { run } else { nil } }
    }
    uplink.request(job(1))
    let first = runs(uplink.settle())
    #expect(first.count == 1)
    uplink.listener(1, .hello(job(1)))
    uplink.supervisor(.listenerReady(job(1), Generation(1)))
    uplink.update(1, 1, .accepted)
    #expect(runs(uplink.settle()).isEmpty)
    // Killed before that is on record, it has a successor that runs the first again: the second must not be under way.
    let exit = CommandExit(code: 0, signal: nil)
    for run in first { #expect(runs(uplink.supervisor(.hookExited(run, last: run.first, exit))).isEmpty) }
    uplink.restart()
    #expect(runs(uplink.settle()) == first)
    // It has both then: one run for each job.
    for run in first { uplink.supervisor(.hookExited(run, last: run.first, exit)) }
    #expect(runs(uplink.settle()).map(\.first) == first.map { $0.first + 1 })
  }

  @Test func aHookThatTakesNothingHoldsUpNobodyAndIsLeftOutWhenTheRecordIsFull() {
    var settings = UplinkSettings.test(maxRows: 10)
    settings.hasStatusHook = true
    let uplink = UplinkUnderTest(settings)
    uplink.connect()
    for number in 1...20 {
      uplink.run(job(number), listener: UInt64(number))
      uplink.update(UInt64(number), 1, .completed)
      for _ in 0..<2 {
        uplink.settle()
        uplink.facilitator(.success)
      }
      uplink.settle()
    }
    #expect(uplink.record.jobs.count == 20)
    #expect(uplink.record.forHook.count == 10)
    #expect(uplink.record.queued.isEmpty)
    // More room, without a restart.
    settings.maxRows = 12
    uplink.does(.reloaded(settings))
    uplink.run(job(21), listener: 21)
    uplink.update(21, 1, .completed)
    uplink.settle()
    #expect(uplink.record.forHook.count == 12)
  }
  @Test func whatTheHookSaidLastIsSaidOfItsFailure() {
    var settings = UplinkSettings.test()
    settings.hasStatusHook = true
    let uplink = UplinkUnderTest(settings)
    uplink.request(job(1))
    for case .toSupervisor(.runHook(let run, let last, _)) in uplink.settle() {
      let exit = CommandExit(code: ExitCode.temporary, signal: nil, stderrTail: Array("starts\nno broker\n".utf8))
      let said = uplink.supervisor(.hookExited(run, last: last, exit)).compactMap {
        if case .log(let entry) = $0, entry.event == .hookDelayed { entry.text } else { nil }
      }
      #expect(said.count == 1 && said[0].contains("on_status_update exited with code 75 (no broker); it is run again"))
      return
    }
    Issue.record("no run")
  }
}

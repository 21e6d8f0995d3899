import Messages
import Testing

@testable import Decisions

@Suite struct ChildTests {
  private func spawned(_ key: ChildKey = .uplink, ready: Bool = true) -> Child {
    var child = Child(key, at: at(0))
    _ = child.demand(at: at(0))
    child.spawned(Generation(1), at: at(0))
    child.hasPID(42)
    if ready { child.becameReady(at: at(1)) }
    return child
  }

  @Test func itIsSpawnedOnceAndIsNotReadyByThat() {
    var child = Child(.uplink, at: at(5))
    #expect(child.nextDeadline == at(5))
    #expect(child.demand(at: at(4.9)) == nil)
    #expect(child.demand(at: at(5)) == .spawn)
    child.spawned(Generation(3), at: at(5))
    #expect(child.demand(at: at(5)) == nil)
    #expect(!child.isReady)
    #expect(child.isCurrent(Generation(3)) && !child.isCurrent(Generation(2)))
    child.becameReady(at: at(6))
    #expect(child.isReady && child.run?.readySince == at(6))
    child.becameReady(at: at(7))
    #expect(child.run?.readySince == at(6))
  }

  @Test func itIsAskedAndItsAnswerIsEnough() {
    var child = spawned()
    for round in 1...5 {
      let due = Double(round) * 10
      #expect(child.nextDeadline == at(due))
      #expect(child.demand(at: at(due - 0.1)) == nil)
      #expect(child.demand(at: at(due)) == .ping)
      #expect(child.demand(at: at(due)) == nil)
      child.answeredPing()
    }
  }

  @Test func oneThatDoesNotAnswerIsAbortedAndThenKilled() {
    var child = spawned()
    #expect(child.demand(at: at(10)) == .ping)
    #expect(child.nextDeadline == at(20))
    #expect(child.demand(at: at(19.9)) == nil)
    #expect(child.demand(at: at(20)) == .signal(6, hung: true))
    #expect(child.nextDeadline == at(25))
    #expect(child.demand(at: at(24.9)) == nil)
    // A late answer does not save it.
    child.answeredPing()
    #expect(child.demand(at: at(25)) == .signal(9, hung: false))
    #expect(child.nextDeadline == nil && child.demand(at: at(100)) == nil)
    var dice = Dice(seed: 1)
    // Its successor starts only after its death.
    guard case .restart = child.died(.signal(9), at: at(101), dice: &dice) else {
      Issue.record("not restarted")
      return
    }
    #expect(child.lastDeath == "was ended by signal 9")
  }

  @Test func oneThatNeverGetsReadyIsWatchedToo() {
    var child = spawned(.listener(.specs), ready: false)
    #expect(child.demand(at: at(10)) == .ping)
    #expect(child.demand(at: at(20)) == .signal(6, hung: true))
  }

  @Test func uplinkHasTwoMinutesToOpenItsRecord() {
    var child = spawned(.uplink, ready: false)
    #expect(child.demand(at: at(10)) == .ping)
    #expect(child.demand(at: at(129)) == nil)
    #expect(child.demand(at: at(130)) == .signal(6, hung: true))
  }

  @Test func aStoppedOneIsGivenItsGraceThenTerminatedThenKilledAndNotReplaced() {
    var child = spawned()
    child.stop(grace: .seconds(7), at: at(2))
    #expect(child.nextDeadline == at(9))
    #expect(child.demand(at: at(8.9)) == nil)
    #expect(child.demand(at: at(9)) == .signal(15, hung: false))
    #expect(child.demand(at: at(14)) == .signal(9, hung: false))
    var dice = Dice(seed: 1)
    #expect(child.died(.signal(9), at: at(14), dice: &dice) == .end)
    #expect(child.hasEnded && child.nextDeadline == nil && child.demand(at: at(1000)) == nil)
  }

  @Test func oneThatWaitsToBeSpawnedAndIsStoppedIsOver() {
    var child = Child(.uplink, at: at(5))
    child.stop(at: at(1))
    #expect(child.hasEnded && child.demand(at: at(5)) == nil)
  }

  @Test func aHungOneThatIsStoppedIsKilledNoLater() {
    var child = spawned()
    _ = child.demand(at: at(10))
    #expect(child.demand(at: at(20)) == .signal(6, hung: true))
    child.stop(grace: .seconds(100), at: at(21))
    #expect(child.demand(at: at(25)) == .signal(9, hung: false))
  }

  @Test func hurryingSkipsItsGrace() {
    var child = spawned()
    child.hurry(at: at(1))
    #expect(child.demand(at: at(1)) == nil)
    child.stop(grace: .seconds(100), at: at(2))
    child.hurry(at: at(3))
    #expect(child.demand(at: at(3)) == .signal(15, hung: false))
    #expect(child.nextDeadline == at(4))
  }

  @Test func oneThatMisbehavesIsAbortedAndReplaced() {
    var child = spawned()
    child.misbehaved(at: at(2))
    #expect(child.demand(at: at(2)) == .signal(6, hung: false))
    child.misbehaved(at: at(3))
    #expect(child.demand(at: at(3)) == nil)
    var dice = Dice(seed: 1)
    #expect(child.died(.signal(6), at: at(3), dice: &dice) == .restart(after: .zero))
    #expect(child.demand(at: at(3)) == .spawn)
  }

  @Test func itsSuccessorIsAnotherGenerationWithNothingOfItsOwn() {
    var child = spawned()
    _ = child.demand(at: at(10))
    var dice = Dice(seed: 1)
    #expect(child.died(.code(1), at: at(11), dice: &dice) == .restart(after: .zero))
    #expect(child.run == nil && !child.isReady && !child.isCurrent(Generation(1)))
    #expect(child.demand(at: at(11)) == .spawn)
    child.spawned(Generation(2), at: at(11))
    #expect(child.run?.pid == nil)
    // The ping its predecessor did not answer is not held against it.
    #expect(child.demand(at: at(20)) == nil)
    #expect(child.demand(at: at(21)) == .ping)
  }

  @Test func eachKindHasItsPolicy() {
    var dice = Dice(seed: 1)
    for (key, ends): (ChildKey, Bool) in [
      (.uplink, false), (.listener(.specs), false), (.listener(.job(job(1))), true),
    ] {
      var child = spawned(key)
      child.finished()
      #expect((child.died(.code(0), at: at(2), dice: &dice) == .end) == ends, "\(key)")
    }
  }

  @Test func anExitWithZeroIsNoEndForOneThatHasNotSaidSo() {
    var dice = Dice(seed: 1)
    var child = spawned(.listener(.job(job(1))))
    #expect(child.died(.code(0), at: at(2), dice: &dice) == .restart(after: .zero))
  }
}

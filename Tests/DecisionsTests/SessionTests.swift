import Messages
import Testing

@testable import Decisions

@Suite struct SessionTests {
  private func session(heartbeat: Duration = .seconds(60)) -> Session {
    Session(heartbeatInterval: heartbeat, at: at(0))
  }

  private func ready(at now: Instant = at(0)) -> Session {
    var session = session()
    _ = session.demand(at: now, awaited: nil)
    _ = session.opened(at: now)
    session.authenticated(at: now)
    return session
  }

  /// - Parameter line: as it is seen when an answer is overdue.
  private func demands(
    _ session: inout Session, at now: Instant, awaited: Instant? = nil,
    line: LineState = LineState(taken: 0, waiting: 0)
  ) -> [Session.Demand] {
    var demands: [Session.Demand] = []
    while var demand = session.demand(at: now, awaited: awaited) {
      if demand == .look {
        guard let seen = session.seen(line, sent: 0, at: now, awaited: awaited) else { continue }
        demand = seen
      }
      demands.append(demand)
      if case .drop = demand { break }
    }
    return demands
  }

  private func isDrop(_ demands: [Session.Demand]) -> Bool {
    if case .drop(let reason) = demands.last { demands.count == 1 && !reason.isEmpty } else { false }
  }

  @Test func aWholeLife() {
    var dice = Dice(seed: 1)
    var session = session()
    #expect(session.state.name == "waiting")
    #expect(demands(&session, at: at(0)) == [.connect])
    #expect(session.state == .connecting(since: at(0)) && session.state.name == "connecting")
    #expect(session.opened(at: at(1)) == .authenticate)
    #expect(session.state.name == "authenticating" && !session.isReady)
    #expect(demands(&session, at: at(1)).isEmpty)
    session.authenticated(at: at(2))
    #expect(session.isReady && session.state.name == "ready")
    // The first heartbeat follows the authentication at once.
    #expect(session.nextDeadline(awaited: nil) == at(2))
    #expect(demands(&session, at: at(2)) == [.heartbeat])
    #expect(demands(&session, at: at(21.9)).isEmpty)
    #expect(demands(&session, at: at(22)) == [.ping])
    session.ponged()
    #expect(demands(&session, at: at(42)) == [.ping])
    session.ponged()
    #expect(demands(&session, at: at(62)) == [.heartbeat, .ping])
    session.lost("cut", at: at(63), dice: &dice)
    #expect(session.lastLoss == "cut" && !session.isReady && session.state.name == "waiting")
    guard case .waiting(let until) = session.state else { return }
    #expect(until >= at(63) && until <= at(64))
    #expect(session.nextDeadline(awaited: nil) == until)
    #expect(demands(&session, at: until) == [.connect])
    session.close()
    #expect(demands(&session, at: at(1000)).isEmpty && session.nextDeadline(awaited: nil) == nil)
    #expect(session.lost("late", at: at(1001), dice: &dice) == .zero)
    #expect(session.state == .closed && session.state.name == "closed")
  }

  @Test func anAttemptHasItsDeadline() {
    var session = session()
    _ = session.demand(at: at(0), awaited: nil)
    #expect(session.nextDeadline(awaited: nil) == at(30))
    #expect(demands(&session, at: at(29.9)).isEmpty)
    #expect(isDrop(demands(&session, at: at(30))))
  }

  @Test func theAuthenticationHasItsDeadline() {
    var session = session()
    _ = session.demand(at: at(0), awaited: nil)
    _ = session.opened(at: at(10))
    #expect(session.nextDeadline(awaited: nil) == at(40))
    #expect(demands(&session, at: at(39.9)).isEmpty)
    #expect(isDrop(demands(&session, at: at(40))))
  }

  @Test func anUpdatesAnswerHasItsDeadline() {
    var session = ready()
    _ = demands(&session, at: at(0))
    #expect(session.nextDeadline(awaited: at(-15)) == at(15))
    #expect(demands(&session, at: at(14.9), awaited: at(-15)).isEmpty)
    #expect(isDrop(demands(&session, at: at(15), awaited: at(-15))))
  }

  @Test func aPongHasItsDeadline() {
    var session = ready()
    _ = demands(&session, at: at(0))
    #expect(demands(&session, at: at(20)) == [.ping])
    #expect(session.nextDeadline(awaited: nil) == at(40))
    #expect(demands(&session, at: at(39.9)).isEmpty)
    #expect(isDrop(demands(&session, at: at(40))))
  }

  /// 1 MiB stands before a ping, and the line takes 10 KiB a second.
  @Test func aPongIsWaitedForAsLongAsTheLineMoves() {
    var session = ready()
    _ = demands(&session, at: at(0))
    #expect(demands(&session, at: at(20)) == [.ping])
    func line(_ second: Int) -> LineState {
      let taken = min(UInt64(second) * 10_240, 1 << 20)
      return LineState(taken: taken, waiting: 1 << 20 - taken)
    }
    for second in stride(from: 40, through: 120, by: 20) {
      let demands = demands(&session, at: at(Double(second)), line: line(second))
      #expect(!demands.contains { if case .drop = $0 { true } else { false } }, "\(second)")
      #expect(session.nextDeadline(awaited: nil).map { $0 > at(Double(second)) } == true)
    }
    // All of it was taken before the last look, and the wait is over 20 s after that.
    #expect(isDrop(demands(&session, at: at(140), line: line(140))))
  }

  @Test func aConnectionIsOpenedOnlyOnceAndOnlyWhenAskedFor() {
    var session = session()
    #expect(session.opened(at: at(0)) == nil)
    _ = session.demand(at: at(0), awaited: nil)
    #expect(session.opened(at: at(1)) == .authenticate)
    #expect(session.opened(at: at(2)) == nil)
    #expect(session.state == .authenticating(since: at(1)))
  }

  /// The delays before each of so many attempts, each of which ends as `attempt` says.
  private func ceilings(_ readyFor: [Double?]) -> [Duration] {
    // The largest of many draws stands for the ceiling.
    var largest = [Duration](repeating: .zero, count: readyFor.count)
    for seed in 0..<400 as Range<UInt64> {
      var dice = Dice(seed: seed)
      var session = session()
      var now = at(0)
      for (index, readyFor) in readyFor.enumerated() {
        _ = session.demand(at: now, awaited: nil)
        if let readyFor {
          _ = session.opened(at: now)
          session.authenticated(at: now)
          now = now + .seconds(readyFor)
        }
        let delay = session.lost("cut", at: now, dice: &dice)
        largest[index] = max(largest[index], delay)
        now = now + delay
      }
    }
    return largest
  }

  private func expect(_ delays: [Duration], near ceilings: [Double]) {
    for (delay, ceiling) in zip(delays, ceilings) {
      #expect(delay <= .seconds(ceiling) && delay > .seconds(ceiling * 0.9))
    }
  }

  @Test func lossesBackOffUpToTheCap() {
    expect(ceilings([nil, nil, nil, nil, nil, nil, nil]), near: [1, 2, 4, 8, 16, 30, 30])
  }

  @Test func aStableMinuteBeginsAnewAndLessDoesNot() {
    expect(ceilings([nil, nil, nil, 59.9, 60, 61, 1]), near: [1, 2, 4, 8, 1, 1, 2])
  }
}

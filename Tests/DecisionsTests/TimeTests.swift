import Messages
import TestSupport
import Testing

@testable import Decisions

@Suite struct TimeTests {
  @Test func diceAreRepeatable() {
    func throwsOf(_ seed: UInt64) -> [UInt64] {
      var dice = Dice(seed: seed)
      return (0..<5).map { _ in dice.next() }
    }
    #expect(throwsOf(1) == throwsOf(1))
    #expect(throwsOf(1) != throwsOf(2))
    // SplitMix64's published first outputs for the seed 1234567.
    #expect(
      throwsOf(1_234_567) == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
      ])
  }

  @Test func backoffDoublesUpToItsCapAndStaysThere() {
    let seed = testSeed("Backoff")
    var dice = Dice(seed: seed)
    var backoff = Backoff(first: .seconds(1), cap: .seconds(30))
    var largest = Duration.zero
    for attempt in 0..<10_000 {
      let ceiling = attempt < 5 ? Duration.seconds(1 << attempt) : .seconds(30)
      let delay = backoff.next(&dice)
      #expect(delay >= .zero && delay <= ceiling, "seed \(seed), attempt \(attempt)")
      if attempt >= 5 { largest = max(largest, delay) }
    }
    #expect(backoff.attempts == 10_000)
    // Full jitter: over so many draws the whole range is used.
    #expect(largest > .seconds(29))
    backoff.reset()
    #expect(backoff.attempts == 0)
    #expect(backoff.next(&dice) <= .seconds(1))
  }

  @Test func jitterIsFullFromTheFirstDelayOn() {
    var dice = Dice(seed: 7)
    let delays = (0..<1000).map { _ in
      var backoff = Backoff(first: .seconds(1), cap: .seconds(30))
      return backoff.next(&dice)
    }
    #expect(delays.contains { $0 < .milliseconds(100) })
    #expect(delays.contains { $0 > .milliseconds(900) })
    let mean = delays.reduce(.zero, +) / 1000
    #expect(mean > .milliseconds(450) && mean < .milliseconds(550))
  }

  @Test func backoffSurvivesExtremeSettings() {
    var dice = Dice(seed: 1)
    for (first, cap): (Duration, Duration) in [
      (.zero, .seconds(30)), (.seconds(60), .seconds(30)), (.nanoseconds(1), .seconds(86400)),
      (.seconds(1), .zero),
    ] {
      var backoff = Backoff(first: first, cap: cap)
      for _ in 0..<100 {
        let delay = backoff.next(&dice)
        #expect(delay >= .zero && delay <= cap)
      }
    }
  }

  @Test func instantsAndDurationsAgree() {
    #expect(at(1) + .milliseconds(500) == at(1.5))
    #expect(at(2) - at(0.5) == .milliseconds(1500))
    #expect(at(1) < at(2))
    #expect(Duration.milliseconds(1999).wholeSeconds == 1)
    #expect(Duration.microseconds(1999).wholeMilliseconds == 1)
    #expect(Duration.milliseconds(-1500).nanoseconds == -1_500_000_000)
    #expect(Duration.nanoseconds(Int64.max).nanoseconds == .max)
  }

  @Test func aDeadlineIsOnTheBootClockWithinItsBootAndOnTheWallClockAcross() {
    let deadline = Deadline(boot: at(100), bootID: "a", wall: WallTime(milliseconds: 1_000_000))
    let now = Moment(boot: at(5), wall: WallTime(milliseconds: 970_000))
    #expect(deadline.instant(inBoot: "a", at: now) == at(100))
    #expect(deadline.instant(inBoot: "b", at: now) == at(35))
    let late = Moment(boot: at(5), wall: WallTime(milliseconds: 1_002_000))
    #expect(deadline.instant(inBoot: "b", at: late) == at(3))
  }

  // MARK: Teardown

  @Test func aStopIsSIGTERMAndThenSIGKILL() {
    var stop = Teardown.stop(grace: .seconds(8), at: at(10))
    #expect(stop.nextSignalAt == at(10))
    #expect(stop.dueSignal(at: at(9.9)) == nil)
    #expect(stop.dueSignal(at: at(10)) == 15)
    #expect(stop.nextSignalAt == at(18))
    #expect(stop.dueSignal(at: at(17.9)) == nil)
    #expect(stop.dueSignal(at: at(18)) == 9)
    #expect(stop.nextSignalAt == nil)
    #expect(stop.dueSignal(at: at(1000)) == nil)
  }

  @Test func aHungProcessGetsSIGABRTAndThenSIGKILL() {
    var abort = Teardown.abort(at: at(0))
    #expect(abort.dueSignal(at: at(0)) == 6)
    #expect(abort.dueSignal(at: at(4.9)) == nil)
    #expect(abort.dueSignal(at: at(5)) == 9)
    #expect(abort.nextSignalAt == nil)
  }

  @Test func graceCountsFromWhenTheSignalWasSent() {
    var stop = Teardown.stop(grace: .seconds(8), at: at(0))
    #expect(stop.dueSignal(at: at(3)) == 15)
    #expect(stop.nextSignalAt == at(11))
  }

  @Test func hurryingSkipsTheGrace() {
    var stop = Teardown.stop(grace: .seconds(8), at: at(0))
    #expect(stop.dueSignal(at: at(0)) == 15)
    stop.hurry(at: at(1))
    #expect(stop.dueSignal(at: at(1)) == 9)
    stop.hurry(at: at(2))
    #expect(stop.nextSignalAt == nil && stop.dueSignal(at: at(2)) == nil)
  }

  // MARK: LineLimit

  @Test func aBurstPassesAndThenASteadyRate() {
    var limit = LineLimit(LineLimit.output, at: at(0))
    for _ in 0..<LineLimit.output.burst { #expect(limit.admit(at: at(0)).passes) }
    for _ in 0..<50 { #expect(!limit.admit(at: at(0)).passes) }
    let first = limit.admit(at: at(0.01))
    #expect(first.passes && first.droppedBefore == 50)
    let second = limit.admit(at: at(0.02))
    #expect(second.passes && second.droppedBefore == 0)
    // A thousand lines a second for ten seconds: a hundred of each second's pass.
    var passed = 0
    for index in 0..<10_000 where limit.admit(at: at(0.02 + Double(index) * 0.001)).passes { passed += 1 }
    #expect((900...1000).contains(passed))
  }

  @Test func silenceEarnsNoMoreThanTheBurst() {
    var limit = LineLimit(LineLimit.output, at: at(0))
    var passed = 0
    for _ in 0..<5000 where limit.admit(at: at(1_000_000_000)).passes { passed += 1 }
    #expect(passed == LineLimit.output.burst)
  }
}

/// Times from rows and frames may be anything: sums and differences stay at the limits.
@Suite struct TimeLimitTests {
  private static let limits: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]

  @Test func sumsAndDifferencesStayAtTheLimits() {
    for left in Self.limits {
      for right in Self.limits {
        let (one, other) = (Instant(nanoseconds: left), Instant(nanoseconds: right))
        let (wall, otherWall) = (WallTime(milliseconds: left), WallTime(milliseconds: right))
        #expect(isNear((one + .nanoseconds(right)).nanoseconds, sum(left, right)))
        #expect(isNear((one - other).nanoseconds, difference(left, right)))
        #expect((wall - otherWall) == .milliseconds(difference(left, right)))
        for duration in [Duration.seconds(left), .milliseconds(right), .nanoseconds(left)] {
          #expect((wall + duration).milliseconds >= wall.milliseconds || duration < .zero)
          #expect((wall - duration).milliseconds <= wall.milliseconds || duration < .zero)
          #expect((one + duration).nanoseconds >= one.nanoseconds || duration < .zero)
          _ = (duration.wholeSeconds, duration.wholeMilliseconds)
        }
      }
    }
    #expect(Duration.seconds(Int64.max).nanoseconds == .max && Duration.seconds(Int64.min).nanoseconds == .min)
    #expect((Duration.seconds(Int64.max) + .seconds(Int64.max)).wholeSeconds == 9_223_372_036)
    #expect(Duration.nanoseconds(1_500_000_001).nanoseconds == 1_500_000_001)
    #expect(Duration.nanoseconds(-1_500_000_001).nanoseconds == -1_500_000_001)
  }

  /// A duration's last second before the limits counts as the limit.
  private func isNear(_ one: Int64, _ other: Int64) -> Bool {
    let (difference, isBeyond) = one.subtractingReportingOverflow(other)
    return !isBeyond && difference.magnitude <= 1_000_000_000
  }

  private func sum(_ left: Int64, _ right: Int64) -> Int64 {
    let (sum, isBeyond) = left.addingReportingOverflow(right)
    return isBeyond ? (right < 0 ? .min : .max) : sum
  }

  private func difference(_ left: Int64, _ right: Int64) -> Int64 {
    let (difference, isBeyond) = left.subtractingReportingOverflow(right)
    return isBeyond ? (right < 0 ? .max : .min) : difference
  }
}

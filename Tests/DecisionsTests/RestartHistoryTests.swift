import Messages
import TestSupport
import Testing

@testable import Decisions

@Suite struct RestartHistoryTests {
  /// One death: how it ended, how long it had been ready (nil: never), and how long after the start it came.
  struct Death: Sendable {
    var exit: ProcessExit = .code(1)
    var readyFor: Double?
    var at: Double
  }

  enum Expected: Sendable, Equatable {
    case atOnce
    case backsOff(upTo: Double)
    case end
    case passUp
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var policy: RestartPolicy
    var deaths: [Death]
    var expected: [Expected]
  }

  static let table = [
    Row(
      testDescription: "the first death after Ready restarts at once, the next within a minute backs off",
      policy: .permanent,
      deaths: [Death(readyFor: 5, at: 5), Death(readyFor: 5, at: 11), Death(readyFor: 5, at: 17)],
      expected: [.atOnce, .backsOff(upTo: 0.25), .backsOff(upTo: 0.5)]),
    Row(
      testDescription: "a death before Ready backs off from the first", policy: .permanent,
      deaths: [Death(at: 0), Death(at: 1), Death(at: 2), Death(at: 3)],
      expected: [.backsOff(upTo: 0.25), .backsOff(upTo: 0.5), .backsOff(upTo: 1), .backsOff(upTo: 2)]),
    Row(
      testDescription: "reaching Ready does not forgive by itself", policy: .permanent,
      deaths: [Death(at: 0), Death(readyFor: 59.9, at: 61)],
      expected: [.backsOff(upTo: 0.25), .backsOff(upTo: 0.5)]),
    Row(
      testDescription: "a stable minute forgets", policy: .permanent,
      deaths: [
        Death(at: 0), Death(at: 1), Death(at: 2), Death(readyFor: 60, at: 70), Death(readyFor: 1, at: 72),
      ],
      expected: [
        .backsOff(upTo: 0.25), .backsOff(upTo: 0.5), .backsOff(upTo: 1), .atOnce, .backsOff(upTo: 0.25),
      ]),
    Row(
      testDescription: "signals and exit 0 restart what is permanent", policy: .permanent,
      deaths: [
        Death(exit: .signal(9), readyFor: 100, at: 100), Death(exit: .code(0), readyFor: 100, at: 200),
      ],
      expected: [.atOnce, .atOnce]),
    Row(
      testDescription: "exit 0 is the end of what is transient", policy: .transient,
      deaths: [Death(exit: .code(0), readyFor: 1, at: 1)], expected: [.end]),
    Row(
      testDescription: "exit 0 before Ready too", policy: .transient, deaths: [Death(exit: .code(0), at: 1)],
      expected: [.end]),
    Row(
      testDescription: "anything else restarts what is transient", policy: .transient,
      deaths: [Death(exit: .signal(15), readyFor: 1, at: 1), Death(exit: .code(70), readyFor: 1, at: 3)],
      expected: [.atOnce, .backsOff(upTo: 0.25)]),
    Row(
      testDescription: "nothing restarts what is temporary", policy: .temporary,
      deaths: [Death(exit: .code(78), at: 0), Death(exit: .signal(9), readyFor: 100, at: 1)],
      expected: [.end, .end]),
    Row(
      testDescription: "78 before the first Ready passes up", policy: .permanent,
      deaths: [Death(exit: .code(78), at: 0)], expected: [.passUp]),
    Row(
      testDescription: "78 of a transient child before its first Ready too", policy: .transient,
      deaths: [Death(at: 0), Death(exit: .code(78), at: 1)], expected: [.backsOff(upTo: 0.25), .passUp]),
    Row(
      testDescription: "78 after any Ready is a death like others", policy: .permanent,
      deaths: [
        Death(exit: .code(78), readyFor: 1, at: 1), Death(exit: .code(78), at: 2),
        Death(exit: .code(78), readyFor: 61, at: 70),
      ], expected: [.atOnce, .backsOff(upTo: 0.25), .atOnce]),
  ]

  private func judge(_ decision: RestartDecision, _ expected: Expected) -> Bool {
    switch (decision, expected) {
    case (.end, .end), (.passUp, .passUp): true
    case (.restart(.zero), .atOnce): true
    // A draw of exactly nothing is one in hundreds of millions.
    case (.restart(let delay), .backsOff(let ceiling)): delay > .zero && delay <= .seconds(ceiling)
    default: false
    }
  }

  @Test(arguments: table) func deathsAndWhatFollows(_ row: Row) {
    var history = RestartHistory()
    var dice = Dice(seed: 3)
    for (death, expected) in zip(row.deaths, row.expected) {
      if death.readyFor != nil { history.becameReady() }
      let decision = history.died(
        death.exit, readyFor: death.readyFor.map { .seconds($0) }, policy: row.policy, at: at(death.at),
        dice: &dice)
      #expect(judge(decision, expected), "\(decision) is not \(expected)")
    }
  }

  @Test func itNeverGivesUp() {
    let seed = testSeed("RestartHistory")
    var history = RestartHistory()
    var dice = Dice(seed: seed)
    var now = at(0)
    for death in 0..<10_000 {
      let decision = history.died(.signal(11), readyFor: nil, policy: .permanent, at: now, dice: &dice)
      guard case .restart(let delay) = decision, delay <= .seconds(30) else {
        Issue.record("seed \(seed), death \(death): \(decision)")
        return
      }
      now = now + delay
    }
  }

  @Test func whatItRemembersIsBounded() {
    var history = RestartHistory()
    var dice = Dice(seed: 1)
    for death in 0..<10_200 {
      _ = history.died(
        .code(1), readyFor: nil, policy: .permanent, at: at(Double(death) / 100), dice: &dice)
    }
    #expect(history.restartsInLastHour(at: at(200)) == 10_000)
    #expect(history.restartsInLastHour(at: at(10_000)) == 0)
    // The old ones make room.
    _ = history.died(.code(1), readyFor: nil, policy: .permanent, at: at(10_000), dice: &dice)
    #expect(history.restartsInLastHour(at: at(10_000)) == 1)
  }

  @Test func restartsOfTheLastHourAreCounted() {
    var history = RestartHistory()
    var dice = Dice(seed: 1)
    for minute in 0..<120 {
      _ = history.died(
        .code(1), readyFor: .seconds(61), policy: .permanent, at: at(Double(minute) * 60), dice: &dice)
    }
    #expect(history.restartsInLastHour(at: at(119 * 60)) == 61)
    #expect(history.restartsInLastHour(at: at(119 * 60 + 1)) == 60)
  }
}

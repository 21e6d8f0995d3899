import Identity
import Messages
import TestSupport
import Testing

@testable import DevFacilitator

/// What the facilitator is made to do wrong, and where jobs go.
@Suite struct FaultTests {
  private let statuses = ["received", "accepted", "executor_ready", "volumes_ready"]

  /// The outcomes of the statuses in turn, on a connection that is opened anew after each drop.
  private func run(_ faults: Faults) throws -> [[Outcome]] {
    var ledger = try Ledger.withJob(faults: faults)
    var connection = 1
    return try statuses.map { status in
      let outcomes = ledger.receives(Fixture.update(status), on: connection)
      if outcomes.contains(.drop) {
        _ = ledger.disconnected(connection, reason: "")
        connection += 1
        _ = ledger.connected(connection, validatorVersion: nil, runnerVersion: nil)
        _ = ledger.receives(try Fixture.authentication(Fixture.validator()), on: connection)
      }
      return outcomes
    }
  }

  @Test func dropAfterFallsOnce() throws {
    let accepted = StatusUpdateTests.accepted
    #expect(try run(Faults(dropAfter: 2)) == [accepted, accepted + [.drop], accepted, accepted])
  }

  @Test func dropBeforeAnswerKeepsTheRow() throws {
    let accepted = StatusUpdateTests.accepted
    #expect(
      try run(Faults(dropBeforeAnswer: 3)) == [accepted, accepted, [.event("accepted"), .drop], accepted])
  }

  @Test func bothAtOnceLeaveTheAnswerOut() throws {
    #expect(try run(Faults(dropAfter: 1, dropBeforeAnswer: 1)).first == [.event("accepted"), .drop])
  }

  @Test func answerErrorKeepsNoRow() throws {
    var ledger = try Ledger.withJob(faults: Faults(answerError: Faults.AnswerError(type: "a:b", count: 2)))
    let frame = Fixture.update("received")
    let refused: [Outcome] = [.event("refused"), .error("a:b")]
    #expect((0..<3).map { _ in ledger.receives(frame) } == [refused, refused, StatusUpdateTests.accepted])
  }

  @Test func neverAnsweringKeepsRowsAndAuthenticates() throws {
    var ledger = try Ledger.withJob(faults: Faults(neverAnswers: true), authenticated: false)
    #expect(ledger.receives(Fixture.update("received")) == [.event("refused")])
    #expect(
      Array(ledger.receives(try Fixture.authentication(Fixture.validator())).prefix(2))
        == [.event("authenticated"), .success])
    #expect(ledger.receives(Fixture.update("received")) == [.event("accepted")])
    #expect(ledger.receives(Fixture.update("received")) == [.event("duplicate")])
    #expect(ledger.receives(Array("x".utf8)) == [.event("unparsable")])
    ledger.faults.neverAnswers = false
    #expect(ledger.receives(Fixture.update("received")) == StatusUpdateTests.duplicate)
  }

  @Test func whoIsIllAuthenticatesAndKeepsNoRow() throws {
    let ends: [Faults.Illness: Outcome] = [.drops: .drop, .closes: .close(1011)]
    for illness in Faults.Illness.allCases {
      var ledger = try Ledger.withJob(faults: Faults(illness: illness))
      let outcomes = ledger.receives(Fixture.update("received"))
      #expect(outcomes.first == .event("refused") && outcomes.count == 2)
      if let end = ends[illness] { #expect(outcomes.last == end) }
      ledger.faults.illness = nil
      if ends[illness] == nil { #expect(ledger.receives(Fixture.update("received")) == StatusUpdateTests.accepted) }
    }
  }

  // MARK: Jobs

  @Test func jobsGoToTheNewestAuthenticatedConnection() throws {
    var ledger = try Ledger.withJob()
    let job = try #require(JobID(Fixture.otherUUID))
    let frame = try Fixture.authentication(Fixture.validator())
    func target() -> Int? {
      for case .send(let connection, _) in ledger.send(job: job, request: []) { return connection }
      return nil
    }
    _ = ledger.connected(2, validatorVersion: nil, runnerVersion: nil)
    #expect(target() == 1)
    #expect(ledger.receives(frame, on: 2) == [.event("authenticated"), .success])
    #expect(target() == 2)
    #expect(ledger.receives(Fixture.update("received"), on: 1) == StatusUpdateTests.accepted)
    _ = ledger.disconnected(2, reason: "")
    #expect(target() == 1)
    _ = ledger.disconnected(1, reason: "")
    #expect(target() == nil)
  }

  @Test func waitingJobsKeepTheirOrderAndAreSentOnce() throws {
    var ledger = Ledger()
    for (uuid, text) in [(Fixture.uuid, "one"), (Fixture.otherUUID, "two")] {
      #expect(ledger.send(job: try #require(JobID(uuid)), request: Array(text.utf8)) == [])
    }
    let frame = try Fixture.authentication(Fixture.validator())
    var sent: [[Outcome]] = []
    for connection in 1...2 {
      _ = ledger.connected(connection, validatorVersion: nil, runnerVersion: nil)
      sent.append(Array(ledger.receives(frame, on: connection).dropFirst(2)))
    }
    #expect(sent == [[.event("job_sent"), .text("one"), .event("job_sent"), .text("two")], []])
  }

  @Test func aJobSentAgainKeepsItsRows() throws {
    var ledger = try Ledger.withJob()
    #expect(ledger.receives(Fixture.update("received")) == StatusUpdateTests.accepted)
    _ = ledger.send(job: try #require(JobID(Fixture.uuid)), request: [])
    #expect(ledger.receives(Fixture.update("received")) == StatusUpdateTests.duplicate)
  }

  @Test func rawTextNeedsAConnectionAndMakesItsJobKnown() throws {
    var ledger = Ledger()
    #expect(ledger.send(raw: Array("x".utf8)).map { Outcome($0) } == [.event("bad_command")])
    ledger = try Ledger.withJob()
    #expect(ledger.send(raw: Array("x".utf8)) == [.send(1, Array("x".utf8))])
    guard case .job(let job) = try Command(line: Array(#"{"command":"job","uuid":"\#(Fixture.otherUUID)"}"#.utf8))
    else { throw FixtureError.unusable }
    let request = try job.request(signedBy: Fixture.validator(), timestamp: 1)
    let text = String(decoding: request, as: UTF8.self)
    #expect(
      ledger.send(raw: request) == [
        .report(.jobSent(1, uuid: Fixture.otherUUID, frame: text)), .send(1, request),
      ])
    #expect(
      ledger.receives(Fixture.update("received", uuid: Fixture.otherUUID)) == StatusUpdateTests.accepted)
  }

  @Test func droppingAndClosingAreForEveryOpenConnection() throws {
    var ledger = try Ledger.withJob()
    _ = ledger.connected(2, validatorVersion: nil, runnerVersion: nil)
    #expect(
      ledger.closeAll(code: 1012, reason: "r") == [
        .discardWaiting(1), .close(1, code: 1012, reason: "r"), .discardWaiting(2),
        .close(2, code: 1012, reason: "r"),
      ])
    #expect(ledger.dropAll(reason: "") == [])
    _ = ledger.connected(3, validatorVersion: nil, runnerVersion: nil)
    #expect(ledger.dropAll(reason: "r") == [.discardWaiting(3), .drop(3, reason: "r")])
  }

  /// Whatever arrives is answered at most once, and never sends anything else.
  @Test func arbitraryAndMutatedFramesAreHandled() throws {
    let seed = testSeed("DevFacilitator FaultTests")
    var random = SplitMix64(state: seed)
    let frames = [Fixture.update("received"), Fixture.specs, try Fixture.authentication(Fixture.validator())]
    for _ in 0..<800 {
      guard var frame = frames.randomElement(using: &random) else { continue }
      for _ in 0..<Int.random(in: 0...3, using: &random) where !frame.isEmpty {
        let place = Int.random(in: 0..<frame.count, using: &random)
        switch Int.random(in: 0...2, using: &random) {
        case 0: frame[place] = .random(in: 0...255, using: &random)
        case 1: frame.removeSubrange(place...)
        default: frame.insert(Array("\"{}[]:,\\u0-e".utf8).randomElement(using: &random) ?? 0, at: place)
        }
      }
      var ledger = try Ledger.withJob(authenticated: Bool.random(using: &random))
      let answers = ledger.received(frame, on: 1).filter { if case .answer = $0 { true } else { false } }
      #expect(answers.count <= 1, "\(text(frame))")
    }
  }
}

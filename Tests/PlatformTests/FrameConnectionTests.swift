import Glibc
import Messages
import Testing

@testable import Platform

@Suite struct FrameConnectionTests {
  private func pair(limit: Int = 1 << 20, outgoingLimit: Int = 1 << 20) throws -> (
    FrameConnection, FrameConnection
  ) {
    let (ours, theirs) = try UnixSocket.pair()
    return (
      FrameConnection(ours, limit: limit, outgoingLimit: outgoingLimit),
      FrameConnection(theirs, limit: limit, outgoingLimit: outgoingLimit)
    )
  }

  private func frame(_ number: Int, bytes: Int) -> [UInt8] {
    ListenerToUplink.update(
      SequenceNumber(1), .completed,
      metadata: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes)
    ).frame(generation: Generation(UInt64(number)))
  }

  private func failure(_ body: () throws(FrameConnection.Failure) -> Void) -> FrameConnection.Failure? {
    do throws(FrameConnection.Failure) {
      try body()
      return nil
    } catch { return error }
  }

  @Test func messagesArriveWholeAndInOrder() throws {
    let (ours, theirs) = try pair()
    for number in 0..<100 {
      try ours.send(SupervisorToListener.ping(UInt64(number)).frame(generation: Generation(7)))
    }
    #expect(try theirs.next(SupervisorToListener.self) == nil)
    #expect(try theirs.fill())
    for number in 0..<100 {
      let (message, generation) = try #require(try theirs.next(SupervisorToListener.self))
      #expect(message == .ping(UInt64(number)) && generation == Generation(7))
    }
    #expect(try theirs.next(SupervisorToListener.self) == nil)
    #expect(try !theirs.fill())
    #expect(!theirs.atEnd)
  }

  @Test func moreThanTheSocketTakesFollowsWithFlush() throws {
    let (ours, theirs) = try pair(limit: 1 << 23, outgoingLimit: 1 << 24)
    for number in 0..<5 { try ours.send(frame(number, bytes: 2_000_000)) }
    #expect(ours.wantsToWrite)
    var got: [UInt64] = []
    while got.count < 5 {
      try ours.flush()
      try theirs.fill()
      while let (message, generation) = try theirs.next(ListenerToUplink.self) {
        guard case .update(_, _, let body) = message else { continue }
        #expect(body == [UInt8](repeating: UInt8(generation.number), count: 2_000_000))
        got.append(generation.number)
      }
    }
    #expect(got == [0, 1, 2, 3, 4])
    #expect(!ours.wantsToWrite)
  }

  @Test func aPeerThatDoesNotReadIsReportedAndCostsNoMoreThanTheLimit() throws {
    let limit = 100_000
    let (ours, theirs) = try pair(outgoingLimit: limit)
    var sent = 0
    var failure: FrameConnection.Failure?
    while failure == nil, sent < 10_000 {
      failure = self.failure { () throws(FrameConnection.Failure) in try ours.send(frame(sent, bytes: 1000)) }
      sent += 1
    }
    guard case .notReading(let bytes) = failure else {
      Issue.record("\(String(describing: failure)) after \(sent) frames")
      return
    }
    #expect(bytes > limit && bytes <= limit + frame(0, bytes: 1000).count)
    #expect(failure?.description.contains("\(bytes)") == true)
    // Nothing of it is lost, should the peer read after all.
    var got = 0
    while got < sent {
      try theirs.fill()
      while let (_, generation) = try theirs.next(ListenerToUplink.self) {
        #expect(generation.number == UInt64(got))
        got += 1
      }
      try ours.flush()
    }
    try ours.send(frame(0, bytes: 1000))
  }

  @Test func theEndShowsBehindWhatWasSent() throws {
    var pair: (FrameConnection, FrameConnection)? = try self.pair()
    let theirs = try #require(pair?.1)
    try pair?.0.send(ListenerToSupervisor.ready.frame(generation: .none))
    try pair?.0.send(ListenerToSupervisor.finished.frame(generation: .none).dropLast())
    pair = nil
    while !theirs.atEnd { try theirs.fill() }
    #expect(try theirs.next(ListenerToSupervisor.self)?.message == .ready)
    #expect(try theirs.next(ListenerToSupervisor.self) == nil)
  }

  /// A peer that has gone is an error, not a signal that ends us.
  @Test func sendingToAPeerThatHasGoneIsAnError() throws {
    var pair: (FrameConnection, FrameConnection)? = try self.pair()
    let ours = try #require(pair?.0)
    pair = nil
    let told = eventually {
      let failure = failure { () throws(FrameConnection.Failure) in try ours.send([1, 2, 3]) }
      if case .system(let error) = failure { return error.code == EPIPE } else { return false }
    }
    #expect(told)
  }

  @Test func shuttingDownShowsAtBothEnds() throws {
    let (ours, theirs) = try pair()
    ours.shutDown()
    try ours.fill()
    try theirs.fill()
    #expect(ours.atEnd && theirs.atEnd)
  }

  @Test func framesThatCannotBeAreErrors() throws {
    let (ours, theirs) = try pair(limit: 10)
    try ours.send(frame(1, bytes: 100))
    try ours.send([0, 0, 0, 1, 0xc1])
    try ours.send(ListenerToSupervisor.ready.frame(generation: .none))
    try theirs.fill()
    let declared = frame(1, bytes: 100).count - 4
    guard
      case .frame(.tooLarge(declared, limit: 10)) = failure({ () throws(FrameConnection.Failure) in
        _ = try theirs.nextBody()
      })
    else {
      Issue.record("not refused as too large")
      return
    }
    theirs.skip(declared: declared)
    guard
      case .frame(.notMessagePack) = failure({ () throws(FrameConnection.Failure) in
        _ = try theirs.next(ListenerToSupervisor.self)
      })
    else {
      Issue.record("not refused as not MessagePack")
      return
    }
    #expect(try theirs.next(ListenerToSupervisor.self)?.message == .ready)
  }
}

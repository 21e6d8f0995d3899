import Glibc
import Testing

@testable import Platform

@Suite struct PollerTests {
  @Test func whatIsReadyIsToldWithItsToken() throws {
    let poller = try Poller()
    let (ours, theirs) = try UnixSocket.pair()
    try poller.watch(ours, token: .max, read: true, write: false)
    #expect(try poller.wait(timeout: 0).isEmpty)
    #expect(send(theirs.number, "x", 1, 0) == 1)
    // Level-triggered: told until it is read.
    for _ in 0..<2 {
      let ready = Array(try poller.wait(timeout: nil))
      #expect(ready.count == 1)
      #expect(ready[0].token == .max && ready[0].readable && !ready[0].writable && !ready[0].hungUp)
    }
    _ = try ours.read(upTo: 10)
    #expect(try poller.wait(timeout: 0).isEmpty)
  }

  @Test func whatIsWatchedForCanBeChanged() throws {
    let poller = try Poller()
    let (ours, theirs) = try UnixSocket.pair()
    #expect(send(theirs.number, "x", 1, 0) == 1)
    try poller.watch(ours, token: 1, read: false, write: false)
    #expect(try poller.wait(timeout: 0).isEmpty)
    try poller.watch(ours, token: 2, read: false, write: true)
    var ready = try #require(try poller.wait(timeout: nil).first)
    #expect(ready.token == 2 && ready.writable && !ready.readable)
    try poller.watch(ours, token: 3, read: true, write: true)
    ready = try #require(try poller.wait(timeout: nil).first)
    #expect(ready.token == 3 && ready.writable && ready.readable)
  }

  @Test func aHangUpIsToldWhateverIsWatchedFor() throws {
    let poller = try Poller()
    var pair: (ours: Descriptor, theirs: Descriptor)? = try UnixSocket.pair()
    let ours = try #require(pair?.ours)
    try poller.watch(ours, token: 1, read: false, write: false)
    #expect(try poller.wait(timeout: 0).isEmpty)
    pair = nil
    let ready = try #require(try poller.wait(timeout: nil).first)
    #expect(ready.hungUp && !ready.readable && !ready.writable)
  }

  @Test func aPeerThatSendsNoMoreHasNotHungUp() throws {
    let poller = try Poller()
    let (ours, theirs) = try UnixSocket.pair()
    try poller.watch(ours, token: 1, read: true, write: false)
    shutdown(theirs.number, Int32(SHUT_WR))
    let ready = try #require(try poller.wait(timeout: nil).first)
    #expect(ready.readable && !ready.hungUp)
    #expect(try ours.read(upTo: 10) == [])
  }

  /// A number that is used again is another descriptor.
  @Test func whatIsWatchedNoLongerIsForgotten() throws {
    let poller = try Poller()
    for round in 0..<50 as Range<UInt64> {
      let (ours, theirs) = try UnixSocket.pair()
      try poller.watch(ours, token: round, read: true, write: false)
      #expect(send(theirs.number, "x", 1, 0) == 1)
      #expect(try poller.wait(timeout: nil).map(\.token) == [round])
      poller.unwatch(ours)
      #expect(try poller.wait(timeout: 0).isEmpty)
      poller.unwatch(ours)
    }
  }

  @Test func manyAreWatchedAtOnce() throws {
    let poller = try Poller()
    let pairs = try (0..<100).map { _ in try UnixSocket.pair() }
    for (index, pair) in pairs.enumerated() {
      try poller.watch(pair.ours, token: UInt64(index), read: true, write: false)
      #expect(send(pair.theirs.number, "x", 1, 0) == 1)
    }
    var seen: Set<UInt64> = []
    while seen.count < 100 {
      for ready in try poller.wait(timeout: nil) {
        seen.insert(ready.token)
        _ = try pairs[Int(ready.token)].ours.read(upTo: 10)
      }
    }
    #expect(try poller.wait(timeout: 0).isEmpty)
  }
}

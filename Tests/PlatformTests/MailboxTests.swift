import Glibc
import Synchronization
import Testing

@testable import Platform

@Suite struct MailboxTests {
  @Test func whatWaitsIsTakenAtOnceAndInOrder() throws {
    let mailbox = Mailbox<Int>()
    for number in 0..<100 { #expect(mailbox.put(number)) }
    let taken = try #require(mailbox.takeAll())
    #expect(taken.elements == Array(0..<100))
    #expect(taken.refused == 0)
  }

  @Test func whatFindsNoRoomIsRefusedAndCounted() throws {
    let mailbox = Mailbox<Int>(capacity: 3)
    #expect((0..<5).map { mailbox.put($0) } == [true, true, true, false, false])
    let first = try #require(mailbox.takeAll())
    #expect(first.elements == [0, 1, 2] && first.refused == 2)
    #expect(mailbox.put(5))
    let second = try #require(mailbox.takeAll())
    #expect(second.elements == [5] && second.refused == 0)
  }

  @Test func whatWaitedWhenItWasClosedIsStillTaken() throws {
    let mailbox = Mailbox<Int>()
    #expect(mailbox.put(1))
    mailbox.close()
    #expect(!mailbox.put(2))
    #expect(try #require(mailbox.takeAll()).elements == [1])
    #expect(mailbox.takeAll() == nil)
    #expect(mailbox.takeAll() == nil)
  }

  /// From many threads to one: each thread's own order is kept, and nothing is lost or doubled.
  @Test func manyThreadsPutAndOneTakes() throws {
    let mailbox = Mailbox<(thread: Int, number: Int)>()
    let running = Atomic(8)
    for thread in 0..<8 {
      try BackgroundThread.start {
        for number in 0..<2000 { mailbox.put((thread, number)) }
        if running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { mailbox.close() }
      }
    }
    var next = [Int](repeating: 0, count: 8)
    while let taken = mailbox.takeAll() {
      for (thread, number) in taken.elements {
        #expect(number == next[thread])
        next[thread] = number + 1
      }
    }
    #expect(next == [Int](repeating: 2000, count: 8))
  }

  /// Idle is not empty: what the reader has taken and still works on counts.
  @Test func idleMeansThatTheReaderIsDone() throws {
    let mailbox = Mailbox<Int>()
    let finished = Atomic(0)
    try BackgroundThread.start {
      while let taken = mailbox.takeAll() {
        for _ in taken.elements { usleep(2000) }
        finished.add(taken.elements.count, ordering: .acquiringAndReleasing)
      }
    }
    for round in 1...5 {
      for number in 0..<5 { mailbox.put(number) }
      mailbox.waitUntilIdle(milliseconds: 600_000)
      #expect(finished.load(ordering: .acquiring) == 5 * round)
    }
    mailbox.close()
  }

  /// Without a reader the wait ends by itself.
  @Test(arguments: [0, 1, 20]) func theWaitIsBounded(_ milliseconds: Int) {
    let mailbox = Mailbox<Int>()
    mailbox.waitUntilIdle(milliseconds: 600_000)
    mailbox.put(1)
    mailbox.waitUntilIdle(milliseconds: milliseconds)
  }

  @Test func threadsLeaveSignalsToThoseThatAskForThem() throws {
    let results = Mailbox<[Bool]>()
    try BackgroundThread.start {
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      results.put([SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1].map { sigismember(&mask, $0) == 1 })
    }
    #expect(results.takeAll()?.elements == [[true, true, true, true, true]])
  }
}

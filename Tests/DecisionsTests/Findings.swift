import Messages
import Testing

@testable import Decisions

/// What the design asks for and the code does not do yet.
@Suite struct Findings {
  /// An update that takes the facilitator down with it: the attempts that fail while it comes up again say nothing
  /// about the update, neither for it nor against it.
  @Test func failedAttemptsInBetweenDoNotClearAnUpdateThatEndsConnections() {
    var outbox = Outbox(window: 4)
    for number in 1...20 { outbox.enqueue(entry(Int64(number), job(number), .received)) }
    var now = at(0)
    var delivered: Set<Int64> = []
    var connections = 0
    while delivered.count < 19, connections < 100 {
      connections += 1
      now = now + .seconds(61)
      outbox.connected(at: now)
      var sent: [OutboxEntry] = []
      connection: while true {
        while let entry = outbox.next(at: now) { sent.append(entry) }
        if sent.isEmpty {
          guard let probe = outbox.nextDeadline else { break }
          now = probe
          continue
        }
        if sent.removeFirst().job == job(1) { break connection }
        if case .delivered(let entry, _) = outbox.answered(.success, at: now) { delivered.insert(entry.id.number) }
      }
      outbox.connectionLost(disagreeing: false, at: now)
      // One attempt at the next connection fails: nothing was in flight.
      outbox.connectionLost(disagreeing: false, at: now + .seconds(1))
    }
    #expect(delivered == Set(2...20), "after \(connections) connections")
  }
}

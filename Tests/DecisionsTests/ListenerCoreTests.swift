import Messages
import TestSupport
import Testing

@testable import Decisions

/// A Listener between Uplink and the Supervisor.
@Suite struct ListenerCoreTests {
  @Test func readyFollowsUplinksWelcomeAndIsSaidOnce() {
    var listener = ListenerUnderTest()
    #expect(listener.core.start() == [.connectUplink])
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(job(1)))])
    #expect(listener.uplink(.welcome(ended: false)) == [.toSupervisor(.ready)])
    listener.does(.uplinkLost)
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(job(1)))])
    #expect(listener.uplink(.welcome(ended: false)).isEmpty)
  }

  @Test func aLostUplinkIsConnectedToAgain() {
    var listener = ListenerUnderTest.welcomed()
    listener.now = at(10)
    // Its successor is on the way, and the socket is there.
    #expect(listener.does(.uplinkLost) == [.connectUplink])
    #expect(listener.core.nextDeadline == nil)
    listener.does(.uplinkConnected)
    // One that goes before it has welcomed might do so for ever.
    #expect(listener.does(.uplinkLost).isEmpty)
    let due = listener.core.nextDeadline
    #expect(due.map { $0 > at(10) && $0 <= at(11) } == true)
    #expect(listener.does(.timeReached).isEmpty)
    listener.now = due ?? at(0)
    #expect(listener.does(.timeReached) == [.connectUplink])
    #expect(listener.core.nextDeadline == nil && listener.does(.timeReached).isEmpty)
    // The attempt fails: again.
    listener.does(.uplinkLost)
    #expect(listener.core.nextDeadline != nil)
  }

  /// What waits may be what ends the connection, and goes again on the next one.
  @Test func anUplinkThatIsLostWithItsWelcomeIsNotConnectedToWithoutAPause() {
    var listener = ListenerUnderTest.welcomed()
    listener.sends(.accepted)
    listener.now = at(10)
    listener.does(.uplinkLost)
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    listener.now = at(10.1)
    #expect(listener.does(.uplinkLost).isEmpty)
    #expect(listener.core.nextDeadline.map { $0 > at(10.1) && $0 <= at(11) } == true)
  }

  @Test func aJobThatUplinkDoesNotKnowIsLeft() {
    var listener = ListenerUnderTest()
    listener.does(.uplinkConnected)
    #expect(listener.uplink(.unknownJob) == [.toSupervisor(.finished), .exit(0)])
  }

  @Test func theSpecsListenerNamesNoJobAndPassesSpecsOn() {
    var listener = ListenerUnderTest(job: nil)
    #expect(listener.does(.uplinkConnected) == [.toUplink(.hello(nil))])
    listener.uplink(.welcome(ended: false))
    listener.does(.workerConnected(ConnectionID(1)))
    let specs = MachineSpecs(minerHotkey: "m", batchID: "b", specs: [1])
    #expect(
      listener.does(.workerRequest(ConnectionID(1), WorkerRequest(id: .int(7), content: .specs(specs))))
        == [.toUplink(.specs(SequenceNumber(1), specs))])
    #expect(listener.uplink(stored(1)) == [answer(.stored, id: 7)])
  }

  @Test func pingsAreAnswered() {
    var listener = ListenerUnderTest()
    #expect(listener.does(.fromSupervisor(.ping(.max))) == [.toSupervisor(.pong(.max))])
  }

  // MARK: Everything at once

  /// Whatever happens in whatever order: an answer only for what Uplink settled, in order, once; what is not
  /// settled is always said to the Uplink that is there.
  @Test func randomEventsKeepThePromises() {
    let seed = testSeed("ListenerCore")
    for round in 0..<300 as Range<UInt64> {
      var random = SplitMix64(state: seed &+ round)
      var listener = ListenerUnderTest()
      var asked: [UInt64: [Int64]] = [:]
      var answered: [UInt64: [Int64]] = [:]
      var settled: Set<Int64> = []
      var wrong: Set<Int64> = []
      var idOf: [UInt64: Int64] = [:]
      var atUplink: [UInt64] = []
      var next: Int64 = 0
      var up = false
      var greeted = false
      var shown: Comment { "seed \(seed), round \(round)" }

      func carryOut(_ actions: [ListenerCore.Action]) {
        for action in actions {
          switch action {
          case .toUplink(.update(let number, _, _)):
            #expect(up && greeted, shown)
            #expect(atUplink.allSatisfy { $0 < number.number }, shown)
            atUplink.append(number.number)
          case .answer(let connection, .some(.int(let id)), _):
            #expect(settled.contains(id) || wrong.contains(id), shown)
            answered[connection.number, default: []].append(id)
          default: break
          }
        }
      }

      for _ in 0..<Int.random(in: 10...200, using: &random) {
        let connection = UInt64.random(in: 1...3, using: &random)
        switch Int.random(in: 0...9, using: &random) {
        case 0 where !up:
          up = true
          greeted = false
          carryOut(listener.does(.uplinkConnected))
        case 1 where up && !greeted:
          greeted = true
          carryOut(listener.uplink(.welcome(ended: false)))
        case 2 where up && Int.random(in: 0...3, using: &random) == 0:
          up = false
          atUplink = []
          carryOut(listener.does(.uplinkLost))
        case 3 where asked[connection] == nil:
          asked[connection] = []
          carryOut(listener.does(.workerConnected(ConnectionID(connection))))
        case 4...6 where asked[connection] != nil:
          next += 1
          asked[connection]?.append(next)
          if Int.random(in: 0...4, using: &random) == 0 {
            wrong.insert(next)
            carryOut(listener.sendsWrong(.invalid, id: next, on: connection))
          } else {
            idOf[UInt64(idOf.count + 1)] = next
            carryOut(listener.sends(.accepted, id: next, on: connection))
          }
        case 7...9 where greeted && up && !atUplink.isEmpty:
          // Mostly the oldest; a refusal overtakes.
          let place = Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: atUplink.indices, using: &random) : 0
          let number = atUplink.remove(at: place)
          settled.insert(idOf[number] ?? 0)
          carryOut(listener.uplink(place == 0 ? stored(number) : .refused(SequenceNumber(number), .jobClosed, "")))
        default: break
        }
        for (connection, ids) in answered { #expect(asked[connection]?.starts(with: ids) == true, shown) }
      }
      // In the end all of it is settled, and each connection has all its answers in order.
      if !up {
        up = true
        greeted = false
        carryOut(listener.does(.uplinkConnected))
      }
      if !greeted {
        greeted = true
        carryOut(listener.uplink(.welcome(ended: false)))
      }
      while !atUplink.isEmpty {
        let number = atUplink.removeFirst()
        settled.insert(idOf[number] ?? 0)
        carryOut(listener.uplink(stored(number)))
      }
      for (connection, ids) in asked { #expect(answered[connection] ?? [] == ids, shown) }
    }
  }
}

import MessagePack
import Messages
import Rehearsal
import Stage
import Synchronization
import Testing
import WorkerClient

extension Hostile {
  /// Lines that take little at a time. Uplink's clock runs ten times as fast.
  @Suite struct SlowLines {
    private static let haste = 10

    /// A facilitator that reads so many bytes a second on Uplink's clock, and does what it should.
    private func onSlowLine(
      kibibytes: Int, spoiling spoil: @escaping @Sendable ([UInt8]) -> [UInt8]? = { _ in nil },
      _ body: (Rehearsal, HostileFacilitator) throws -> Void
    ) throws {
      try withHostileFacilitator { connection in
        connection.readNoFaster(than: kibibytes * 1024 * Self.haste)
        try connection.welcome()
        try connection.serve(spoiling: spoil)
      } change: { settings in
        settings.environment = ["HORDELINK_HASTE=\(Self.haste)"]
      } _: { rehearsal, facilitator in
        try body(rehearsal, facilitator)
      }
    }

    private func text(_ bytes: Int) -> MessagePackValue { .string(String(repeating: "x", count: bytes)) }

    private func map(_ pairs: [(String, MessagePackValue)]) -> MessagePackValue {
      .map(pairs.map { MessagePackPair(.string($0.0), $0.1) })
    }

    /// A full batch takes 102 s, and a pong may take 20.
    @Test func aBatchOfSpecsComesThroughOnOneConnection() throws {
      let count = 64
      let arrived = Mutex(0)
      try onSlowLine(kibibytes: 10) { text in
        if String(decoding: text.prefix(64), as: UTF8.self).contains("V0MachineSpecsUpdate") {
          arrived.withLock { $0 += 1 }
        }
        return nil
      } _: { rehearsal, facilitator in
        _ = try rehearsal.readyChild("specs-listener")
        let listener = try WaitingConnection(
          connectingTo: rehearsal.runtimeDirectory + "/specs.sock", limit: 1 << 20)
        for number in 0..<count {
          var encoder = MessagePackEncoder()
          encoder.value(
            map([
              ("type", .string("machine.specs")), ("batch_id", .string("b")), ("miner_hotkey", .string("m\(number)")),
              ("specs", map([("gpu", text((1 << 20) / count))])),
            ]))
          listener.send(encoder.framedBytes)
        }
        let sent = Deadline.after(milliseconds: 20_000)
        var stored = 0
        while stored < count, sent.millisecondsLeft > 0 {
          if try listener.nextBody() != nil { stored += 1 } else { _ = try listener.turn(until: sent) }
        }
        #expect(stored == count)
        try rehearsal.until("\(count) specs") { _, _ in arrived.withLock { $0 } >= count }
        #expect(facilitator.connectionCount == 1)
        #expect(arrived.withLock { $0 } == count)
      }
    }

    /// All of them are in flight at once, and take 90 s.
    @Test func largeUpdatesComeThroughOnOneConnection() throws {
      let metadata = map([
        (
          "miner_response",
          map([("docker_process_stdout", text(300_000)), ("docker_process_stderr", .string(""))])
        )
      ])
      try onSlowLine(kibibytes: 20) { rehearsal, facilitator in
        let jobs = try (0..<6).map { _ in try rehearsal.startJob(at: facilitator) }
        for job in jobs { #expect(try rehearsal.worker(job).send(.accepted, metadata: metadata) == .stored) }
        for job in jobs { try rehearsal.expectAccepted(job, [.received, .accepted], by: facilitator) }
        #expect(facilitator.connectionCount == 1)
      }
    }
  }
}

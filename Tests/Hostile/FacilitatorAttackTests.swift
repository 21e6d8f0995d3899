import Glibc
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension Hostile {
  /// What a facilitator may do to Uplink, and what must come of it: bounded memory, descriptors and lines, and jobs that go on.
  @Suite struct FacilitatorAttacks {
    /// Runs an attack of the second connection's while a job that the first one brought goes on; the others are served as they
    /// should be.
    ///
    /// - Parameters:
    ///   - attack: what the second connection does once it is welcomed.
    ///   - check: is called while the job has reports to make, after the attack.
    private func duringAttack(
      _ name: String, _ attack: @escaping @Sendable (HostileConnection) throws -> Void,
      check: (Rehearsal, HostileFacilitator) throws -> Void = { _, _ in }
    ) throws {
      try withHostileFacilitator { connection in
        try connection.welcome()
        if connection.number == 2 { try attack(connection) } else { try connection.serve() }
      } _: { rehearsal, facilitator in
        let job = try rehearsal.startJob(at: facilitator)
        let uplink = try rehearsal.readyChild("uplink")
        facilitator.serving?.shutDown()
        try rehearsal.until("the attack") { _, _ in facilitator.connectionCount >= 2 }
        for status in reported.prefix(3) { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.until("a connection after the attack") { _, _ in
          facilitator.connectionCount >= 3 && facilitator.serving != nil
        }
        for status in reported.dropFirst(3) { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator)
        #expect(try rehearsal.readyChild("uplink").pid == uplink.pid)
        try rehearsal.expectPeakMemoryWithinBounds(name)
        try check(rehearsal, facilitator)
      }
    }

    @Test func aFacilitatorThatBehavesIsServed() throws {
      try withHostileFacilitator { connection in
        try connection.welcome()
        try connection.serve()
      } _: { rehearsal, facilitator in
        let job = try rehearsal.startJob(at: facilitator)
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator)
        #expect(facilitator.connectionCount == 1)
        try rehearsal.expectPeakMemoryWithinBounds("no attack")
      }
    }

    @Test func pingsWhosePongsAreNotReadCostNoMemory() throws {
      let ping = ServerWebSocket.frame(0x89, [UInt8](repeating: 7, count: 125))
      try duringAttack("pings whose pongs are not read") { _ = $0.flood(ping, upTo: 64 << 20) }
    }

    @Test func textsThatAreTooLargeCostNoMemory() throws {
      // As many values as a parser takes, and then a string as large as the rest may be.
      let values = "[" + String(repeating: "[0],", count: (1 << 19) - 2)
      let text = values + "\"" + String(repeating: "x", count: (16 << 20) - values.utf8.count - 3) + "\"]"
      let frame = ServerWebSocket.text(Array(text.utf8))
      try duringAttack("texts of 16 MiB") { connection in
        for _ in 0..<3 { try connection.send(frame) }
      } check: { rehearsal, _ in
        #expect(rehearsal.log.contains("bytes from the facilitator cannot be read, and may have been an answer"))
      }
    }

    @Test func theLargestTextThatIsReadCostsLittle() throws {
      let text = "[" + String(repeating: "[0],", count: (2 << 20) / 4 - 2) + "0]"
      let frame = ServerWebSocket.text(Array(text.utf8))
      try duringAttack("texts of 2 MiB with as many values as fit") { connection in
        for _ in 0..<8 { try connection.send(frame) }
      }
    }

    /// The facilitator has not taken the update that it answers so. The next job's answer must not count for it.
    @Test(arguments: [Array(#"{"status":"err"#.utf8), [120], [UInt8](repeating: 32, count: 3 << 20)])
    func anAnswerThatIsNoJSONCostsNoUpdate(_ garbage: [UInt8]) throws {
      try withHostileFacilitator { connection in
        try connection.welcome()
        guard connection.number == 1 else { return try connection.serve() }
        // Nothing is awaited yet: it is ignored.
        try connection.send(ServerWebSocket.text(garbage))
        var spoiled = false
        try connection.serve(spoiling: { text in
          guard !spoiled, String(decoding: text, as: UTF8.self).contains(#""accepted""#) else { return nil }
          spoiled = true
          return garbage
        })
      } _: { rehearsal, facilitator in
        let jobs = try (0..<2).map { _ in try rehearsal.startJob(at: facilitator) }
        #expect(facilitator.connectionCount == 1)
        for job in jobs { try rehearsal.worker(job).acknowledged(.accepted) }
        for job in jobs { try rehearsal.expectAccepted(job, [.received, .accepted], by: facilitator) }
        #expect(facilitator.connectionCount == 2)
        #expect(rehearsal.log.contains("an answer that cannot be read"))
      }
    }

    @Test func fragmentsOfAByteCostNoMemory() throws {
      try duringAttack("fragments of a byte") { connection in
        try connection.send(ServerWebSocket.frame(0x01, [120]))
        // A piece of a read's length behind each: whoever keeps the fragment with what it was read with keeps that too.
        let pong = ServerWebSocket.pong([UInt8](repeating: 7, count: 125))
        let piece = Array(repeatElement(pong, count: 65_536 / pong.count).joined())
        for _ in 0..<1500 { try connection.send(ServerWebSocket.frame(0x00, [120]) + piece) }
        try connection.send(ServerWebSocket.frame(0x80, [120]))
      }
    }

    @Test func uselessMessagesLeaveFewLines() throws {
      let messages = [
        ServerWebSocket.frame(0x82, [1]), ServerWebSocket.text(Array("{}".utf8)), ServerWebSocket.text([120]),
        ServerWebSocket.text(Array(#"{"message_type":"V9"}"#.utf8)),
      ]
      try duringAttack("useless messages") { connection in
        for message in messages { _ = connection.flood(message, upTo: 1 << 18) }
      } check: { rehearsal, _ in
        let lines = rehearsal.log.split(separator: "\n").count
        #expect(lines < 400, "\(lines) lines")
      }
    }

    /// It reads nothing, and says that it has everything.
    @Test func aFacilitatorThatReadsNothingIsSentNoMoreThanItMayHold() throws {
      let jobs = 12
      let large = MessagePackValue.map([
        MessagePackPair(
          .string("miner_response"),
          .map([
            MessagePackPair(.string("docker_process_stdout"), .string(String(repeating: "x", count: 900_000))),
            MessagePackPair(.string("docker_process_stderr"), .string("")),
          ]))
      ])
      try withHostileFacilitator { connection in
        try connection.welcome()
        guard connection.number == 2 else { return try connection.serve() }
        try connection.waitUntilClosed()
      } _: { rehearsal, facilitator in
        let ids = try (0..<jobs).map { _ in try rehearsal.startJob(at: facilitator) }
        facilitator.serving?.shutDown()
        try rehearsal.until("the connection that reads nothing") { _, _ in facilitator.connectionCount >= 2 }
        for job in ids {
          for status in reported {
            #expect(try rehearsal.worker(job).send(status, metadata: large) == .stored)
          }
        }
        try rehearsal.until("a connection after it") { _, _ in facilitator.connectionCount >= 3 }
        for job in ids { try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator) }
        try rehearsal.expectPeakMemoryWithinBounds("a facilitator that reads nothing of \(jobs * reported.count) MB")
      }
    }

    // MARK: Its end

    /// The window is full of pongs, so that no close frame can be answered.
    @Test func aConnectionThatIsClosedWithAFullWindowLeavesNoDescriptor() throws {
      let ping = ServerWebSocket.frame(0x89, [UInt8](repeating: 7, count: 125))
      try withHostileFacilitator { connection in
        try connection.welcome()
        guard (2...4).contains(connection.number) else { return try connection.serve() }
        // Little goes into the kernel's buffers; the rest of it waits, or is left out.
        _ = connection.flood(ping, upTo: 24 << 20)
        try connection.send(ServerWebSocket.close([3, 232]))
        try connection.waitUntilClosed()
        connection.keep()
      } _: { rehearsal, facilitator in
        let job = try rehearsal.startJob(at: facilitator)
        let uplink = try rehearsal.readyChild("uplink")
        let before = try Self.sockets(of: uplink.pid)
        facilitator.serving?.shutDown()
        try rehearsal.until("a connection after the attacks") { _, _ in
          facilitator.connectionCount >= 5 && facilitator.serving != nil
        }
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator)
        try rehearsal.until("no more sockets than before") { _, _ in try Self.sockets(of: uplink.pid) <= before }
        try rehearsal.expectPeakMemoryWithinBounds("close frames with a full window")
      }
    }

    /// How many sockets a process has open.
    private static func sockets(of pid: Int) throws -> Int {
      try Files.names(in: "/proc/\(pid)/fd").count { name in
        var target = [CChar](repeating: 0, count: 64)
        // One that is closed meanwhile is none.
        return readlink("/proc/\(pid)/fd/\(name)", &target, 63) > 0
          && String(decoding: target.map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix("socket:")
      }
    }

    @Test(
      arguments: [
        ([0x83, 0x01, 0x78], "the reserved opcode 3"), ([0x8b, 0x00], "the reserved opcode 11"),
        ([0xc1, 0x01, 0x78], "reserved bits"), ([0x81, 0x81, 1, 2, 3, 4, 0x79], "a masked frame"),
        ([0x09, 0x00], "a control frame in fragments"),
        ([0x89, 126, 0, 126], "a control frame of more than 125 bytes"),
        ([0x80, 0x00], "a continuation of no message"), ([0x01, 0x01, 0x78, 0x81, 0x00], "in the middle of another"),
        ([0x81, 0x02, 0xc3, 0x28], "not UTF-8"), ([0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1], "more than 16777216 bytes"),
      ] as [([UInt8], String)])
    func whatWebSocketDoesNotAllowEndsTheConnection(_ bytes: [UInt8], _ words: String) throws {
      try withHostileFacilitator { connection in
        try connection.welcome()
        guard connection.number == 1 else { return try connection.serve() }
        try connection.send(bytes)
        // Its last words are a close frame that says so.
        while try connection.nextFrame().opcode != 0x8 {}
      } _: { rehearsal, facilitator in
        try rehearsal.expectLog(words)
        let job = try rehearsal.startJob(at: facilitator)
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted], by: facilitator)
      }
    }

    @Test(arguments: ["the facilitator", "a proxy"]) func anAnswerWithoutEndIsGivenUp(of whom: String) throws {
      let header = Array("X-Header: \(String(repeating: "x", count: 1000))\r\n".utf8)
      let ways = [1: header, 2: Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), 3: [UInt8](repeating: 120, count: 1000)]
      try withHostileFacilitator { connection in
        guard let way = ways[connection.number] else { return }
        _ = try connection.request()
        if connection.number == 1 { try connection.send(Array("HTTP/1.1 101 Switching\r\n".utf8)) }
        _ = connection.flood(way, upTo: 32 << 20)
      } change: { settings in
        if whom == "a proxy" { settings.more["facilitator"] = "proxy = \"http://127.0.0.1:PORT\"" }
      } _: { rehearsal, facilitator in
        try rehearsal.until("the fourth connection") { _, _ in facilitator.connectionCount >= 4 }
        try rehearsal.expectPeakMemoryWithinBounds("an answer without end by \(whom)")
      }
    }
  }
}

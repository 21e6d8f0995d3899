import Glibc
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension Hostile {
  /// What workers may do to their job's Listener.
  @Suite struct WorkerAttacks {
    /// As many connections as leave a place for the honest worker.
    private static let connections = 250

    /// Has many connections send these bytes as far as the Listener takes them, again and again, and read nothing, while the
    /// job goes on.
    ///
    /// - Parameter rounds: how often each sends what it has to send.
    private func duringAttack(_ name: String, sending bytes: [UInt8], rounds: Int) throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let listener = try rehearsal.readyChild("listener", job: job)
        try rehearsal.worker(job).acknowledged(reported[0])
        var open: [(socket: Descriptor, left: Int)] = try (0..<Self.connections).map { _ in
          (try UnixSocket.connect(to: rehearsal.workerSocket(job)), rounds * bytes.count)
        }
        var stands = 0
        // Until none has taken anything for half a second.
        while stands < 10 {
          var moved = false
          for index in open.indices where open[index].left > 0 {
            let start = (bytes.count - open[index].left % bytes.count) % bytes.count
            let sent = bytes[start...].withUnsafeBytes { buffer in
              send(
                open[index].socket.number, buffer.baseAddress, min(buffer.count, open[index].left),
                Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            guard sent >= 0 else {
              if errno != EAGAIN { open[index].left = 0 }
              continue
            }
            open[index].left -= sent
            moved = moved || sent > 0
          }
          stands = moved ? 0 : stands + 1
          if !moved { try rehearsal.facilitator.read(milliseconds: 50) }
        }
        for status in reported.dropFirst() { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(try PeakMemory.of(listener.pid) <= PeakMemory.listenerBound)
        try rehearsal.expectPeakMemoryWithinBounds(name)
        withExtendedLifetime(open) {}
      }
    }

    private func request(id: MessagePackValue) -> [UInt8] {
      var encoder = MessagePackEncoder()
      encoder.value(
        .map([
          MessagePackPair(.string("id"), id), MessagePackPair(.string("type"), .string("job_status_update")),
          MessagePackPair(.string("payload"), .map([])),
        ]))
      return encoder.framedBytes
    }

    @Test func answersThatAreNotReadCostLittle() throws {
      let bytes = request(id: .string(String(repeating: "i", count: 1000)))
      try duringAttack(
        "answers that 250 workers do not read", sending: Array(repeatElement(bytes, count: 64).joined()), rounds: 10)
    }

    @Test func framesThatAreNotWholeCostLittle() throws {
      let size = 1 << 20
      let header = (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }
      try duringAttack(
        "frames of 250 workers that are not whole", sending: header + [UInt8](repeating: 0xc0, count: size - 10),
        rounds: 1)
    }

    @Test func partsBehindWholeFramesCostLittle() throws {
      let header: [UInt8] = [0, 15, 255, 0]
      let whole = request(id: .int(1))
      try duringAttack(
        "parts of frames behind whole ones", sending: whole + header + [UInt8](repeating: 0xc0, count: 65_000),
        rounds: 1)
    }

    /// Each as large as may be, and of what takes six times as much as JSON.
    @Test func theLargestFramesCostLittle() throws {
      let text = MessagePackValue.string(String(repeating: "\u{1}", count: (1 << 20) - 300))
      let bytes = WorkerUpdateFrame.encode(
        id: 1, job: JobID.random(), status: "accepted",
        metadata: .map([MessagePackPair(.string("miner_response"), .map([MessagePackPair(.string("x"), text)]))]))
      try duringAttack("frames of a mebibyte for another job", sending: bytes, rounds: 1)
    }

    @Test func largeReportsOfManyWorkersCostLittle() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let listener = try rehearsal.readyChild("listener", job: job)
        let large = MessagePackValue.map([
          MessagePackPair(
            .string("miner_response"),
            .map([
              MessagePackPair(.string("docker_process_stdout"), .string(String(repeating: "\u{1}", count: 170_000))),
              MessagePackPair(.string("docker_process_stderr"), .string("")),
            ]))
        ])
        let updates = reported.dropLast().map { WorkerClient.Update($0, metadata: large) }
        let answers = try (0..<24).map { _ in try rehearsal.reportElsewhere(job, updates) }
        for mailbox in answers { #expect(mailbox.takeUntilClosed().count == updates.count) }
        // It leaves with its job.
        #expect(try PeakMemory.of(listener.pid) <= PeakMemory.listenerBound)
        try rehearsal.worker(job).acknowledged(.completed)
        try rehearsal.until("all of them") { _, _ in rehearsal.facilitator.accepted(job).last == .completed }
        try rehearsal.expectPeakMemoryWithinBounds("large reports of 24 workers at once")
      }
    }
  }
}

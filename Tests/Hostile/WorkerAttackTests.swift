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

    /// Has many connections send these bytes as far as the Listener takes them, again and again, while the job and another
    /// one go on.
    ///
    /// - Parameters:
    ///   - rounds: how often each sends what it has to send.
    ///   - reading: whether they read the answers.
    private func duringAttack(
      _ name: String, sending content: (JobID) -> [UInt8], rounds: Int, reading: Bool = false
    ) throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let bytes = content(job)
        let innocent = try rehearsal.startJob()
        let listener = try rehearsal.readyChild("listener", job: job)
        try rehearsal.worker(job).acknowledged(reported[0])
        var open: [(socket: Descriptor, left: Int)] = try (0..<Self.connections).map { _ in
          (try UnixSocket.connect(to: rehearsal.workerSocket(job)), rounds * bytes.count)
        }
        var stands = 0
        // Until none has taken anything for half a second, or for long enough.
        let deadline = Deadline.after(milliseconds: 5000)
        while stands < 10, deadline.millisecondsLeft > 0 {
          var moved = false
          for index in open.indices where open[index].left > 0 || reading {
            if reading { moved = Self.readsAll(open[index].socket) || moved }
            guard open[index].left > 0 else { continue }
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
        for status in reported { try rehearsal.worker(innocent).acknowledged(status) }
        for status in reported.dropFirst() { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        try rehearsal.expectAccepted(innocent, [.received] + reported)
        // Nobody had to replace it.
        #expect(try rehearsal.readyChild("listener", job: job).generation == listener.generation)
        #expect(try PeakMemory.of(listener.pid) <= PeakMemory.listenerBound)
        try rehearsal.expectPeakMemoryWithinBounds(name)
        withExtendedLifetime(open) {}
      }
    }

    /// Reads what is there, and forgets it. Returns whether there was something.
    private static func readsAll(_ socket: Descriptor) -> Bool {
      var any = false
      while let bytes = try? socket.read(upTo: 65_536), !bytes.isEmpty { any = true }
      return any
    }

    /// What costs much to look at for its bytes.
    enum Costly: String, CaseIterable {
      case idsOfManyParts = "ids of 1,000 parts"
      case updatesWithThem = "updates with ids of 1,000 parts"
      case tinyFrames = "frames of one byte"
      case deepIDs = "ids of nested arrays"
      case largestIDs = "ids as large as a frame may be"
      case largestTexts = "ids of one text as large as a frame may be"
      case largestFrames = "frames of a mebibyte of values of one byte"
      case mixed = "all of them"

      func bytes(_ job: JobID) -> [UInt8] {
        func array(_ count: Int, _ element: MessagePackValue) -> MessagePackValue {
          .array(Array(repeating: element, count: count))
        }
        switch self {
        case .idsOfManyParts: return request(id: array(1000, .int(1)))
        case .updatesWithThem:
          return request(
            id: array(1000, .int(1)),
            payload: [
              MessagePackPair(.string("uuid"), .string(job.description)),
              MessagePackPair(.string("status"), .string("accepted")),
            ])
        case .tinyFrames: return [0, 0, 0, 1, 1]
        case .deepIDs: return request(id: array(33, (0..<28).reduce(.int(1)) { value, _ in .array([value]) }))
        case .largestIDs: return request(id: array((1 << 20) - 100, .int(1)))
        case .largestTexts: return request(id: .string(String(repeating: "i", count: (1 << 20) - 100)))
        case .largestFrames:
          return [0, 16, 0, 0, 0xdd, 0, 15, 255, 251] + [UInt8](repeating: 0xc0, count: (1 << 20) - 5)
        case .mixed: return Self.allCases.filter { $0 != .mixed }.flatMap { $0.bytes(job) }
        }
      }
    }

    // The others take as long each, and are in `mixed`.
    @Test(arguments: [Costly.tinyFrames, .deepIDs, .mixed]) func whatCostsMuchToLookAtKeepsNobodyElseWaiting(
      _ costly: Costly
    ) throws {
      try duringAttack(
        costly.rawValue,
        sending: { job in
          let bytes = costly.bytes(job)
          return Array(repeatElement(bytes, count: max(1, 65_536 / bytes.count)).joined())
        }, rounds: 1, reading: true)
    }

    private static func request(id: MessagePackValue, payload: [MessagePackPair] = []) -> [UInt8] {
      var encoder = MessagePackEncoder()
      encoder.value(
        .map([
          MessagePackPair(.string("id"), id), MessagePackPair(.string("type"), .string("job_status_update")),
          MessagePackPair(.string("payload"), .map(payload)),
        ]))
      return encoder.framedBytes
    }

    /// Repeats a frame without end over two connections, and reads the answers.
    private static let repeating = """
      import os, socket, sys, threading
      frame = open(sys.argv[2], "rb").read()
      def read(channel):
          while channel.recv(65536):
              open(sys.argv[3], "w").close()
      def send():
          channel = socket.socket(socket.AF_UNIX)
          channel.connect(sys.argv[1])
          threading.Thread(target=read, args=(channel,), daemon=True).start()
          while True:
              channel.sendall(frame * 100)
      threading.Thread(target=send, daemon=True).start()
      send()
      """

    /// Frames of a hundred bytes whose ids take much fill the room for answers, and what they say is stored already.
    @Test func whoNeverStopsSendingStarvesNobodyAndWithholdsNoExit() throws {
      try onStage { settings in
        settings.commandsRunUntilTold()
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        _ = try rehearsal.runningCommand(job)
        let status = Self.request(
          id: .array([.int(1)]),
          payload: [
            MessagePackPair(.string("uuid"), .string(job.description)),
            MessagePackPair(.string("status"), .string("accepted")),
          ])
        let frame = rehearsal.runtimeDirectory + "/frame"
        try Rehearsal.write(status, to: frame, mode: 0o600)
        let begun = rehearsal.runtimeDirectory + "/begun"
        let words = ["/usr/bin/env", "python3", "-c", Self.repeating, rehearsal.workerSocket(job), frame, begun]
        let request = SpawnRequest(executable: words[0], arguments: words, environment: ["PATH=/usr/bin:/bin"])
        let repeating = try RunningProcess(pid: try request.spawn())
        defer {
          repeating.signal(SIGKILL)
          _ = try? repeating.wait(milliseconds: 5000)
        }
        try rehearsal.until("the first answers") { _, _ in access(begun, F_OK) == 0 }
        let answers = try rehearsal.reportElsewhere(
          job, [WorkerClient.Update(.executorReady)], patienceMilliseconds: 20_000)
        #expect(answers.takeUntilClosed() == [.stored])
        try rehearsal.endCommands()
        try rehearsal.expectAccepted(job, [.received, .accepted, .executorReady, .hordeFailed])
        #expect(try repeating.wait(milliseconds: 0) == nil)
      }
    }

    @Test func answersThatAreNotReadCostLittle() throws {
      let bytes = Self.request(id: .string(String(repeating: "i", count: 1000)))
      try duringAttack(
        "answers that 250 workers do not read", sending: { _ in Array(repeatElement(bytes, count: 64).joined()) },
        rounds: 10)
    }

    @Test func framesThatAreNotWholeCostLittle() throws {
      let size = 1 << 20
      let header = (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }
      try duringAttack(
        "frames of 250 workers that are not whole",
        sending: { _ in header + [UInt8](repeating: 0xc0, count: size - 10) },
        rounds: 1)
    }

    @Test func partsBehindWholeFramesCostLittle() throws {
      let header: [UInt8] = [0, 15, 255, 0]
      let whole = Self.request(id: .int(1))
      try duringAttack(
        "parts of frames behind whole ones", sending: { _ in whole + header + [UInt8](repeating: 0xc0, count: 65_000) },
        rounds: 1)
    }

    /// Each as large as may be, and of what takes six times as much as JSON.
    @Test func theLargestFramesCostLittle() throws {
      let text = MessagePackValue.string(String(repeating: "\u{1}", count: (1 << 20) - 300))
      let bytes = WorkerUpdateFrame.encode(
        id: 1, job: JobID.random(), status: "accepted",
        metadata: .map([MessagePackPair(.string("miner_response"), .map([MessagePackPair(.string("x"), text)]))]))
      try duringAttack("frames of a mebibyte for another job", sending: { _ in bytes }, rounds: 1)
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

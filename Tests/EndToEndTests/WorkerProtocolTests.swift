import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// What a worker is answered, on the wire.
  @Suite struct WorkerProtocol {
    private func update(
      _ job: String, _ status: MessagePackValue, id: MessagePackValue? = nil,
      more: [(String, MessagePackValue)] = []
    ) -> [UInt8] {
      let payload = Wire.map([("uuid", .string(job)), ("status", status)] + more)
      var message: [(String, MessagePackValue)] = [("type", .string("job_status_update")), ("payload", payload)]
      if let id { message.append(("id", id)) }
      return Wire.frame(Wire.map(message))
    }

    @Test func answersComeInOrderAndCarryTheWorkersOwnIDs() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let uuid = job.description
        let answers = try Wire.exchange(
          rehearsal.workerSocket(job),
          [
            update(uuid, .string("accepted"), id: .string("first")),
            update(uuid, .string("accepted"), id: .int(-2)),
            update("00000000-0000-4000-8000-000000000000", .string("completed"), id: .array([.bool(true)])),
            update(uuid, .string("executor_ready")),
            Wire.frame(.int(5)),
            [0, 0, 0, 1, 0xc1],
            update(uuid, .string("volumes_ready"), id: .null, more: [("extra", .null)]),
            update(uuid, .string("volumes_ready"), id: .null),
          ])
        let ids: [MessagePackValue?] = answers.map { $0?["id"] }
        #expect(ids == [.string("first"), .int(-2), .array([.bool(true)]), nil, nil, nil, .null, .null])
        #expect(
          answers.map(Wire.code) == [nil, nil, "wrong_job", nil, "malformed", "malformed", "invalid", nil])
        #expect(answers.map { $0?["ok"] == .bool(true) } == [true, true, false, true, false, false, false, true])
        let message = answers[6]?["error"]?["message"]
        #expect("\(String(describing: message))".contains("payload.extra"))
        try rehearsal.expectAccepted(job, [.received, .accepted, .executorReady, .volumesReady])
      }
    }

    @Test func aFrameThatIsTooLargeIsRefusedAndTheNextOneRead() throws {
      try onStage { settings in
        settings.more["channel"] = "max_frame_bytes = 4096"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let large = Wire.frame(.binary([UInt8](repeating: 7, count: 8000)))
        let answers = try Wire.exchange(
          rehearsal.workerSocket(job), [large, update(job.description, .string("accepted"))])
        #expect(answers.map(Wire.code) == ["too_large", nil])
        #expect(answers[1]?["ok"] == .bool(true))
      }
    }

    /// More frames that are not whole than may be held at once: they get through one after the other.
    @Test func framesThatBeginTogetherAllGetThrough() throws {
      try onStage { settings in
        settings.more["channel"] = "max_frame_bytes = 65536"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let metadata = Wire.map([("message", .string(String(repeating: "x", count: 60_000)))])
        let frame = update(job.description, .string("failed"), more: [("metadata", metadata)])
        let workers = try (0..<40).map { _ in
          try WaitingConnection(connectingTo: rehearsal.workerSocket(job), limit: 1 << 20)
        }
        let deadline = Deadline.after(milliseconds: 20_000)
        for worker in workers {
          worker.send(Array(frame[..<50_000]))
          while try worker.turn(until: Deadline.after(milliseconds: 1)) {}
        }
        // Whoever began last sends its rest first.
        for worker in workers.reversed() { worker.send(Array(frame[50_000...])) }
        var answers: [MessagePackValue?] = []
        for worker in workers {
          var body: ArraySlice<UInt8>?
          while body == nil, deadline.millisecondsLeft > 0, !worker.atEnd {
            body = try worker.nextBody()
            if body == nil { _ = try worker.turn(until: deadline) }
          }
          answers.append(try body.map { try MessagePackValue.decode($0) })
        }
        #expect(answers.count == 40 && answers.allSatisfy { $0?["ok"] != nil })
        #expect(try rehearsal.readyChild("listener", job: job).restartsLastHour == 0)
      }
    }

    @Test func thousandsOfWrongFramesAndAVeryLongNameEndNothing() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let long = update(
          job.description, .string("accepted"), more: [(String(repeating: "x", count: 1 << 19), .null)])
        let answers = try Wire.exchange(
          rehearsal.workerSocket(job), [long] + (0..<5000).map { _ in Wire.frame(.int(1)) })
        #expect(answers.count == 5001 && Set(answers.map(Wire.code)) == ["invalid", "malformed"])
        let listener = try rehearsal.readyChild("listener", job: job)
        #expect(listener.restartsLastHour == 0)
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    /// A byte of MessagePack can become six of JSON.
    @Test func whatIsTooLargeAsJSONIsRefusedAndHoldsUpNothing() throws {
      try onStage { settings in
        settings.more["channel"] = "max_frame_bytes = 100000"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let output = MessagePackValue.string(String(repeating: "\u{1}", count: 90_000))
        let response = Wire.map([("docker_process_stdout", output), ("docker_process_stderr", .string(""))])
        let large = update(
          job.description, .string("completed"), more: [("metadata", Wire.map([("miner_response", response)]))])
        let answers = try Wire.exchange(rehearsal.workerSocket(job), [large])
        #expect(answers.map(Wire.code) == ["too_large"])
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    /// Nothing of what a worker has sent is lost because it does not stay for the answers.
    @Test func aWorkerThatLeavesWithoutReadingItsAnswersIsHeardToItsEnd() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = [
          "/usr/bin/env", "python3", "-c",
          """
          import os, socket, struct
          uuid = os.environ["HORDELINK_JOB_UUID"].encode()
          channel = socket.socket(socket.AF_UNIX)
          channel.connect(os.environ["HORDELINK_SOCKET"])
          stdout = b"\\xdb" + struct.pack(">I", 300000) + b"y" * 300000
          response = b"\\x81\\xaeminer_response\\x82\\xb5docker_process_stdout" + stdout + b"\\xb5docker_process_stderr\\xa0"
          for status in (b"\\xa8accepted", b"\\xaeexecution_done", b"\\xa9completed"):
              body = (b"\\x82\\xa4type\\xb1job_status_update\\xa7payload\\x83\\xa4uuid\\xd9\\x24" + uuid +
                      b"\\xa6status" + status + b"\\xa8metadata" + response)
              channel.sendall(struct.pack(">I", len(body)) + body)
          os._exit(0)
          """,
        ]
      } _: { rehearsal in
        for _ in 0..<5 {
          let job = JobID.random()
          try rehearsal.facilitator.sendJob(job)
          try rehearsal.expectAccepted(job, [.received, .accepted, .executionDone, .completed])
        }
      }
    }

    /// As many connections as there may be, none of them silent for long, and one more with the job's last word.
    @Test func whoWaitsForAPlaceIsHeardBeforeTheCommandsEnd() throws {
      try onStage { settings in
        settings.commandsRunUntilTold()
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        _ = try rehearsal.runningCommand(job)
        let others = try (0..<256).map { _ in
          try WaitingConnection(connectingTo: rehearsal.workerSocket(job), limit: 1 << 20)
        }
        let last = try WaitingConnection(connectingTo: rehearsal.workerSocket(job), limit: 1 << 20)
        last.send(update(job.description, .string("completed")))
        while try last.turn(until: Deadline.after(milliseconds: 200)) {}
        try rehearsal.endCommands()
        try rehearsal.expectAccepted(job, [.received, .completed])
        withExtendedLifetime(others) {}
      }
    }

    @Test func whatIsNotTheProtocolIsClosed() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let answers = try Wire.exchange(rehearsal.workerSocket(job), [Array("GET / HTTP/1.1\r\n\r\n".utf8), []])
        #expect(Wire.code(answers[0]) == "malformed")
        #expect(answers.count == 2 && answers[1] == nil)
        try rehearsal.worker(job).acknowledged(.accepted)
      }
    }

    @Test func aWorkerThatClosesItsSendingEndStillGetsItsAnswers() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = [
          "/usr/bin/env", "python3", "-c",
          """
          import os, socket, struct
          uuid = os.environ["HORDELINK_JOB_UUID"].encode()
          channel = socket.socket(socket.AF_UNIX)
          channel.connect(os.environ["HORDELINK_SOCKET"])
          for status in (b"\\xa8accepted", b"\\xa6failed"):
              body = b"\\x82\\xa4type\\xb1job_status_update\\xa7payload\\x82\\xa4uuid\\xd9\\x24" + uuid + b"\\xa6status" + status
              channel.sendall(struct.pack(">I", len(body)) + body)
          channel.shutdown(socket.SHUT_WR)
          answers = b""
          while True:
              more = channel.recv(4096)
              if not more:
                  break
              answers += more
          print("answers", answers.count(b"\\xa2ok\\xc3"), flush=True)
          """,
        ]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job)
        try rehearsal.expectAccepted(job, [.received, .accepted, .failed])
        try rehearsal.expectGone("command", job: job)
        #expect(rehearsal.log.contains("answers 2"))
      }
    }
  }
}

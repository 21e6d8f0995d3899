import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// What a job goes through when nothing is killed.
  @Suite struct Jobs {
    @Test func aJobRunsAndItsRealOutputArrives() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = [settings.programs + "/hordelink-demo-worker"]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job, arguments: ["sh", "-c", "echo out; echo err >&2"])
        try rehearsal.expectAccepted(job, [.received] + reported)
        let response = try rehearsal.metadata(job, .completed)["miner_response"]
        #expect(response?["docker_process_stdout"]?.stringValue == "out\n")
        #expect(response?["docker_process_stderr"]?.stringValue == "err\n")
      }
    }

    @Test func aFailingJobIsReportedAsFailedWithItsExitStatus() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = [settings.programs + "/hordelink-demo-worker"]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job, arguments: ["sh", "-c", "exit 7"])
        try rehearsal.expectAccepted(
          job, [.received, .accepted, .executorReady, .volumesReady, .executionDone, .failed])
        let details = try rehearsal.metadata(job, .failed)["job_failure_details"]
        guard case .number("7") = details?["docker_process_exit_status"] else {
          Issue.record("\(String(describing: details))")
          return
        }
      }
    }

    @Test func aCommandThatEndsWithoutATerminalStatusIsReportedWithItsStderr() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/bin/sh", "-c", "echo the disk is on fire >&2; exit 3"]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job)
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
        let details = try rehearsal.metadata(job, .hordeFailed)["horde_failure_details"]
        #expect(details?["message"]?.stringValue?.contains("exited with code 3") == true)
        #expect(details?["context"]?["stderr"]?.stringValue == "the disk is on fire\n")
      }
    }

    @Test func whatTheCommandSentBeforeItsEndComesBeforeTheFactThatItEnded() throws {
      // The worker sends a status and is gone at once, its answer unread.
      let script = """
        import os, socket, struct
        uuid = os.environ["HORDELINK_JOB_UUID"].encode()
        body = (b"\\x82\\xa4type\\xb1job_status_update\\xa7payload\\x82\\xa4uuid\\xd9\\x24" + uuid +
                b"\\xa6status\\xa8accepted")
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(os.environ["HORDELINK_SOCKET"])
        channel.sendall(struct.pack(">I", len(body)) + body)
        os._exit(0)
        """
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/usr/bin/env", "python3", "-c", script]
      } _: { rehearsal in
        for _ in 0..<5 {
          let job = JobID.random()
          try rehearsal.facilitator.sendJob(job)
          try rehearsal.expectAccepted(job, [.received, .accepted, .hordeFailed])
        }
      }
    }

    @Test func aCommandThatCannotBeStartedEndsTheJob() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/nowhere/run-job"]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job)
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
        let details = try rehearsal.metadata(job, .hordeFailed)["horde_failure_details"]
        #expect(details?["message"]?.stringValue?.contains("/nowhere/run-job") == true)
      }
    }

    @Test func aJobThatTakesTooLongEndsAndItsCommandIsStopped() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/bin/sleep", "600"]
        settings.more["jobs"] = "grace_seconds = 0"
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job, limits: [1, 0, 0, 0])
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
        let details = try rehearsal.metadata(job, .hordeFailed)["horde_failure_details"]
        #expect(details?["reason"]?.stringValue == "unhandled_timeout")
        try rehearsal.expectGone("command", job: job)
      }
    }

    @Test func theSameStatusAgainIsAcknowledgedAndSentOnce() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        for status in [reported[0]] + reported { try worker.acknowledged(status) }
        // A lost acknowledgement of the last one is asked for again on a connection of its own.
        try rehearsal.worker(job).acknowledged(.completed)
        try rehearsal.expectAccepted(job, [.received] + reported)
        let more = try rehearsal.worker(job).send(.failed)
        #expect(more.refusalCode == "job_closed")
        #expect(!rehearsal.facilitator.events.contains { $0.name == "duplicate" })
      }
    }

    @Test func aKnownJobStartsNothingTwice() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.facilitator.sendJob(job)
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted])
        #expect(try rehearsal.report()?.children.count { $0.name == "listener" } == 1)
      }
    }

    @Test func aBadSignatureIsRejectedAndStartsNothing() throws {
      try onStage { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.tell([
          ("command", .string("raw_job_with_bad_signature")), ("uuid", .string(job.description)),
        ])
        try rehearsal.expectAccepted(job, [.rejected])
        let details = try rehearsal.metadata(job, .rejected)["job_rejection_details"]
        #expect(details?["reason"]?.stringValue == "invalid_signature")
        #expect(try rehearsal.report()?.children.contains { $0.job == job } == false)
      }
    }
  }
}

extension WorkerClient.Answer {
  var refusalCode: String? {
    guard case .refused(let refusal) = self else { return nil }
    return refusal.code
  }
}

extension Rehearsal {
  /// Waits until no child of that name and job is reported.
  func expectGone(_ name: String, job: JobID, milliseconds: Int = 15_000) throws {
    let deadline = Deadline.after(milliseconds: milliseconds)
    while deadline.millisecondsLeft > 0 {
      guard let children = try report()?.children else { continue }
      if !children.contains(where: { $0.name == name && $0.job == job }) { return }
      try facilitator.read(milliseconds: 20)
    }
    Issue.record("\(name) of \(job) is still there")
  }
}

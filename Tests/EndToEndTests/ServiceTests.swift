import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// Starting, stopping, and what is wrong with a configuration.
  @Suite struct Service {
    @Test func aStopEndsRunningJobsAndDeliversThatBeforeItExits() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/bin/sh", "-c", "trap '' TERM; sleep 600 & wait; wait"]
        settings.more["dispatch"] = "stop_seconds = 1"
      } _: { rehearsal in
        let jobs = try (0..<3).map { _ in try rehearsal.startJob() }
        for job in jobs { _ = try rehearsal.runningCommand(job) }
        let ending = try rehearsal.stopSupervisor()
        #expect(ending.code == 0)
        for job in jobs { try rehearsal.expectAccepted(job, [.received, .hordeFailed]) }
        #expect(rehearsal.leftovers.isEmpty)
      }
    }

    @Test func whatDidNotDrainIsSentAfterTheNextStart() throws {
      try onStage { settings in
        settings.more["stop"] = "drain_seconds = 0"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.facilitator.tell([("command", .string("down"))])
        _ = try rehearsal.facilitator.wait(milliseconds: 10_000) { $0.name == "disconnected" }
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
        #expect(try rehearsal.stopSupervisor().code == 0)
        #expect(rehearsal.facilitator.accepted(job) == [.received])
        try rehearsal.facilitator.tell([("command", .string("up"))])
        try rehearsal.startSupervisor()
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    @Test func aSecondStopSignalHurries() throws {
      try onStage { settings in
        settings.commandIsLauncher = false
        settings.command = ["/bin/sh", "-c", "trap '' TERM; sleep 600 & wait; wait"]
        settings.more["dispatch"] = "stop_seconds = 600"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        _ = try rehearsal.runningCommand(job)
        let supervisor = try #require(rehearsal.supervisor)
        supervisor.signal(SIGTERM)
        // The first has been heard when the status says so.
        let deadline = Deadline.after(milliseconds: 10_000)
        while deadline.millisecondsLeft > 0,
          try rehearsal.report()?.children.contains(where: { $0.state == "stopping" }) != true
        {
          try rehearsal.facilitator.read(milliseconds: 20)
        }
        #expect(try rehearsal.stopSupervisor(milliseconds: 30_000).code == 0)
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
      }
    }

    /// A command that runs as the service can put anything beside its socket.
    @Test func oneJobsFolderThatCannotBeRemovedKeepsNoOther() throws {
      try onStage(started: false) { rehearsal in
        let folders = ["0", "1"].map { rehearsal.runtimeDirectory + "/jobs/00000000-0000-4000-8000-00000000000" + $0 }
        for folder in [rehearsal.runtimeDirectory, rehearsal.runtimeDirectory + "/jobs"] + folders {
          try Files.makeDirectory(folder, mode: 0o750)
        }
        try write("", to: folders[0] + "/left")
        try rehearsal.startSupervisor()
        _ = try rehearsal.readyChild("uplink")
        try rehearsal.until("the other folder is gone") { _, _ in access(folders[1], F_OK) != 0 }
        #expect(try rehearsal.stopSupervisor().code == 0)
        #expect(access(rehearsal.runtimeDirectory + "/specs.sock", F_OK) != 0)
      }
    }

    @Test func aSecondSupervisorSaysWhoIsThereAndLeaves() throws {
      try onStage { rehearsal in
        let first = try #require(rehearsal.supervisor)
        let (code, text) = try run(rehearsal, ["--config", rehearsal.configurationFile])
        #expect(code == ExitCode.temporary)
        #expect(text.contains("pid \(first.pid)"))
        // It has left the first one's sockets alone.
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
      }
    }

    @Test func whatIsWrongIsNamedWithFileLineAndKey() throws {
      try onStage { rehearsal in
        let file = rehearsal.folder + "/wrong.toml"
        let text = """
          [facilitator]
          url = "http://example.org/"
          [jobs]
          trusted_signers = [
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
            "not an address",
          ]
          max_opne = 3
          """
        try write(text, to: file)
        let (code, output) = try run(rehearsal, ["--config", file])
        #expect(code == ExitCode.configuration)
        #expect(output.contains("\(file):2: "))
        #expect(output.contains("\(file):8: "))
        #expect(output.contains("max_opne"))
      }
    }

    @Test func aHotkeyThatCannotBeUsedEndsTheServiceAsAWrongConfiguration() throws {
      var settings = Rehearsal.Settings(programs: try ProcessTable.ownFolder(), command: ["/bin/true"])
      settings.commandIsLauncher = true
      let rehearsal = try Rehearsal(settings)
      defer { rehearsal.tearDown() }
      try write("{\"ss58Address\":\"\(rehearsal.hotkey)\"}", to: rehearsal.folder + "/hotkey")
      let (checked, problem) = try run(rehearsal, ["--config", rehearsal.configurationFile, "--check"])
      #expect(checked == ExitCode.configuration)
      #expect(problem.contains("\(rehearsal.configurationFile):"))
      try rehearsal.startSupervisor()
      let ending = try #require(try rehearsal.supervisor?.wait(milliseconds: 20_000))
      #expect(ending.code == ExitCode.configuration)
      #expect(rehearsal.log.contains("hotkey_file"))
    }

    @Test(arguments: [("127.0.0.1:9464", false), ("[::1]:9464", false), ("0.0.0.0:9464", true)])
    func figuresThatOthersCanReadAreRemarkedOn(address: String, isRemarked: Bool) throws {
      try onStage(started: false) { settings in
        settings.more["metrics"] = "listen = \"\(address)\""
      } _: { rehearsal in
        let (code, text) = try run(rehearsal, ["--config", rehearsal.configurationFile, "--check"])
        #expect(code == 0)
        #expect(text.contains("metrics.listen = \(address): anybody who reaches it") == isRemarked)
        #expect(!text.contains("no effect"))
      }
    }

    @Test func commandsThatShareTheServicesUserAreWarnedOf() throws {
      try onStage { rehearsal in
        try rehearsal.expectLog("user = \"NAME\" under [dispatch]")
      }
    }

    @Test func systemdIsToldAndItsWatchdogIsFed() throws {
      let folder = try Rehearsal.makeFolder()
      defer { rmdir(folder) }
      let socket = try NotifySocket(folder + "/notify")
      defer { unlink(folder + "/notify") }
      try onStage { settings in
        // Half a second, so that the loop feeds it several times in this test.
        settings.environment = ["NOTIFY_SOCKET=\(folder)/notify", "WATCHDOG_USEC=500000"]
        settings.commandIsLauncher = false
        settings.command = ["/bin/sh", "-c", "env; sleep 600"]
      } _: { rehearsal in
        try socket.expect { $0.contains("READY=1") }
        try socket.expect { $0.contains("WATCHDOG=1") }
        try socket.expect { $0.contains("STATUS=facilitator ready; 0 jobs open") }
        let job = try rehearsal.startJob()
        _ = try rehearsal.runningCommand(job)
        try socket.expect { $0.contains("STATUS=facilitator ready; 1 jobs open") }
        try rehearsal.expectLog("HORDELINK_JOB_UUID=\(job)")
        try rehearsal.stopSupervisor()
        try socket.expect { $0.contains("STOPPING=1") }
        // Nobody else speaks for the service.
        #expect(!rehearsal.log.contains("NOTIFY_SOCKET="))
      }
    }

    /// Runs the Supervisor's program to its end; returns its exit code and what it wrote.
    private func run(_ rehearsal: Rehearsal, _ arguments: [String]) throws -> (Int32?, String) {
      let program = rehearsal.settings.programs + "/hordelink-supervisor"
      var request = SpawnRequest(
        executable: program, arguments: [program] + arguments,
        environment: ["PATH=/usr/bin:/bin"] + Rehearsal.sanitizerOptions)
      let pipe = try Files.pipe()
      request.standardOutput = pipe.writing
      request.standardError = pipe.writing
      let process = try RunningProcess(pid: try request.spawn())
      let ending = try #require(try process.wait(milliseconds: 20_000))
      return (ending.code, String(decoding: try pipe.reading.read(upTo: 65_536) ?? [], as: UTF8.self))
    }

    private func write(_ text: String, to path: String) throws {
      let file = Descriptor(owning: open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600))
      let bytes = Array(text.utf8)
      try #require(Glibc.write(file.number, bytes, bytes.count) == bytes.count)
    }
  }
}

/// What systemd listens on for the words of a service (sd_notify(3)).
private final class NotifySocket {
  private let socket: Descriptor
  private var messages: [String] = []

  init(_ path: String) throws {
    socket = Descriptor(owning: Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
  }

  /// Waits until one of the messages fits.
  func expect(_ fits: (String) -> Bool) throws {
    let deadline = Deadline.after(milliseconds: 10_000)
    while !messages.contains(where: fits) {
      guard try Waiting.readable([socket], milliseconds: deadline.millisecondsLeft)[0] else {
        Issue.record("systemd was told \(messages)")
        return
      }
      messages.append(String(decoding: try socket.read(upTo: 4096) ?? [], as: UTF8.self))
    }
  }
}

import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing

/// Processes that leave their command's group, and whoever writes into a job's socket when its command has ended.
@Suite struct EscapeeTests {
  /// Leaves a process behind in each way that there is, each with its pid in a file, and ends.
  private static let script = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folder = os.environ["HORDELINK_SOCKET"].rsplit("/jobs/", 1)[0] + "/../escaped-" + os.environ["HORDELINK_JOB_UUID"]
    os.makedirs(folder)
    def stay(name):
        with open(folder + "/." + name, "w") as file:
            file.write(str(os.getpid()))
        os.rename(folder + "/." + name, folder + "/" + name)
        while True:
            time.sleep(60)
    def detach():
        for number in (0, 1, 2):
            os.dup2(os.open("/dev/null", os.O_RDWR), number)
    if os.fork() == 0:
        detach(); os.setpgid(0, 0); stay("group")
    if os.fork() == 0:
        detach(); os.setsid(); stay("session")
    if os.fork() == 0:
        detach(); os.setsid()
        if os.fork() == 0:
            stay("daemon")
        os._exit(0)
    if os.fork() == 0:
        detach(); os.setsid()
        if os.fork() == 0:
            code = "import os, time; open(%r, 'w').write(str(os.getpid())); time.sleep(3600)" % (folder + "/nameless")
            os.execve(sys.executable, [sys.executable, "-c", code], {})
        os._exit(0)
    if os.fork() == 0:
        detach(); os.setsid(); open(folder + "/hopping", "w").write("0")
        # It ends by itself in the end, or whatever does not end it would leave the machine with it for ever.
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if os.fork() != 0:
                os._exit(0)
    while len([name for name in os.listdir(folder) if not name.startswith(".")]) < 5:
        time.sleep(0.01)
    if STAYS:
        time.sleep(3600)
    """

  /// Without the one that goes on from process to process.
  private static let calmScript = script.replacing(
    "while time.monotonic() < end:\n        if os.fork()", with: "if os.fork()")

  private static let names = ["group", "session", "daemon", "nameless"]

  private func folder(_ rehearsal: Rehearsal, _ job: JobID) -> String {
    "\(rehearsal.runtimeDirectory)/../escaped-\(job)"
  }

  /// The pids that the script's processes have written down.
  private func escaped(_ rehearsal: Rehearsal, _ job: JobID) throws -> [pid_t] {
    try Self.names.map { name in
      let text = String(decoding: try Files.read("\(folder(rehearsal, job))/\(name)", limit: 100), as: UTF8.self)
      return try #require(pid_t(text), "\(name)")
    }
  }

  /// Processes that have the job's uuid in their environment.
  private func named(_ job: JobID) -> [pid_t] {
    ProcessTable.all.filter { ProcessTable.variable("HORDELINK_JOB_UUID", of: $0) == job.description }
  }

  @Test func theyEndWithTheirCommandAndNobodyElseDoes() throws {
    try onStage { settings in
      settings.commandIsLauncher = false
      settings.command = [
        "/usr/bin/env", "python3", "-c",
        Self.script.replacing("STAYS", with: "os.environ['HORDELINK_JOB_UUID'][0] == '1'"),
      ]
    } _: { rehearsal in
      let staying = try #require(JobID("1" + JobID.random().description.dropFirst()))
      try rehearsal.facilitator.sendJob(staying)
      try rehearsal.until("escapees of the job that stays") { rehearsal, _ in
        (try? escaped(rehearsal, staying).count) == Self.names.count && !named(staying).isEmpty
      }
      let job = try #require(JobID("0" + JobID.random().description.dropFirst()))
      try rehearsal.facilitator.sendJob(job)
      try rehearsal.expectAccepted(job, [.received, .hordeFailed])
      let gone = try escaped(rehearsal, job)
      try rehearsal.until("end of the escapees") { _, _ in
        // Reaped as well. The one without a name ends with the last command that it may belong to.
        gone.filter { ProcessTable.startTime(of: $0) != nil }.count <= 1 && named(job).isEmpty
      }
      let others = try escaped(rehearsal, staying)
      #expect(others.allSatisfy { ProcessTable.isRunning($0) })
      ProcessTable.signalGroup(try rehearsal.runningCommand(staying), SIGKILL)
      try rehearsal.expectAccepted(staying, [.received, .hordeFailed])
      try rehearsal.until("end of all escapees") { _, _ in
        (gone + others).allSatisfy { ProcessTable.startTime(of: $0) == nil } && named(staying).isEmpty
      }
      try rehearsal.expectLog("had left the process group")
    }
  }

  /// Their purpose is to leave something running. It is reaped all the same.
  @Test func whatALauncherLeavesStays() throws {
    try onStage { settings in
      settings.command = ["/usr/bin/env", "python3", "-c", Self.calmScript.replacing("STAYS", with: "False")]
    } _: { rehearsal in
      let job = try rehearsal.startJob()
      try rehearsal.until("escapees") { rehearsal, _ in (try? escaped(rehearsal, job).count) == Self.names.count }
      try rehearsal.until("end of the command") { rehearsal, _ in
        try rehearsal.report()?.children.contains { $0.name == "command" && $0.job == job } == false
      }
      let left = try escaped(rehearsal, job)
      defer { for pid in left { ProcessTable.signal(pid, SIGKILL) } }
      for status in reported { try rehearsal.worker(job).acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported)
      #expect(left.allSatisfy { ProcessTable.isRunning($0) })
      ProcessTable.signal(left[0], SIGKILL)
      try rehearsal.until("the end of a zombie") { _, _ in ProcessTable.startTime(of: left[0]) == nil }
    }
  }

  /// An earlier Supervisor was killed: its escapees have other parents by then.
  @Test func thoseOfAKilledSupervisorAreFound() throws {
    try onStage { settings in
      settings.commandIsLauncher = false
      settings.command = ["/usr/bin/env", "python3", "-c", Self.calmScript.replacing("STAYS", with: "True")]
    } _: { rehearsal in
      let job = try rehearsal.startJob()
      try rehearsal.until("escapees") { rehearsal, _ in (try? escaped(rehearsal, job).count) == Self.names.count }
      let left = try escaped(rehearsal, job)
      defer { for pid in left { ProcessTable.signal(pid, SIGKILL) } }
      try rehearsal.killSupervisor()
      try rehearsal.startSupervisor()
      try rehearsal.expectAccepted(job, [.received, .hordeFailed])
      try rehearsal.until("end of the escapees that name their job") { _, _ in
        !left.dropLast().contains { ProcessTable.isRunning($0) }
      }
    }
  }

  /// Sends without end, over connections that stay and over new ones, reads the answers, and begins frames.
  private static let flood = """
    import socket, sys, threading
    def send(path, forever):
        while True:
            channel = socket.socket(socket.AF_UNIX)
            try:
                channel.connect(path)
                threading.Thread(target=drop, args=(channel,), daemon=True).start()
                while True:
                    channel.sendall(bytes([0, 0, 0, 1, 1]) * 1000)
                    if not forever:
                        break
            except OSError:
                pass
            if not forever:
                channel.close()
    def drop(channel):
        try:
            while channel.recv(65536):
                pass
        except OSError:
            pass
    def begin(path):
        held = []
        while True:
            channel = socket.socket(socket.AF_UNIX)
            try:
                channel.connect(path)
                channel.sendall(bytes([0, 0, 255, 255]) + bytes(60000))
            except OSError:
                pass
            held = held[-100:] + [channel]
    for target in (lambda: send(sys.argv[1], True), lambda: send(sys.argv[1], True), lambda: send(sys.argv[1], False)):
        threading.Thread(target=target, daemon=True).start()
    begin(sys.argv[1])
    """

  @Test func theExitIsToldWhateverStillWrites() throws {
    try onStage { settings in
      settings.more["channel"] = "max_frame_bytes = 65536"
      settings.commandsRunUntilTold()
    } _: { rehearsal in
      let job = try rehearsal.startJob()
      _ = try rehearsal.runningCommand(job)
      let words = ["/usr/bin/env", "python3", "-c", Self.flood, rehearsal.workerSocket(job)]
      let request = SpawnRequest(executable: words[0], arguments: words, environment: ["PATH=/usr/bin:/bin"])
      let flood = try RunningProcess(pid: try request.spawn())
      defer {
        flood.signal(SIGKILL)
        _ = try? flood.wait(milliseconds: 5000)
      }
      try rehearsal.expectLog("a worker's message is refused", times: 50)
      try rehearsal.endCommands()
      try rehearsal.expectAccepted(job, [.received, .hordeFailed])
      #expect(try flood.wait(milliseconds: 0) == nil)
    }
  }

  /// One job's refused messages are told fifty times, and then by their number.
  @Test func aWorkerThatIsRefusedFillsNoJournal() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      let other = try rehearsal.startJob()
      let channel = FrameConnection(
        try UnixSocket.connect(to: rehearsal.workerSocket(job)), limit: 1 << 20, outgoingLimit: 1 << 24)
      let count = 20_000
      try channel.send(Array([[UInt8]](repeating: [0, 0, 0, 1, 1], count: count).joined()))
      var answers = 0
      while answers < count {
        try channel.flush()
        guard try Waiting.readable([channel.socket], milliseconds: 10_000)[0], !channel.atEnd else { break }
        try channel.fill()
        while try channel.nextBody() != nil { answers += 1 }
      }
      #expect(answers == count)
      for status in reported { try rehearsal.worker(other).acknowledged(status) }
      try rehearsal.expectAccepted(other, [.received] + reported)
      try rehearsal.expectLog("lines of this kind were left out")
      try rehearsal.until("as many lines left out as there were") { rehearsal, _ in
        let lines = rehearsal.log.split(separator: "\n")
        let told = lines.count { $0.contains("a worker's message is refused") }
        let leftOut = lines.filter { $0.contains("lines of this kind were left out") }.compactMap { line in
          line.split(separator: " ").compactMap { Int($0) }.last
        }
        return told < 200 && told + leftOut.reduce(0, +) == count
      }
    }
  }
}

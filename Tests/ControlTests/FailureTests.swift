import ArgumentParser
import Glibc
import MessagePack
import Messages
import Platform
import Testing
import WorkerClient

@testable import Control

/// What becomes of a question that cannot be answered, against real sockets.
@Suite struct FailureTests {
  /// The failure of a question, for its kind and for what its message must name.
  private func failure(_ body: () throws -> Void) throws -> ControlFailure {
    try #require(throws: ControlFailure.self, performing: body)
  }

  private func ask(_ directory: String, patienceMilliseconds: Int = 60_000) throws {
    _ = try Question.ask(.status, in: directory, patienceMilliseconds: patienceMilliseconds)
  }

  @Test func aMissingSocketAndOneThatRefusesMeanThatTheServiceDoesNotRun() throws {
    try withRuntimeDirectory { directory in
      let path = directory + "/control.sock"
      let missing = try failure { try ask(directory) }
      #expect(missing.kind == .notRunning && missing.message.hasPrefix(path + ": there is no such socket"))
      #expect(try failure { try ask(directory + "/none") }.kind == .notRunning)
      // Bound and closed again: what a killed Supervisor leaves behind.
      _ = try UnixSocket.listen(at: path, mode: 0o600)
      let refused = try failure { try ask(directory) }
      #expect(refused.kind == .notRunning && refused.message.hasPrefix(path + ": nobody listens"))
    }
    #expect(try failure { try ask("/tmp/" + String(repeating: "x", count: 120)) }.kind == .usage)
  }

  @Test(
    arguments: [
      (ENOENT, 69), (ECONNREFUSED, 69), (ENOTDIR, 69), (EACCES, 77), (EPERM, 77), (EAGAIN, 75), (ENAMETOOLONG, 64),
      (EMFILE, 69),
    ] as [(Int32, Int32)])
  func everyErrorOfConnectHasItsExitCode(code: Int32, exitCode: Int32) {
    for socket in [ServiceSocket.control, .worker] {
      let failure = ControlFailure(connecting: SystemError("connect", "/x", code: code), to: "/x", socket)
      #expect(failure.kind.rawValue == exitCode)
      #expect(failure.message.contains("/x"))
    }
  }

  @Test func aSilentSupervisorIsNotWaitedForForEver() throws {
    try withRuntimeDirectory { directory in
      let listening = try UnixSocket.listen(at: directory + "/control.sock", mode: 0o600)
      let silent = try failure { try ask(directory, patienceMilliseconds: 20) }
      #expect(silent.kind == .noAnswer && silent.message.contains("no answer in 20 ms"))
      withExtendedLifetime(listening) {}
    }
  }

  @Test func aConnectionThatIsClosedWithoutAnAnswerIsNoAnswer() throws {
    try withRuntimeDirectory { directory in
      try serveOnce(at: directory + "/control.sock") { _ in nil }
      #expect(try failure { try ask(directory) }.kind == .noAnswer)
    }
  }

  @Test(arguments: [Array("HTTP/1.1 400 Bad Request\r\n".utf8), [0, 0, 0, 4, 0x93, 99, 1, 0]])
  func anotherProgramAndAnotherReleaseAreNotUnderstood(answer: [UInt8]) throws {
    try withRuntimeDirectory { directory in
      try serveOnce(at: directory + "/control.sock") { _ in answer }
      #expect(try failure { try ask(directory) }.kind == .notUnderstood)
    }
  }

  @Test(arguments: [UplinkReport(state: someState(), jobs: [], queue: []), nil])
  func anAnswerIsGivenAsItCame(uplink: UplinkReport?) throws {
    try withRuntimeDirectory { directory in
      let asked = Mailbox<UplinkQuery>()
      try serveOnce(at: directory + "/control.sock") { body in
        guard case .query(let query) = try? ControlToSupervisor.read(body).message else { return nil }
        asked.put(query)
        return SupervisorToControl.report(someChildren, uplink: uplink).frame(generation: .none)
      }
      let report = try Question.ask(.queue, in: directory, patienceMilliseconds: 60_000)
      #expect(report == ServiceReport(children: someChildren, uplink: uplink))
      #expect(asked.takeAll()?.elements == [.queue])
    }
  }
}

/// `send`, against a job's socket.
@Suite struct SendTests {
  private func send(
    in directory: String, metadata: MessagePackValue? = nil, patienceMilliseconds: Int = 60_000
  ) throws -> String {
    try SendCommand.send(
      .executorReady, metadata: metadata, of: try #require(JobID(jobText)), in: directory,
      patienceMilliseconds: patienceMilliseconds)
  }

  private func answer(_ body: ArraySlice<UInt8>, _ rest: [MessagePackPair]) -> [UInt8] {
    let id = (try? MessagePackValue.decode(body))?["id"] ?? .null
    var encoder = MessagePackEncoder()
    encoder.value(.map([MessagePackPair(.string("id"), id)] + rest))
    return encoder.framedBytes
  }

  @Test func whatIsAcknowledgedIsPrinted() throws {
    try withRuntimeDirectory { directory in
      let payloads = Mailbox<MessagePackValue>()
      try serveOnce(at: "\(directory)/jobs/\(jobText)/worker.sock") { body in
        if let payload = (try? MessagePackValue.decode(body))?["payload"] { payloads.put(payload) }
        return answer(body, [MessagePackPair(.string("ok"), .bool(true))])
      }
      let metadata = try MetadataText.parse(#"{"count": 3, "share": 3.0}"#)
      let text = try send(in: directory, metadata: metadata)
      #expect(text.hasPrefix("executor_ready of job \(jobText) is acknowledged"))
      let payload = try #require(payloads.takeAll()?.elements.first)
      #expect(payload["status"] == .string("executor_ready"))
      #expect(payload["metadata"]?["count"] == .int(3))
      #expect(payload["metadata"]?["share"] == .float(3))
    }
  }

  @Test func aRefusalIsExitCodeOneWithItsCodeAndMessage() throws {
    try withRuntimeDirectory { directory in
      try serveOnce(at: "\(directory)/jobs/\(jobText)/worker.sock") { body in
        answer(
          body,
          [
            MessagePackPair(.string("ok"), .bool(false)),
            MessagePackPair(
              .string("error"),
              .map([
                MessagePackPair(.string("code"), .string("job_closed")),
                MessagePackPair(.string("message"), .string("it has ended")),
              ])),
          ])
      }
      let failure = try #require(throws: ControlFailure.self) { try send(in: directory) }
      #expect(failure.kind == .refused)
      #expect(failure.message.contains("job_closed: it has ended"))
    }
  }

  @Test func noSocketAtAllIsSaidAtOnceAndSilenceInTime() throws {
    try withRuntimeDirectory { directory in
      let path = "\(directory)/jobs/\(jobText)/worker.sock"
      let missing = try #require(throws: ControlFailure.self) { try send(in: directory) }
      #expect(missing.kind == .notRunning && missing.message.contains(path))
      let listening = try UnixSocket.listen(at: path, mode: 0o600)
      let silent = try #require(throws: ControlFailure.self) {
        try send(in: directory, patienceMilliseconds: 20)
      }
      #expect(silent.kind == .noAnswer)
      withExtendedLifetime(listening) {}
    }
  }
}

/// The command line itself.
@Suite struct CommandLineTests {
  private func exitCode(_ arguments: [String]) -> Int32? {
    do {
      _ = try ControlCommand.parseAsRoot(arguments)
      return nil
    } catch {
      return ControlCommand.exitCode(for: error).rawValue
    }
  }

  @Test(arguments: [
    ["status", "--runtime-directory", "/x"], ["--runtime-directory", "/x", "jobs", "--json"],
    ["queue", "--config", "/x"], ["send", jobText, "completed"],
    ["send", jobText, "unknown", "--metadata", #"{"a":1}"#],
  ])
  func whatIsRightIsTaken(arguments: [String]) { #expect(exitCode(arguments) == nil) }

  @Test(arguments: [
    ["nothing"], ["status", "--xml"], ["status", "--config", "/x", "--runtime-directory", "/y"],
    ["backup", "--config", "/x", "--state-directory", "/y", "/z"], ["backup", "--runtime-directory", "/x", "/z"],
    ["status", "--runtime-directory", ""], ["send", jobText], ["send", jobText, "finished"],
    ["send", "11111111", "completed"], ["send", jobText, "completed", "--metadata", "{"],
  ])
  func whatIsWrongIsExitCode64(arguments: [String]) { #expect(exitCode(arguments) == 64) }

  @Test func theDirectoryCanStandBeforeAndBehindTheSubcommand() throws {
    for arguments in [["--runtime-directory", "/x", "status"], ["status", "--runtime-directory", "/x"]] {
      let command = try #require(ControlCommand.parseAsRoot(arguments) as? StatusCommand)
      #expect(try command.location.resolve() == "/x")
    }
  }

  @Test func aBackupIsOfTheServiceThatWasNamed() throws {
    try withRuntimeDirectory { directory in
      for arguments in [["--config", directory + "/none", "backup"], ["backup", "--config", directory + "/none"]] {
        #expect(exitCode(arguments + [directory + "/copy"]) == nil)
        var command = try ControlCommand.parseAsRoot(arguments + [directory + "/copy"])
        #expect(throws: (any Error).self) { try command.run() }
        #expect((command as? BackupCommand)?.location.config == directory + "/none")
      }
    }
  }

  @Test func anInstancesDirectoryFollowsFromItsConfiguration() throws {
    // hordelink@NAME.service has it from systemd; a mistake here would ask another service.
    let missing = try #require(throws: ControlFailure.self) { try Location.directories("/etc/hordelink/no-such.toml") }
    #expect(missing.kind == .configuration)
    #expect(Location.systemdsDirectories("/etc/hordelink/b.toml")["RUNTIME_DIRECTORY"] == "/run/hordelink-b")
    #expect(Location.systemdsDirectories("/etc/hordelink/b.toml")["STATE_DIRECTORY"] == "/var/lib/hordelink-b")
    for file in [Location.defaultConfiguration, "/srv/b.toml", "/etc/hordelink/sub/b.toml"] {
      #expect(Location.systemdsDirectories(file).isEmpty)
    }
  }

  @Test func theConfigurationNamesTheDirectoryAndItsFaultsAreExitCode78() throws {
    try withRuntimeDirectory { directory in
      let file = directory + "/hordelink.toml"
      defer { unlink(file) }
      func resolve(_ text: String, _ environment: [String: String] = [:]) throws -> String {
        let bytes = Array(text.utf8)
        let descriptor = Descriptor(owning: open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600))
        try #require(write(descriptor.number, bytes, bytes.count) == bytes.count)
        return try Location.parse(["--config", file]).resolve(environment: environment)
      }
      let rest = "[facilitator]\nurl = \"wss://f.example/ws/v0/\"\n[dispatch]\ncommand = [\"/bin/true\"]\n"
      // A hotkey that only systemd hands out, and a proxy of the person's own, are nothing to hordelinkctl.
      #expect(
        try resolve("runtime_directory = \"/run/other\"\n" + rest, ["HTTPS_PROXY": "nonsense"]) == "/run/other")
      #expect(try resolve(rest) == "/run/hordelink")
      #expect(try resolve(rest, ["RUNTIME_DIRECTORY": "/run/passed"]) == "/run/passed")
      // A mistake elsewhere does not lock a person out of a service that runs.
      #expect(try resolve("runtime_directory = \"/run/other\"\n[dispatch]\ncomand = 1\n") == "/run/other")
      let wrong = try #require(throws: ControlFailure.self) { try resolve("runtime_directory = 1\n" + rest) }
      #expect(wrong.kind == .configuration && wrong.message.hasPrefix(file + ":1: "))
      unlink(file)
      #expect(
        try #require(throws: ControlFailure.self) { try Location.parse(["--config", file]).resolve() }.kind
          == .configuration)
    }
  }
}

import Glibc
import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// The installed service on a machine, with a dev facilitator on that machine's loopback interface.
final class Service {
  let machine: Machine
  let unit: String
  let facilitator: FacilitatorProcess

  /// Runs `body` with the service configured, and stops it afterwards.
  ///
  /// - Parameters:
  ///   - unit: `hordelink`, or an instance of it.
  ///   - settings: added to the sections of its configuration, keyed by their names.
  static func with(
    unit: String = "hordelink", settings: [String: String] = [:], started: Bool = true,
    _ body: (Service) throws -> Void
  ) throws {
    let machine = try #require(OnMachine.machine)
    let service = try Service(machine, unit: unit, settings: settings)
    defer { service.takeDown() }
    do {
      if started { try service.start() }
      try body(service)
    } catch {
      let journal = try machine.run("journalctl", "-b", "-u", unit, "-n", "200", "--no-pager", "-o", "short-precise")
        .text
      throw RehearsalError("\(error)\nthe journal:\n\(journal)")
    }
  }

  private init(_ machine: Machine, unit: String, settings: [String: String]) throws {
    self.machine = machine
    self.unit = unit
    let log = open("/dev/null", O_WRONLY | O_CLOEXEC)
    facilitator = try FacilitatorProcess(
      programs: try ProcessTable.ownFolder(), arguments: [],
      wrapper: ["/usr/bin/nsenter", "--target=\(machine.leader)", "--net"], log: Descriptor(owning: log))
    let listening = try #require(try facilitator.wait(milliseconds: 20_000) { $0.name == "listening" })
    let name = unit.split(separator: "@").last.map(String.init) ?? unit
    try machine.write(configuration(listening.text("url"), settings), to: "/etc/hordelink/\(name).toml")
    let key = "{\"secretSeed\":\"0x\(String(repeating: "5a", count: 32))\"}"
    let credential = unit == name ? "hotkey" : "hotkey-\(name)"
    try machine.run("mkdir", "-p", "/etc/credstore")
    try machine.write(key, to: "/etc/credstore/\(credential)", mode: 0o600)
  }

  private func configuration(_ url: String, _ settings: [String: String]) -> String {
    var sections = [
      "facilitator": "url = \"\(url)\"",
      "jobs": "trusted_signers = [\"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\"]",
      "dispatch": "command = [\"/bin/true\"]\ncommand_is = \"launcher\"",
    ]
    for (section, lines) in settings {
      sections[section] = section == "dispatch" ? lines : (sections[section].map { $0 + "\n" } ?? "") + lines
    }
    return sections.sorted { $0.key < $1.key }.map { "[\($0.key)]\n\($0.value)\n" }.joined()
  }

  func start() throws {
    let before = facilitator.events.count
    _ = try machine.run("systemctl", "start", unit).checked()
    try waitUntilConnected(from: before)
  }

  func waitUntilConnected(from index: Int) throws {
    let found = try facilitator.wait(from: index, milliseconds: 30_000) { $0.name == "authenticated" }
    guard found != nil else { throw RehearsalError("no connection to the facilitator") }
  }

  private func takeDown() {
    _ = try? machine.run("systemctl", "stop", unit)
    _ = try? machine.run("systemctl", "reset-failed", unit)
    _ = try? machine.run("rm", "-rf", "/var/lib/\(directory)", "/etc/systemd/system/\(unit).service.d")
    _ = try? machine.run("systemctl", "daemon-reload")
    try? facilitator.tell([("command", .string("quit"))])
    if (try? facilitator.process.wait(milliseconds: 5000)) == nil {
      facilitator.process.signal(SIGKILL)
      _ = try? facilitator.process.wait(milliseconds: 5000)
    }
  }

  /// The name of its state and runtime directories.
  var directory: String { unit.replacing("@", with: "-") }

  /// A property of the unit, as systemctl shows it.
  func property(_ name: String) throws -> String {
    let text = try machine.run("systemctl", "show", "--property=\(name)", "--value", unit).checked()
    return String(text.dropLast())
  }

  /// Adds to the unit's [Service] section.
  func dropIn(_ lines: String) throws {
    let folder = "/etc/systemd/system/\(unit).service.d"
    try machine.run("mkdir", "-p", folder)
    try machine.write("[Service]\n\(lines)\n", to: folder + "/test.conf")
    _ = try machine.run("systemctl", "daemon-reload").checked()
  }

  /// A child as hordelinkctl tells of it.
  struct Child {
    var name: String
    var job: String?
    var state: String
    var pid: Int
  }

  func children() throws -> [Child] {
    let text = try machine.run("hordelinkctl", "--runtime-directory", "/run/\(directory)", "status", "--json").text
    let report = try JSONValue.parse(Array(text.utf8), limits: JSONLimits(bytes: 1 << 20))
    return (report["children"]?.arrayValue ?? []).map { child in
      var pid = 0
      if case .number(let digits)? = child["pid"] { pid = Int(digits) ?? 0 }
      return Child(
        name: child["name"]?.stringValue ?? "", job: child["job"]?.stringValue,
        state: child["state"]?.stringValue ?? "", pid: pid)
    }
  }

  /// The pid, inside the machine, of the child of that name that is ready; waits for it.
  func readyChild(_ name: String, job: JobID? = nil) throws -> Int {
    var pid: Int?
    try machine.until("\(name) is ready") {
      let children = (try? children()) ?? []
      pid = children.first { $0.name == name && $0.state == "ready" && $0.job == job?.description }?.pid
      return pid != nil
    }
    return try #require(pid)
  }

  // MARK: Jobs

  /// Where a job's workers connect, seen from here: as from outside of the unit.
  func workerSocket(_ job: JobID) -> String { machine.outside("/run/\(directory)/jobs/\(job)/worker.sock") }

  func worker(_ job: JobID) -> WorkerClient {
    WorkerClient(socketPath: workerSocket(job), job: job, patienceMilliseconds: 60_000)
  }

  /// Sends a job and waits until its workers can connect.
  func startJob() throws -> JobID {
    let job = JobID.random()
    try facilitator.sendJob(job, limits: [600, 600, 600, 600])
    try expectAccepted(job, [.received])
    try machine.until("the socket of \(job)") { access(workerSocket(job), F_OK) == 0 }
    return job
  }

  /// Waits until the facilitator has accepted as many updates of the job, and checks that they are these.
  func expectAccepted(_ job: JobID, _ statuses: [JobStatus]) throws {
    let deadline = Deadline.after(milliseconds: 60_000)
    while facilitator.accepted(job).count < statuses.count, deadline.millisecondsLeft > 0 {
      try facilitator.read(milliseconds: 50)
    }
    #expect(facilitator.accepted(job) == statuses)
  }

  // MARK: The journal

  /// Its entries that match, oldest first, each a JSON object.
  func journal(_ matches: String...) throws -> [JSONValue] {
    let text = try Command.run(
      [
        "/usr/bin/nsenter", "--target=\(machine.leader)", "--all", "--wd=/", "/usr/bin/journalctl", "--no-pager",
        "--all",
        "--output=json",
      ] + matches
    ).text
    return try text.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
      try JSONValue.parse(Array($0.utf8), limits: JSONLimits(bytes: 1 << 20))
    }
  }
}

extension String {
  /// Without the newline at its end.
  var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}

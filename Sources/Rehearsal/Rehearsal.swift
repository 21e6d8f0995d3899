import Glibc
import Identity
import JSON
import Messages
import Platform

/// Why a rehearsal cannot go on, with where its programs' output is.
public struct RehearsalError: Error, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }
}

/// The whole of hordelink in a temporary directory, with a dev facilitator at the other end: real processes and real
/// sockets, for the demo and for tests. Nothing of it is left when it has ended.
public final class Rehearsal {
  /// What a rehearsal runs with.
  public struct Settings: Sendable {
    /// The folder of the programs.
    public var programs: String
    public var command: [String]
    public var commandIsLauncher = false
    /// Added to the sections of the configuration, keyed by their names; "" is the part before the first.
    public var more: [String: String] = [:]
    /// Added to the Supervisor's environment.
    public var environment: [String] = []
    public var facilitatorArguments: [String] = []
    /// Debug builds die at the steps whose names are files in `folder`/failpoints.
    public var failpoints = false
    /// Where the runtime directory's folder is made; nil: with everything else. systemd's is in memory.
    public var runtimeIn: String?
    /// The URL in the configuration, made from the one at which the dev facilitator can be reached.
    public var url: @Sendable (String) -> String = { $0 }

    public init(programs: String, command: [String]) {
      self.programs = programs
      self.command = command
    }
  }

  public let folder: String
  private let runtimeFolder: String
  public let settings: Settings
  /// The validator's ss58 address.
  public let hotkey: String
  public private(set) var facilitator: FacilitatorProcess
  public private(set) var supervisor: RunningProcess?
  private let logFile: Descriptor
  /// Where the dev facilitator listens.
  private let facilitatorAddress: String
  /// Start times of the processes that were reported, by pid.
  private var seen: [pid_t: UInt64] = [:]

  /// Makes the directory, starts the dev facilitator and writes the configuration.
  public init(_ settings: Settings) throws {
    folder = try Self.makeFolder()
    runtimeFolder = try settings.runtimeIn.map { try Self.makeFolder(in: $0) } ?? folder
    self.settings = settings
    if settings.failpoints { try Files.makeDirectory(folder + "/failpoints", mode: 0o700) }
    let log = open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard log >= 0 else { throw SystemError("open", folder + "/log") }
    logFile = Descriptor(owning: log)

    hotkey = try Self.writeHotkey(to: folder + "/hotkey")
    let url: String
    (facilitator, url) = try Self.startFacilitator(settings.programs, settings.facilitatorArguments, logFile)
    facilitatorAddress = String(url.split(separator: "/")[1])
    try Self.write(Array(configuration(url: settings.url(url)).utf8), to: configurationFile, mode: 0o600)
  }

  /// Starts a dev facilitator and waits until it listens; returns its URL with it.
  private static func startFacilitator(
    _ programs: String, _ arguments: [String], _ log: Descriptor
  ) throws -> (FacilitatorProcess, String) {
    let facilitator = try FacilitatorProcess(programs: programs, arguments: arguments, log: log)
    guard let listening = try facilitator.wait(milliseconds: 20_000, for: { $0.name == "listening" }) else {
      throw RehearsalError("the dev facilitator does not listen; what it is started with: \(arguments)")
    }
    return (facilitator, listening.text("url"))
  }

  /// Ends the dev facilitator, which forgets everything, and starts another at the same address.
  ///
  /// - Parameter arguments: of the new one; `--listen` among them gives it another address.
  public func restartFacilitator(_ arguments: [String] = []) throws {
    stopFacilitator()
    (facilitator, _) = try Self.startFacilitator(
      settings.programs, ["--listen", facilitatorAddress] + arguments, logFile)
  }

  private func stopFacilitator() {
    try? facilitator.tell([("command", .string("quit"))])
    if (try? facilitator.process.wait(milliseconds: 5000)) == nil {
      facilitator.process.signal(SIGKILL)
      _ = try? facilitator.process.wait(milliseconds: 5000)
    }
  }

  public var configurationFile: String { folder + "/hordelink.toml" }
  public var stateDirectory: String { folder + "/state" }
  public var runtimeDirectory: String { runtimeFolder + "/run" }

  /// Where a job's workers connect.
  public func workerSocket(_ job: JobID) -> String { "\(runtimeDirectory)/jobs/\(job)/worker.sock" }

  /// What the programs have printed so far.
  public var log: String {
    let bytes = (try? Files.read(folder + "/log", limit: 64 << 20)) ?? []
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func writeHotkey(to path: String) throws -> String {
    var generator = SystemRandomNumberGenerator()
    let seed = (0..<SecretKey.seedCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let text = JSONValue.object([JSONMember("secretSeed", .string("0x" + Hex.encode(seed)))])
    try write(text.text(.compact), to: path, mode: 0o600)
    return try SecretKey(seed: seed).publicKey.ss58
  }

  /// Writes a file of the rehearsal anew.
  public static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard file >= 0 else { throw SystemError("open", path) }
    let descriptor = Descriptor(owning: file)
    guard Glibc.write(descriptor.number, bytes, bytes.count) == bytes.count else {
      throw SystemError("write", path)
    }
  }

  private func configuration(url: String) -> String {
    let command = settings.command.map { JSONValue.string($0).text(.compact) }
    let words = command.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
    let sections = [
      ("", "state_directory = \"\(stateDirectory)\"\nruntime_directory = \"\(runtimeDirectory)\""),
      ("facilitator", "url = \"\(url)\""),
      ("identity", "hotkey_file = \"\(folder)/hotkey\""),
      ("jobs", "trusted_signers = [\"\(Self.signer)\"]"),
      (
        "dispatch",
        "command = [\(words)]\ncommand_is = \"\(settings.commandIsLauncher ? "launcher" : "worker")\""
      ),
    ]
    var text = ""
    for (name, lines) in sections {
      if !name.isEmpty { text += "[\(name)]\n" }
      text += lines + "\n" + (settings.more[name] ?? "") + "\n"
    }
    let named = Set(sections.map(\.0))
    for (name, lines) in settings.more.sorted(by: { $0.key < $1.key }) where !named.contains(name) {
      text += "[\(name)]\n\(lines)\n"
    }
    return text
  }

  /// `//Alice`, with whose key the dev facilitator signs jobs.
  private static let signer = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

  // MARK: The Supervisor

  /// Starts the Supervisor, and with it everything else.
  public func startSupervisor() throws {
    let program = settings.programs + "/hordelink-supervisor"
    var request = SpawnRequest(
      executable: program, arguments: [program, "--config", configurationFile],
      environment: ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=\(folder)", "LANG=C.UTF-8"]
        + (settings.failpoints ? ["HORDELINK_FAILPOINTS=\(folder)/failpoints"] : []) + Self.sanitizerOptions
        + settings.environment)
    request.standardOutput = logFile
    request.standardError = logFile
    supervisor = try RunningProcess(pid: try request.spawn())
  }

  /// NAME=VALUE of the tests' own environment, which every program of ours needs under `make sanitize`.
  public static var sanitizerOptions: [String] {
    let own = ProcessTable.environment
    return ["ASAN_OPTIONS", "TSAN_OPTIONS"].compactMap { name in own[name].map { "\(name)=\($0)" } }
  }

  /// Waits until the service is connected to the facilitator.
  /// - Parameter index: of the first of the facilitator's events that counts.
  public func waitUntilConnected(from index: Int = 0) throws {
    let found = try facilitator.wait(from: index, milliseconds: 20_000) { $0.name == "authenticated" }
    guard found != nil else { throw RehearsalError("no connection to the facilitator; the log:\n\(log)") }
  }

  /// Asks the Supervisor what runs, as hordelinkctl does; nil while it does not answer.
  public func report(_ query: UplinkQuery = .status) throws -> (children: [ChildReport], uplink: UplinkReport?)? {
    guard let socket = try? UnixSocket.connect(to: runtimeDirectory + "/control.sock") else { return nil }
    let connection = FrameConnection(
      socket, limit: Limits.controlFrameBytes, outgoingLimit: Limits.updateOverheadBytes)
    try connection.send(ControlToSupervisor.query(query).frame(generation: .none))
    while try Waiting.readable([socket], milliseconds: 5000)[0], !connection.atEnd {
      try connection.fill()
      if let (message, _) = try connection.next(SupervisorToControl.self),
        case .report(let children, let uplink) = message
      {
        for child in children {
          if let start = ProcessTable.startTime(of: pid_t(child.pid)) { seen[pid_t(child.pid)] = start }
        }
        return (children, uplink)
      }
    }
    return nil
  }

  /// The child of that name that is ready, with its job if one is given; waits for it.
  ///
  /// - Parameter generation: only one that is later than this.
  public func readyChild(
    _ name: String, job: JobID? = nil, after generation: UInt64 = 0, milliseconds: Int = 10_000
  ) throws -> ChildReport {
    let deadline = Clock.bootNanoseconds + Int64(milliseconds) * 1_000_000
    while Clock.bootNanoseconds < deadline {
      let children = try report()?.children ?? []
      let found = children.first {
        $0.name == name && $0.job == job && $0.generation > generation && $0.state == "ready"
      }
      if let found { return found }
      // Nothing announces a child's readiness to the outside: this asks again, a few times a second.
      try facilitator.read(milliseconds: 20)
    }
    throw RehearsalError("\(name) is not ready within \(milliseconds) ms; the log:\n\(log)")
  }

  /// Kills a child as a crash would. Returns what it was.
  @discardableResult
  public func kill(_ name: String, job: JobID? = nil) throws -> ChildReport {
    let child = try readyChild(name, job: job)
    ProcessTable.signal(pid_t(child.pid), SIGKILL)
    return child
  }

  /// Stops the service in order. Returns how it ended.
  @discardableResult
  public func stopSupervisor(milliseconds: Int32 = 30_000) throws -> RunningProcess.Ending {
    guard let supervisor else { throw RehearsalError("the Supervisor was not started") }
    supervisor.signal(SIGTERM)
    guard let ending = try supervisor.wait(milliseconds: milliseconds) else {
      throw RehearsalError("the Supervisor does not stop; the log:\n\(log)")
    }
    return ending
  }

  // MARK: The end

  /// Processes that were reported at some time and still run.
  public var leftovers: [pid_t] {
    seen.filter { ProcessTable.startTime(of: $0.key) == $0.value && ProcessTable.isRunning($0.key) }
      .map(\.key).sorted()
  }

  /// Ends what still runs and removes the directory.
  public func tearDown() {
    if let supervisor {
      supervisor.signal(SIGTERM)
      if (try? supervisor.wait(milliseconds: 20_000)) == nil {
        supervisor.signal(SIGKILL)
        _ = try? supervisor.wait(milliseconds: 5000)
      }
    }
    stopFacilitator()
    Self.removeTree(folder)
    if runtimeFolder != folder { Self.removeTree(runtimeFolder) }
  }

  /// Makes a folder of its own for something that is tried out; `removeTree` takes it away.
  /// - Parameters:
  ///   - kind: a part of its name.
  ///   - folder: in which it is made.
  public static func makeFolder(_ kind: String = "", in folder: String = "/tmp") throws(SystemError) -> String {
    var template = Array("\(folder)/hordelink-\(kind)XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", folder) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Removes a folder with all that is in it, as far as that can be.
  public static func removeTree(_ path: String) {
    for name in (try? Files.names(in: path)) ?? [] {
      let child = "\(path)/\(name)"
      if unlink(child) != 0 { removeTree(child) }
    }
    rmdir(path)
  }
}

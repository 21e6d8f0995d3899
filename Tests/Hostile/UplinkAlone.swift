import Glibc
import Identity
import JSON
import Messages
import Platform
import Rehearsal

/// Uplink's program with a dev facilitator, and the test in the Supervisor's place: so a test has what only a Listener has.
final class UplinkAlone {
  let folder: String
  let facilitator: FacilitatorProcess
  let secret: ListenerSecret
  let socketPath: String
  private let control: FrameConnection
  private let process: RunningProcess
  private let log: Descriptor

  init() throws {
    folder = try Rehearsal.makeFolder("uplink-")
    let programs = try ProcessTable.ownFolder()
    log = Descriptor(owning: open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600))
    facilitator = try FacilitatorProcess(programs: programs, arguments: [], log: log)
    guard let listening = try facilitator.wait(milliseconds: 20_000, for: { $0.name == "listening" }),
      let port = Int(listening.text("url").split(separator: "/")[1].split(separator: ":").last ?? "")
    else { throw RehearsalError("the dev facilitator does not listen") }
    let seed = JSONValue.string("0x" + Hex.encode([UInt8](repeating: 7, count: SecretKey.seedCount)))
    let hotkey = JSONValue.object([JSONMember("secretSeed", seed)]).text(.compact)
    try Rehearsal.write(hotkey, to: folder + "/hotkey", mode: 0o600)
    try Files.makeDirectory(folder + "/state", mode: 0o700)
    secret = try ListenerSecret()
    socketPath = folder + "/uplink.sock"
    let socket = try UnixSocket.listen(at: socketPath, mode: 0o600)
    let (ours, theirs) = try UnixSocket.pair()
    var request = SpawnRequest(
      executable: programs + "/hordelink-uplink", arguments: [programs + "/hordelink-uplink"],
      environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8", "SWIFT_BACKTRACE=enable=no"] + Rehearsal.sanitizerOptions)
    request.descriptors = [theirs, socket]
    request.standardOutput = log
    request.standardError = log
    process = try RunningProcess(pid: try request.spawn())
    control = FrameConnection(ours, limit: Limits.controlFrameBytes, outgoingLimit: Limits.controlFrameBytes)
    var settings = UplinkSettings(
      stateDirectory: folder + "/state", secure: false, host: "127.0.0.1", port: port, path: "/ws/v0/",
      hotkeyFile: folder + "/hotkey", trustedSigners: ["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"])
    settings.listenerSecret = secret.bytes
    try control.send(SupervisorToUplink.configure(settings).frame(generation: Generation(1)))
  }

  /// Waits until Uplink says this to its Supervisor.
  func expect(_ what: String, _ isIt: (UplinkToSupervisor) -> Bool) throws {
    while true {
      while let (message, _) = try control.next(UplinkToSupervisor.self) { if isIt(message) { return } }
      guard !control.atEnd, try Waiting.readable([control.socket], milliseconds: 20_000)[0] else {
        throw RehearsalError("Uplink does not say \(what); its log:\n\(text)")
      }
      try control.fill()
    }
  }

  /// What it and the dev facilitator have printed so far.
  var text: String { String(decoding: (try? Files.read(folder + "/log", limit: 64 << 20)) ?? [], as: UTF8.self) }

  var pid: Int { Int(process.pid) }

  /// A connection as a Listener's.
  func connect() throws -> FrameConnection {
    FrameConnection(try UnixSocket.connect(to: socketPath), limit: 1 << 20, outgoingLimit: 32 << 20)
  }

  func token(_ job: JobID?, generation: UInt64) -> [UInt8] {
    secret.token(channel: job?.description ?? "specs", generation: generation)
  }

  func tearDown() {
    process.signal(SIGKILL)
    _ = try? process.wait(milliseconds: 5000)
    try? facilitator.tell([("command", .string("quit"))])
    if (try? facilitator.process.wait(milliseconds: 5000)) == nil { facilitator.process.signal(SIGKILL) }
    Rehearsal.removeTree(folder)
  }
}

extension FrameConnection {
  /// The next message on a connection of a Listener; nil once it has been closed.
  func answer() throws -> UplinkToListener? {
    while true {
      if let (message, _) = try next(UplinkToListener.self) { return message }
      if atEnd { return nil }
      try flush()
      guard try Waiting.readable([socket], milliseconds: 20_000)[0] else {
        throw RehearsalError("a Listener's connection is neither answered nor closed")
      }
      try fill()
    }
  }

  func say(_ message: ListenerToUplink, generation: UInt64) throws {
    try send(message.frame(generation: Generation(generation)))
  }
}

import Facilitator
import Glibc
import Identity
import Journal
import Messages
import NIOSSL
import Platform

/// Why Uplink cannot start, with the exit code that says so.
struct CannotStart: Error, CustomStringConvertible {
  var code: Int32
  var text: String

  var description: String { text }
}

/// Reads exactly the first frame from the control socket, and nothing of what follows it.
func firstMessage() throws -> (UplinkSettings, Generation)? {
  let socket = Descriptor(owning: dup(InheritedDescriptor.control))
  func read(_ count: Int) throws -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard let more = try socket.read(upTo: count - bytes.count), !more.isEmpty else { return nil }
      bytes += more
    }
    return bytes
  }
  try socket.setNonBlocking(false)
  var assembler = FrameAssembler(limit: Limits.controlFrameBytes)
  guard let header = try read(4) else { return nil }
  assembler.append(header)
  // Refuses a length above the limit.
  _ = try assembler.next()
  guard let rest = try read(header.reduce(0) { $0 << 8 | Int($1) }) else { return nil }
  assembler.append(rest)
  guard let body = try assembler.next() else { return nil }
  guard case (.configure(let settings), let generation) = try SupervisorToUplink.read(body) else {
    throw CannotStart(code: ExitCode.software, text: "the first message is not the configuration")
  }
  return (settings, generation)
}

func hotkey(_ settings: UplinkSettings) throws(CannotStart) -> Hotkey {
  func wrong(_ text: String) -> CannotStart {
    CannotStart(
      code: ExitCode.configuration, text: "[identity] hotkey_file: \(text)")
  }
  let hotkey: Hotkey
  do {
    hotkey = try HotkeyFile.hotkey { try Files.read(settings.hotkeyFile, into: $0) }
  } catch let error as SystemError {
    throw wrong("\(error); the service's user must be able to read it")
  } catch {
    throw wrong("\(settings.hotkeyFile): \(error)")
  }
  guard hotkey.canSign else {
    throw wrong("\(settings.hotkeyFile) has no secret key; give the validator's own hotkey file")
  }
  return hotkey
}

/// Whose signatures count. The Supervisor has refused addresses that are none.
func trustedSigners(_ settings: UplinkSettings, _ hotkey: Hotkey) -> TrustedSigners {
  TrustedSigners(settings.trustedSigners.compactMap { try? PublicKey(ss58: $0) } + [hotkey.publicKey])
}

func address(_ settings: UplinkSettings) throws(CannotStart) -> FacilitatorAddress {
  var tls: NIOSSLContext?
  if settings.secure {
    var configuration = TLSConfiguration.makeClientConfiguration()
    if let file = settings.caFile { configuration.trustRoots = .file(file) }
    do {
      tls = try NIOSSLContext(configuration: configuration)
    } catch {
      throw CannotStart(
        code: ExitCode.configuration,
        text: "[facilitator] ca_file: \(settings.caFile ?? "the system's certificates"): \(error)")
    }
  }
  let isDefaultPort = settings.port == (settings.secure ? 443 : 80)
  let host = bracketed(settings.host)
  return FacilitatorAddress(
    host: settings.host, port: settings.port, path: settings.path, tls: tls, caFile: settings.caFile,
    proxy: settings.proxy, authority: isDefaultPort ? host : "\(host):\(settings.port)")
}

/// Takes the lock on the record. An Uplink that holds it is one that a dead Supervisor has left behind, since ours has the
/// lock on the state directory: it leaves by itself. One that is stopped, or hangs, is ended.
func lock(_ settings: UplinkSettings) throws -> Descriptor {
  let file = settings.stateDirectory + "/uplink.lock"
  var holder: Files.LockHolder
  switch try Files.lock(file) {
  case .locked(let descriptor): return descriptor
  case .held(let by): holder = by
  }
  if let process = try? ProcessTable.watch(holder.pid), try isUplink(holder),
    try !Waiting.readable([process], milliseconds: 3000)[0], let start = holder.startTime
  {
    if ProcessTable.end(holder.pid, startedAt: start) {
      Journal.lastWords(
        "hordelink-uplink: another Uplink (pid \(holder)), left behind by an earlier Supervisor, does not leave; it is killed"
      )
    }
    _ = try Waiting.readable([process], milliseconds: 10_000)
  }
  switch try Files.lock(file) {
  case .locked(let descriptor): return descriptor
  case .held(let by): holder = by
  }
  throw CannotStart(
    code: ExitCode.temporary, text: "\(file): another Uplink (pid \(holder)) holds this state directory")
}

/// Whether who holds the lock is still the process that took it.
private func isUplink(_ holder: Files.LockHolder) throws(SystemError) -> Bool {
  // The kernel keeps 15 characters of a program's name.
  guard let start = holder.startTime, try holder.bootID == Clock.bootID() else { return false }
  return ProcessTable.startTime(of: holder.pid) == start && ProcessTable.name(of: holder.pid) == "hordelink-uplin"
}

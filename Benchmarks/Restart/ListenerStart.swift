import Glibc
import Messages
import Platform
import Rehearsal

/// A Listener's start and nothing beside it: this stands for the Supervisor and for Uplink, and greets it.
final class ListenerStart {
  private let program: String
  private let folder: String
  private let uplink: Descriptor
  private let job = JobID(high: 0x4000, low: 0x8000 << 48 | 1)

  init(programs: String) throws {
    program = programs + "/hordelink-listener"
    folder = try Rehearsal.makeFolder("start-")
    uplink = try UnixSocket.listen(at: folder + "/uplink.sock", mode: 0o600)
  }

  /// Milliseconds from before the spawn to the word that it is ready. It has ended when this returns.
  func measure() throws -> Double {
    let (ours, theirs) = try UnixSocket.pair()
    let control = FrameConnection(ours, limit: Limits.updateOverheadBytes, outgoingLimit: Limits.updateOverheadBytes)
    let listening = try UnixSocket.listen(at: folder + "/worker.sock", mode: 0o600)
    var request = SpawnRequest(executable: program, arguments: [program], environment: [])
    request.descriptors = [theirs, listening]
    let settings = ListenerSettings(job: job, uplinkSocket: folder + "/uplink.sock", maxFrameBytes: 1 << 24)

    let start = Clock.bootNanoseconds
    let process = try RunningProcess(pid: try request.spawn())
    try control.send(SupervisorToListener.assign(settings).frame(generation: Generation(1)))
    guard try Waiting.readable([uplink], milliseconds: 10_000)[0], let socket = try UnixSocket.accept(uplink) else {
      throw RehearsalError("a Listener does not connect to Uplink")
    }
    let connection = FrameConnection(socket, limit: 1 << 24, outgoingLimit: 1 << 16)
    while try connection.next(ListenerToUplink.self) == nil {
      guard try Waiting.readable([socket], milliseconds: 10_000)[0] else {
        throw RehearsalError("a Listener does not say hello to Uplink")
      }
      try connection.fill()
    }
    try connection.send(UplinkToListener.welcome(ended: false).frame(generation: Generation(1)))
    var isReady = false
    while !isReady {
      guard try Waiting.readable([ours], milliseconds: 10_000)[0] else {
        throw RehearsalError("a Listener is not ready")
      }
      try control.fill()
      while let (message, _) = try control.next(ListenerToSupervisor.self) { isReady = isReady || message == .ready }
    }
    let elapsed = Double(Clock.bootNanoseconds - start) / 1e6
    process.signal(SIGKILL)
    _ = try process.wait(milliseconds: 10_000)
    return elapsed
  }

  func tearDown() { Rehearsal.removeTree(folder) }
}

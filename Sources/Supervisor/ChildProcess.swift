import Decisions
import Glibc
import Messages
import Platform

/// A running child of ours and the control socket to it.
final class ChildProcess {
  let generation: Generation
  let pid: pid_t
  let control: FrameConnection
  var controlSource: EventLoop.Source?
  var exitSource: EventLoop.Source?

  /// What a child may leave unread, in bytes: many times what it is told at once. It is pinged besides, so that one that reads
  /// nothing is replaced.
  private static let unreadLimit = 4 << 20

  /// Spawns one of the programs that lie beside this one.
  ///
  /// - Parameter listening: the socket it serves.
  init(program: String, listening: Descriptor, generation: Generation, environment: [String])
    throws(SystemError)
  {
    self.generation = generation
    let (ours, theirs) = try UnixSocket.pair()
    var request = SpawnRequest(executable: program, arguments: [program], environment: environment)
    request.descriptors = [theirs, listening]
    // A terminal's ^C is for the Supervisor, which stops its children in order.
    request.newSession = true
    pid = try request.spawn()
    control = FrameConnection(ours, limit: Limits.controlFrameBytes, outgoingLimit: Self.unreadLimit)
  }

  func send(_ frame: [UInt8]) throws(FrameConnection.Failure) {
    try control.send(frame)
    controlSource?.waitFor(read: !control.atEnd, write: control.wantsToWrite)
  }
}

// hordelink-listener: the ear. Hears one job's channel and hands what it hears to Uplink.
//
// Started by hordelink-supervisor only, with the descriptors of Messages/Identifiers.swift.

import Glibc
import Messages
import Platform

/// The first message says whose channel to hear.
func assignment(
  _ control: FrameConnection
) throws(FrameConnection.Failure) -> (ListenerSettings, Generation)? {
  while true {
    guard try control.fill(), !control.atEnd else { return nil }
    guard let (message, generation) = try control.next(SupervisorToListener.self) else { continue }
    guard case .assign(let settings) = message else { continue }
    return (settings, generation)
  }
}

func run() -> Int32 {
  let socket = Descriptor(owning: InheritedDescriptor.control)
  let listening = Descriptor(owning: InheritedDescriptor.listening)
  do {
    // Before there is a token in it.
    try Dumpable.off()
    try socket.setCloseOnExec()
    try listening.setCloseOnExec()
  } catch {
    Terminal.complain("hordelink-listener is started by hordelink-supervisor and by nothing else")
    return ExitCode.usage
  }
  let control = FrameConnection(
    socket, limit: Limits.updateOverheadBytes, outgoingLimit: Limits.updateOverheadBytes)
  do {
    // Nothing else is to be done before the assignment, so this one wait may block.
    try socket.setNonBlocking(false)
    guard let (settings, generation) = try assignment(control) else { return ExitCode.success }
    try socket.setNonBlocking()
    let loop = try Loop(settings: settings, generation: generation, control: control, listening: listening)
    return try loop.run()
  } catch {
    Terminal.complain("hordelink-listener: \(error)")
    return ExitCode.software
  }
}

exit(run())

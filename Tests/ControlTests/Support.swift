import Glibc
import Messages
import Platform

@testable import Control

let jobText = "11111111-2222-4333-8444-555555555555"

func someState(
  session: String = "ready", lastLoss: String = "", queued: Int = 12, stored: Int = 470, delivered: Int = 456
) -> UplinkState {
  UplinkState(
    session: session, lastLoss: lastLoss, openJobs: 2, queued: queued, queueAgeSeconds: 75, inFlight: 3, stored: stored,
    delivered: delivered, retrying: 2, dead: 1)
}

let someChildren = [
  ChildReport(
    name: "uplink", job: nil, pid: 4711, generation: 3, state: "ready", seconds: 7384, restartsLastHour: 2,
    lastDeath: "killed by signal 9"),
  ChildReport(
    name: "listener", job: JobID(jobText), pid: 0, generation: 0, state: "backoff", seconds: 5,
    restartsLastHour: 10, lastDeath: "exit 70"),
  ChildReport(
    name: "command", job: JobID(jobText), pid: 99, generation: 0, state: "running", seconds: 90_061,
    restartsLastHour: 0, lastDeath: ""),
]

/// Gives the body a runtime directory of its own, with `jobs/UUID` in it, and removes it afterwards.
func withRuntimeDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("/tmp/control-XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", "/tmp") }
  let directory = String(cString: made)
  let jobDirectory = "\(directory)/jobs/\(jobText)"
  try Files.makeDirectory(directory + "/jobs", mode: 0o700)
  try Files.makeDirectory(jobDirectory, mode: 0o700)
  defer {
    for path in [jobDirectory + "/worker.sock", directory + "/control.sock"] { unlink(path) }
    for path in [jobDirectory, directory + "/jobs", directory] { rmdir(path) }
  }
  return try body(directory)
}

/// Takes one connection at `path` and, once a frame has come, answers it with what `answer` makes of it; nil answers
/// nothing and closes.
func serveOnce(at path: String, _ answer: @escaping @Sendable (ArraySlice<UInt8>) -> [UInt8]?) throws {
  let listening = try UnixSocket.listen(at: path, mode: 0o600)
  try listening.setNonBlocking(false)
  try BackgroundThread.start {
    guard let socket = try? UnixSocket.accept(listening) else { return }
    try? socket.setNonBlocking(false)
    let frames = FrameConnection(socket, limit: 1 << 20, outgoingLimit: .max)
    while !frames.atEnd {
      if let body = try? frames.nextBody() {
        guard let bytes = answer(body) else { return }
        try? frames.send(bytes)
      }
      guard (try? frames.fill()) == true else { return }
    }
  }
}

import Decisions
import Glibc
import Messages
import Platform

/// The listening sockets that children serve. The Supervisor makes and keeps them, so that they outlive the child:
/// while one is being replaced, clients wait in the backlog and are not refused.
final class Ingress {
  private let runtimeDirectory: String
  private var sockets: [Channel: Descriptor] = [:]
  /// Uplink's own.
  let uplink: Descriptor
  /// hordelinkctl's.
  let control: Descriptor

  /// Makes the directories and the sockets that are always there.
  init(runtimeDirectory: String) throws(SystemError) {
    self.runtimeDirectory = runtimeDirectory
    try Files.makeDirectory(runtimeDirectory, mode: 0o750)
    // Not to be listed: who is to reach a job's socket knows its uuid.
    try Files.makeDirectory(runtimeDirectory + "/jobs", mode: 0o710)
    uplink = try UnixSocket.listen(at: Self.uplinkPath(runtimeDirectory), mode: 0o600)
    control = try UnixSocket.listen(at: runtimeDirectory + "/control.sock", mode: 0o600)
  }

  static func uplinkPath(_ runtimeDirectory: String) -> String { runtimeDirectory + "/uplink.sock" }

  private func folder(_ job: JobID) -> String { "\(runtimeDirectory)/jobs/\(job)" }

  /// Where a channel's workers connect.
  func path(_ channel: Channel) -> String {
    switch channel {
    case .job(let job): folder(job) + "/worker.sock"
    case .specs: runtimeDirectory + "/specs.sock"
    }
  }

  /// The channel's listening socket, made when there is none yet.
  func socket(_ channel: Channel) throws(SystemError) -> Descriptor {
    if let socket = sockets[channel] { return socket }
    if case .job(let job) = channel { try Files.makeDirectory(folder(job), mode: 0o750) }
    let socket = try UnixSocket.listen(at: path(channel), mode: 0o660)
    sockets[channel] = socket
    return socket
  }

  func remove(_ job: JobID) throws(SystemError) {
    sockets[.job(job)] = nil
    try Files.remove(path(.job(job)))
    try Files.removeDirectory(folder(job))
  }

  /// Removes what an earlier Supervisor has left of jobs that are not open any more.
  func keep(only jobs: Set<JobID>) throws(SystemError) {
    for name in try Files.names(in: runtimeDirectory + "/jobs") {
      if let job = JobID(name), !jobs.contains(job) { try remove(job) }
    }
  }

  /// For the end of the service.
  func removeAll() throws(SystemError) {
    try keep(only: [])
    for path in [path(.specs), Self.uplinkPath(runtimeDirectory), runtimeDirectory + "/control.sock"] {
      try Files.remove(path)
    }
  }
}

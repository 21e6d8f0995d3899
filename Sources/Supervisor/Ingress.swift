import Decisions
import Glibc
import Logging
import Messages
import Platform

/// The listening sockets that children serve. The Supervisor makes and keeps them, so that they outlive the child:
/// while one is being replaced, clients wait in the backlog and are not refused. Those of workers outlive the Supervisor
/// too, where systemd keeps them.
final class Ingress {
  private let runtimeDirectory: String
  private let store: DescriptorStore
  private let logger: Logger
  private var sockets: [Channel: Descriptor] = [:]
  /// Uplink's own.
  let uplink: Descriptor
  /// hordelinkctl's.
  let control: Descriptor

  /// Makes the directories and the sockets that are always there, and takes back what the store has kept.
  init(runtimeDirectory: String, store: DescriptorStore, logger: Logger) throws(SystemError) {
    self.runtimeDirectory = runtimeDirectory
    self.store = store
    self.logger = logger
    try Files.makeDirectory(runtimeDirectory, mode: 0o750)
    // Not to be listed: who is to reach a job's socket knows its uuid.
    try Files.makeDirectory(runtimeDirectory + "/jobs", mode: 0o710)
    uplink = try UnixSocket.listen(at: Self.uplinkPath(runtimeDirectory), mode: 0o600)
    control = try UnixSocket.listen(at: Self.controlPath(runtimeDirectory), mode: 0o600)
    for (name, descriptor) in store.takeBack() {
      if let channel = Channel(storedName: name), sockets[channel] == nil,
        UnixSocket.isListening(descriptor, at: path(channel))
      {
        sockets[channel] = descriptor
      } else {
        // Its path has gone, or was never ours.
        logger.warning("a descriptor that systemd has kept, \(name), is no socket of ours and is closed")
        forget(name)
      }
    }
  }

  static func uplinkPath(_ runtimeDirectory: String) -> String { runtimeDirectory + "/uplink.sock" }
  private static func controlPath(_ runtimeDirectory: String) -> String { runtimeDirectory + "/control.sock" }

  private func folder(_ job: JobID) -> String { "\(runtimeDirectory)/jobs/\(job)" }

  /// Jobs that have a socket.
  var jobs: Set<JobID> {
    Set(sockets.keys.compactMap { if case .job(let job) = $0 { job } else { nil } })
  }

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
    do {
      try store.keep(socket, as: channel.storedName)
    } catch {
      logger.warning("\(path(channel)) will not outlive a restart of the service: \(error)")
    }
    return socket
  }

  func remove(_ job: JobID) throws(SystemError) {
    if sockets.removeValue(forKey: .job(job)) != nil { forget(Channel.job(job).storedName) }
    try Files.remove(path(.job(job)))
    try Files.removeDirectory(folder(job))
  }

  private func forget(_ name: String) {
    do { try store.forget(name) } catch { logger.warning("systemd keeps a socket that is of no use: \(error)") }
  }

  /// Removes what is there of jobs that are not open any more. One that cannot be removed, as a command may have put files
  /// beside its socket, keeps no other.
  func keep(only wanted: Set<JobID>) throws(SystemError) {
    let onDisk = try Files.names(in: runtimeDirectory + "/jobs").compactMap { JobID($0) }
    for job in jobs.union(onDisk).subtracting(wanted).sorted() {
      do { try remove(job) } catch { logger.warning("left behind, and tried again at the next start: \(error)") }
    }
  }

  /// For the end of the service. What the store keeps stays where workers find it: systemd removes it when the service is
  /// stopped, and leaves it when it is restarted (RuntimeDirectoryPreserve=restart).
  func close() throws(SystemError) {
    for path in [Self.uplinkPath(runtimeDirectory), Self.controlPath(runtimeDirectory)] { try Files.remove(path) }
    guard !store.keeps else { return }
    try keep(only: [])
    try Files.remove(path(.specs))
  }
}

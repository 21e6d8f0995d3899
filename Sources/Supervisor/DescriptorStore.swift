import CSystemd
import Decisions
import Glibc
import Messages
import Platform

/// systemd's file-descriptor store (sd_pid_notify_with_fds(3), FileDescriptorStoreMax= in systemd.service(5)): it holds
/// sockets for us while we are being restarted, and whoever connects to one of them meanwhile waits in its backlog.
///
/// Without systemd nothing is kept. It keeps no more than the unit allows, and says so in the journal itself.
struct DescriptorStore {
  /// Where systemd is told; nil when it has not started us.
  private let isThere: Bool

  /// - Parameter environment: ours, as it was at the start.
  init(environment: [String: String]) { isThere = environment["NOTIFY_SOCKET"] != nil }

  /// Whether sockets can outlive this process.
  var keeps: Bool { isThere }

  /// What was kept before our start, by its name. Asked for once: the environment that says so is erased with it.
  func takeBack() -> [(name: String, descriptor: Descriptor)] {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    let count = Int(sd_listen_fds_with_names(1, &names))
    guard count > 0, let names else { return [] }
    defer {
      for index in 0..<count { free(names[index]) }
      free(names)
    }
    return (0..<count).map { index in
      (
        names[index].map { String(cString: $0) } ?? "",
        Descriptor(owning: SD_LISTEN_FDS_START + Int32(index))
      )
    }
  }

  /// Gives systemd a copy to keep.
  func keep(_ descriptor: Descriptor, as name: String) throws(SystemError) {
    guard isThere else { return }
    var number = descriptor.number
    let result = sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=\(name)", &number, 1)
    if result < 0 { throw SystemError("sd_pid_notify_with_fds", "FDNAME=\(name)", code: -result) }
  }

  /// Has systemd close its copies of that name.
  func forget(_ name: String) throws(SystemError) {
    guard isThere else { return }
    let result = sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=\(name)")
    if result < 0 { throw SystemError("sd_notify", "FDSTOREREMOVE of \(name)", code: -result) }
  }
}

extension Channel {
  /// The name of its socket in the store.
  var storedName: String {
    switch self {
    case .job(let job): "job-\(job)"
    case .specs: "specs"
    }
  }

  init?(storedName name: String) {
    if name == Channel.specs.storedName {
      self = .specs
    } else if name.hasPrefix("job-"), let job = JobID(String(name.dropFirst(4))) {
      self = .job(job)
    } else {
      return nil
    }
  }
}

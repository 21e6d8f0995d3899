import CLinux
import Glibc

/// Another process as /proc shows it (proc(5), /proc/PID/stat).
public struct ProcessSight: Sendable, Hashable {
  public var pid: pid_t
  public var parent: pid_t
  public var session: pid_t
  /// In clock ticks after boot.
  public var startTime: UInt64
  /// It has ended and waits to be reaped.
  public var hasEnded: Bool

  /// Whether both are the same process, whatever has become of it.
  public func isSame(as other: ProcessSight) -> Bool { pid == other.pid && startTime == other.startTime }
}

// Processes whose parents have ended, of which this process is the reaper.
extension ProcessTable {
  /// Makes this process the parent of all its descendants whose own parents end (prctl(2), PR_SET_CHILD_SUBREAPER).
  public static func becomeSubreaper() throws(SystemError) {
    try check("prctl", "PR_SET_CHILD_SUBREAPER") { become_subreaper() }
  }

  /// nil when there is no such process, or it is not to be seen (proc(5), hidepid).
  public static func sight(_ pid: pid_t) -> ProcessSight? {
    guard let fields = statFields(of: pid), fields.count > 19, let parent = pid_t(fields[1]),
      let session = pid_t(fields[3]), let start = UInt64(fields[19])
    else { return nil }
    return ProcessSight(
      pid: pid, parent: parent, session: session, startTime: start, hasEnded: hasEnded(fields))
  }

  /// The children of a process, those that wait to be reaped among them. Where the kernel does not list them
  /// (CONFIG_PROC_CHILDREN), all processes are looked at.
  public static func children(of pid: pid_t) -> [pid_t] {
    let tasks = "/proc/\(pid)/task"
    var children: [pid_t] = []
    for thread in (try? Files.names(in: tasks)) ?? [] {
      do throws(SystemError) {
        let list = try Files.read("\(tasks)/\(thread)/children", limit: 1 << 24)
        children += list.split(separator: UInt8(ascii: " ")).compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
      } catch {
        // The thread has ended, or there are no such files.
        if access("/proc/self/task/\(getpid())/children", F_OK) == 0 { continue }
        return all.compactMap { sight($0) }.filter { $0.parent == pid }.map(\.pid)
      }
    }
    return children
  }

  /// Every process that is to be seen.
  public static var all: [pid_t] { ((try? Files.names(in: "/proc")) ?? []).compactMap { pid_t($0) } }

  /// What a process was given for a variable when it was started; nil when it was not, or cannot be looked into.
  ///
  /// This reads the memory of that process. It waits while the process changes its address space in an uninterruptible sleep,
  /// and for the file system of a file that the process has mapped there: nothing for a loop.
  public static func variable(_ name: String, of pid: pid_t) -> String? {
    var environment = (try? Files.read("/proc/\(pid)/environ", limit: 1 << 22)) ?? []
    // A first thread that has ended shows nothing any more; the others have the same memory.
    if environment.isEmpty, let other = try? Files.names(in: "/proc/\(pid)/task").first(where: { $0 != "\(pid)" }) {
      environment = (try? Files.read("/proc/\(pid)/task/\(other)/environ", limit: 1 << 22)) ?? []
    }
    let start = Array("\(name)=".utf8)
    return environment.split(separator: 0).first { $0.starts(with: start) }
      .map { String(decoding: $0.dropFirst(start.count), as: UTF8.self) }
  }

  /// Reaps a child that has ended, without waiting. Returns false while it runs.
  public static func reap(_ child: pid_t) -> Bool {
    var status: Int32 = 0
    return waitpid(child, &status, WNOHANG) != 0
  }

  /// Ends a process and everything below it, by pidfd. Each is stopped before its children are looked for, so that none of
  /// them gets away.
  ///
  /// - Parameters:
  ///   - pid: a child of this process that has not been reaped, so that its number is no other's.
  ///   - limit: how many are ended at most. Those that are left come to this process when their parents have ended.
  /// - Returns: how many were ended.
  public static func endTree(_ pid: pid_t, limit: Int) -> Int {
    guard limit > 0, let root = try? watch(pid) else { return 0 }
    var stopped = [(pid, root)]
    var next = 0
    signal(root, SIGSTOP)
    while next < stopped.count {
      let parent = stopped[next].0
      next += 1
      for child in children(of: parent) where stopped.count < limit {
        // A parent that is stopped reaps nobody; the number of one that reaps by itself may be another's by now.
        guard let descriptor = try? watch(child), sight(child)?.parent == parent else { continue }
        signal(descriptor, SIGSTOP)
        stopped.append((child, descriptor))
      }
    }
    for (_, descriptor) in stopped { signal(descriptor, SIGKILL) }
    return stopped.count
  }

  /// Ends a process that need not be ours, if it is still the one that started then.
  public static func end(_ pid: pid_t, startedAt: UInt64) -> Bool {
    guard let descriptor = try? watch(pid), startTime(of: pid) == startedAt, isRunning(pid) else { return false }
    return signal(descriptor, SIGKILL)
  }

  /// Sends a signal to the process of a pidfd (pidfd_send_signal(2)). Returns false when it is gone.
  @discardableResult
  private static func signal(_ pidfd: Descriptor, _ number: Int32) -> Bool {
    pidfd_send_signal(pidfd.number, number, nil, 0) == 0
  }
}

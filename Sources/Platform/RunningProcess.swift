import Glibc

/// A process that was spawned here, watched by its pidfd and reaped by its pid: for programs without an event loop.
public final class RunningProcess {
  public let pid: pid_t
  private let pidfd: Descriptor
  private var ending: Ending?

  /// How a process ended: one of the two.
  public struct Ending: Sendable, Hashable {
    public var code: Int32?
    public var signal: Int32?
  }

  /// Takes over a child of this process; nobody else may reap it.
  public init(pid: pid_t) throws(SystemError) {
    self.pid = pid
    pidfd = try ProcessTable.watch(pid)
  }

  public func signal(_ number: Int32) {
    // A reaped pid may be another's by now.
    if ending == nil { ProcessTable.signal(pid, number) }
  }

  /// Waits for its end, for at most that long; nil when it still runs.
  public func wait(milliseconds: Int32) throws(SystemError) -> Ending? {
    if let ending { return ending }
    guard try Waiting.readable([pidfd], milliseconds: milliseconds)[0] else { return nil }
    var status: Int32 = 0
    try check("waitpid", "\(pid)") { waitpid(pid, &status, 0) }
    // wait(2): the low seven bits are the signal, the next byte the exit code.
    let signal = status & 0x7f
    let result = signal == 0 ? Ending(code: status >> 8 & 0xff, signal: nil) : Ending(code: nil, signal: signal)
    ending = result
    return result
  }
}

/// Waiting on a few descriptors, for programs without an event loop.
public enum Waiting {
  /// Waits until one of them can be read or is over; says for each whether it is. None when the time is up.
  public static func readable(
    _ descriptors: [Descriptor], milliseconds: Int32
  ) throws(SystemError) -> [Bool] {
    var polled = descriptors.map { pollfd(fd: $0.number, events: Int16(POLLIN), revents: 0) }
    let deadline = Clock.bootNanoseconds + Int64(milliseconds) * 1_000_000
    while true {
      let left = max(0, (deadline - Clock.bootNanoseconds + 999_999) / 1_000_000)
      if poll(&polled, nfds_t(polled.count), Int32(clamping: left)) >= 0 { break }
      if errno != EINTR { throw SystemError("poll", "") }
    }
    return polled.map { $0.revents != 0 }
  }
}

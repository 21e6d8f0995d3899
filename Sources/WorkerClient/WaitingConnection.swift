import Messages
import Platform

/// A point in time up to which something is waited for, on the clock that suspended time counts on.
public struct Deadline: Sendable, Hashable {
  private let nanoseconds: Int64

  /// The longest wait, in milliseconds: a day.
  public static let longest = 86_400_000

  /// The deadline so many milliseconds from now; at least 0 and at most `longest`.
  public static func after(milliseconds: Int) -> Deadline {
    let wait = Int64(min(max(0, milliseconds), longest))
    return Deadline(nanoseconds: Clock.bootNanoseconds + wait * 1_000_000)
  }

  /// What is left, in milliseconds, rounded up so that a wait of this length reaches the deadline; 0 afterwards.
  public var millisecondsLeft: Int32 {
    let left = nanoseconds - Clock.bootNanoseconds
    return left <= 0 ? 0 : Int32(clamping: (left - 1) / 1_000_000 + 1)
  }
}

/// A connection that carries frames, for a program that has nothing else to do than to wait for it.
///
/// Confined to one thread. It owns its socket, which is closed with it.
public final class WaitingConnection {
  private let frames: FrameConnection
  private let poller: Poller
  /// Nothing more is sent: the peer does not take it.
  private var isShutDown = false

  /// Connects to the Unix socket at `path`, once and without waiting.
  ///
  /// - Parameter limit: the largest frame accepted from the peer, in bytes.
  /// - Throws: what connect(2) says; EAGAIN when the listener's backlog is full.
  public init(connectingTo path: String, limit: Int) throws(SystemError) {
    // What waits unsent is bounded by who sends: `send` is for when nothing waits.
    frames = FrameConnection(try UnixSocket.connect(to: path), limit: limit, outgoingLimit: .max)
    poller = try Poller()
  }

  /// Whether something that was sent waits for the socket to take it.
  public var wantsToWrite: Bool { !isShutDown && frames.wantsToWrite }

  /// Whether the peer has sent all that it will ever send, and all of it has been read.
  public var atEnd: Bool { frames.atEnd }

  /// Sends a frame, as much of it as the socket takes; `turn` sends the rest.
  ///
  /// A peer that is gone shows as the end when what it still said has been read.
  public func send(_ frame: [UInt8]) { attemptToWrite { () throws(FrameConnection.Failure) in try frames.send(frame) } }

  /// The next whole frame's body, of those that have been read.
  public func nextBody() throws(FrameConnection.Failure) -> ArraySlice<UInt8>? { try frames.nextBody() }

  /// The next whole message of a conversation, of those that have been read.
  public func next<M: Message>(_ type: M.Type) throws(FrameConnection.Failure) -> M? {
    try frames.next(type)?.message
  }

  /// Waits until the socket is ready, then reads once and sends what waits.
  ///
  /// - Returns: false when the deadline has passed and nothing was ready.
  /// - Throws: `FrameConnection.Failure.system` when the connection is lost.
  public func turn(until deadline: Deadline) throws(FrameConnection.Failure) -> Bool {
    let ready: Poller.Ready?
    do throws(SystemError) {
      try poller.watch(frames.socket, token: 0, read: true, write: wantsToWrite)
      ready = try poller.wait(timeout: deadline.millisecondsLeft).first
    } catch {
      throw .system(error)
    }
    // None at all is also what an interrupted wait returns.
    guard let socket = ready else { return deadline.millisecondsLeft > 0 }
    if socket.readable || socket.hungUp { try frames.fill() }
    if socket.writable { attemptToWrite { () throws(FrameConnection.Failure) in try frames.flush() } }
    return true
  }

  private func attemptToWrite(_ write: () throws(FrameConnection.Failure) -> Void) {
    guard !isShutDown else { return }
    do {
      try write()
    } catch {
      isShutDown = true
      frames.shutDown()
    }
  }
}

import Glibc
import Messages

/// A non-blocking stream socket that carries frames: reads them whole, and keeps what the peer does not take yet.
///
/// Confined to the loop of its process. What is kept unsent is bounded: a peer that does not read is reported.
public final class FrameConnection {
  public enum Failure: Error, CustomStringConvertible {
    case system(SystemError)
    case frame(FrameError)
    /// The peer has not read this many bytes.
    case notReading(bytes: Int)

    public var description: String {
      switch self {
      case .system(let error): error.description
      case .frame(let error): error.description
      case .notReading(let bytes): "it has not read \(bytes) bytes that were sent to it"
      }
    }
  }

  public let socket: Descriptor
  private var assembler: FrameAssembler
  private var outgoing = OutgoingBytes()
  private let outgoingLimit: Int
  /// How much is read at once: little until there is more.
  private var readSize = smallestRead
  /// What a poller watches the socket for; nil while none does.
  private var watched: (read: Bool, write: Bool)?
  /// Whether the peer has closed its end.
  public private(set) var atEnd = false
  /// How much has been read from it so far, in bytes.
  public private(set) var bytesRead = 0

  /// - Parameters:
  ///   - limit: the largest frame accepted, in bytes.
  ///   - outgoingLimit: how much may wait unsent, in bytes.
  public init(_ socket: Descriptor, limit: Int, outgoingLimit: Int) {
    self.socket = socket
    self.outgoingLimit = outgoingLimit
    assembler = FrameAssembler(limit: limit)
  }

  /// Whether something waits for the socket to take it.
  public var wantsToWrite: Bool { outgoing.waiting > 0 }

  /// Bytes that the peer has not taken yet.
  public var unsentBytes: Int { outgoing.waiting }

  /// Bytes that have been read and are not handed out: of a frame that is not whole, if `nextBody` has just given none.
  public var unfinishedBytes: Int { assembler.pendingBytes }

  /// Few messages are larger. What is as large as the largest is taken from the kernel and given back each time, with a
  /// page fault for each page in it.
  public static let smallestRead = 4096
  private static let largestRead = 1 << 16

  /// Reads once. Returns false when nothing was there.
  /// - Parameter limit: how much at most, in bytes.
  @discardableResult
  public func fill(atMost limit: Int = .max) throws(Failure) -> Bool {
    do throws(SystemError) {
      guard let bytes = try socket.read(upTo: min(readSize, limit)) else { return false }
      readSize = bytes.count < readSize ? Self.smallestRead : Self.largestRead
      bytesRead += bytes.count
      if bytes.isEmpty { atEnd = true } else { assembler.append(bytes) }
      return true
    } catch {
      // unix(7): a peer that has closed without reading everything. What it sent has been read before this.
      guard error.code == ECONNRESET else { throw .system(error) }
      atEnd = true
      return true
    }
  }

  /// The next whole frame's body, of those that have been read.
  public func nextBody() throws(Failure) -> ArraySlice<UInt8>? {
    do throws(FrameError) { return try assembler.next() } catch { throw .frame(error) }
  }

  /// Drops what has been handed out, when no more is asked for although there may be more.
  public func giveBack() { assembler.giveBack() }

  /// Passes over a frame that was refused as too large.
  public func skip(declared: Int) { assembler.skip(declared: declared) }

  /// The next whole message of a conversation, of those that have been read.
  public func next<M: Message>(_: M.Type) throws(Failure) -> (message: M, generation: Generation)? {
    guard let body = try nextBody() else { return nil }
    do throws(FrameError) { return try M.read(body) } catch { throw .frame(error) }
  }

  /// Sends a frame, as much of it as the socket takes now; the rest follows with `flush`.
  public func send(_ frame: [UInt8]) throws(Failure) {
    try write(frame)
    try flush()
  }

  /// Puts a frame behind what waits to be sent. It goes out with the next `flush`, or when what waits is too much.
  public func write(_ frame: [UInt8]) throws(Failure) {
    outgoing.append(frame)
    guard outgoing.waiting > min(outgoingLimit, Self.flushedAtOnce) else { return }
    try flush()
    guard outgoing.waiting <= outgoingLimit else { throw .notReading(bytes: outgoing.waiting) }
  }

  /// As much as a Unix socket takes at a time, or less.
  private static let flushedAtOnce = 1 << 16

  /// Has the socket watched for what is wanted of it. Costs nothing when that has not changed.
  public func watch(in poller: Poller, token: UInt64, read: Bool, write: Bool) throws(SystemError) {
    if let watched, watched == (read, write) { return }
    try poller.watch(socket, token: token, read: read, write: write, isNew: watched == nil)
    watched = (read, write)
  }

  /// Has it watched no longer, not even for its end.
  public func unwatch(in poller: Poller) {
    poller.unwatch(socket)
    watched = nil
  }

  /// Ends both directions; the end shows when it is next read.
  public func shutDown() { shutdown(socket.number, Int32(SHUT_RDWR)) }

  /// Sends what waits, as much as the socket takes now.
  public func flush() throws(Failure) {
    do throws(SystemError) { try outgoing.flush(to: socket) } catch { throw .system(error) }
  }
}

import Facilitator
import Glibc
import Identity
import JSON
import Messages
import Platform
import Rehearsal
import Synchronization

/// One connection to a `HostileFacilitator`. Everything here waits for the socket, and throws when Uplink has ended it.
///
/// One thread may read while another sends.
final class HostileConnection: Sendable {
  /// A frame as Uplink has sent it, unmasked.
  struct Frame {
    var opcode: UInt8
    var payload: [UInt8]
  }

  /// 1 for the first of its facilitator.
  let number: Int
  private let socket: Descriptor
  private let facilitator: HostileFacilitator
  private let pace = Mutex<Int?>(nil)

  init(_ socket: Descriptor, number: Int, of facilitator: HostileFacilitator) {
    self.socket = socket
    self.number = number
    self.facilitator = facilitator
  }

  /// Sends exactly these bytes.
  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if sent < 0, errno == EINTR { continue }
      guard sent > 0 else { throw SystemError("send", "to Uplink") }
      rest = rest.dropFirst(sent)
    }
  }

  /// Sends these bytes again and again, until Uplink ends the connection or so many have been sent.
  /// - Returns: whether Uplink has ended it.
  func flood(_ bytes: [UInt8], upTo limit: Int) -> Bool {
    let piece = Array(repeatElement(bytes, count: max(1, 65_536 / bytes.count)).joined())
    var sent = 0
    while sent < limit {
      do { try send(piece) } catch { return true }
      sent += piece.count
    }
    return false
  }

  /// Has the kernel keep little of what is sent and not read: what is sent later comes sooner.
  func keepLittle() {
    var size: Int32 = 16_384
    setsockopt(socket.number, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// From now on it reads no more than so many bytes a second.
  func readNoFaster(than pace: Int) { self.pace.withLock { $0 = pace } }

  /// Reads exactly so many bytes.
  func read(_ count: Int) throws -> [UInt8] {
    let pace = self.pace.withLock { $0 }
    var bytes: [UInt8] = []
    while bytes.count < count {
      let most = pace == nil ? count : 4096
      guard let more = try socket.read(upTo: min(most, count - bytes.count)), !more.isEmpty else {
        throw RehearsalError("Uplink has closed connection \(number)")
      }
      bytes += more
      if let pace { usleep(useconds_t(more.count * 1_000_000 / pace)) }
    }
    return bytes
  }

  /// The next frame that Uplink has sent.
  func nextFrame() throws -> Frame {
    let start = try read(2)
    var length = Int(start[1] & 0x7f)
    if length >= 126 { length = try read(length == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) } }
    guard start[1] & 0x80 != 0 else { throw RehearsalError("Uplink has sent a frame that is not masked") }
    let key = try read(4)
    let payload = try read(length)
    return Frame(opcode: start[0] & 0xf, payload: payload.enumerated().map { $1 ^ key[$0 & 3] })
  }

  /// Waits until Uplink has closed it or will send nothing more, and reads nothing of what it has sent.
  func waitUntilClosed() throws {
    var polled = pollfd(fd: socket.number, events: Self.peerClosed, revents: 0)
    while poll(&polled, 1, -1) < 0 { if errno != EINTR { throw SystemError("poll", "connection \(number)") } }
  }

  /// POLLRDHUP of poll(2), which Glibc's module does not show.
  private static let peerClosed: Int16 = 0x2000

  /// Ends both directions; wakes up whoever waits here.
  func shutDown() { shutdown(socket.number, Int32(SHUT_RDWR)) }

  /// Leaves it open when it is served no more.
  func keep() { facilitator.keep(self) }

  // MARK: As a facilitator should

  /// Answers the opening handshake.
  func upgrade() throws { try send(ServerWebSocket.response(to: request())) }

  /// The head of the request that it begins with.
  func request() throws -> [UInt8] {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try read(1) }
    return head
  }

  static let success = ServerWebSocket.text(Array(#"{"status":"success","errors":[]}"#.utf8))

  /// Answers the opening handshake and the authentication: from here on Uplink sends and takes jobs.
  func welcome() throws {
    try upgrade()
    _ = try AuthenticationRequest(frame: try nextFrame().payload)
    try send(Self.success)
  }

  /// Does what a facilitator should until the connection ends: accepts every update and answers every ping.
  /// - Parameters:
  ///   - answer: sends a frame in its stead, while another thread sends; nil: this one sends.
  ///   - spoil: is shown each text, and may say how it is answered instead of being taken.
  func serve(
    answering answer: (([UInt8]) throws -> Void)? = nil, spoiling spoil: ([UInt8]) -> [UInt8]? = { _ in nil }
  ) throws {
    let send = answer ?? { try self.send($0) }
    facilitator.serves(self)
    while true {
      let frame = try nextFrame()
      switch frame.opcode {
      case 0x1:
        if let answer = spoil(frame.payload) ?? facilitator.take(frame.payload) {
          try send(ServerWebSocket.text(answer))
        }
      case 0x8: return try send(ServerWebSocket.close(Array(frame.payload.prefix(2))))
      case 0x9: try send(ServerWebSocket.pong(frame.payload))
      default: break
      }
    }
  }

  /// Sends a job, signed by whom a rehearsal trusts.
  func send(_ job: JobID, executionSeconds: Int64 = 600) throws {
    try send(ServerWebSocket.text(try Self.request(for: job, executionSeconds: executionSeconds)))
  }

  /// The request for a job, signed by whom a rehearsal trusts.
  static func request(for job: JobID, executionSeconds: Int64 = 600) throws -> [UInt8] {
    var description = SignedJob(job: job, dockerImage: "hordelink/hostile")
    description.executionLimit = executionSeconds
    return try description.request(
      signedBy: Hotkey(try SecretKey.development("//Alice")), timestamp: UInt64(Clock.wallMilliseconds) * 1_000_000)
  }
}

/// Takes apart what a WebSocket's server sends (RFC 6455, section 5), and holds it to the protocol.
///
/// Pure. It keeps one message and one control frame at a time; what is too large to be kept is counted and passed over, so
/// that it costs no memory.
public struct WebSocketReader: Sendable {
  /// What has come, whole.
  public enum Item: Sendable, Hashable {
    /// In UTF-8.
    case text([UInt8])
    /// A message of so many bytes that is binary.
    case binary(Int)
    /// A text of so many bytes, more than is kept, and its beginning: as much as `MessageBeginning` looks at.
    case tooLarge(beginning: [UInt8], Int)
    case ping([UInt8])
    case pong([UInt8])
    /// `code`: nil when it gives none.
    case close(code: UInt16?, reason: [UInt8])
  }

  private struct Frame: Sendable {
    var opcode: UInt8
    var isFinal: Bool
    /// Bytes of the payload that are still to come.
    var left: Int
    var isControl: Bool { opcode & 0x8 != 0 }
  }

  private struct Message: Sendable {
    var isText: Bool
    /// Empty when it is not text.
    var bytes: [UInt8] = []
    var size = 0
    /// It is too large, and `bytes` its beginning.
    var isCut = false
  }

  /// The longest text that is handed out, in bytes.
  private let kept: Int
  /// The longest message, in bytes: a longer one ends the connection.
  private let longest: Int
  private var header: [UInt8] = []
  private var frame: Frame?
  private var control: [UInt8] = []
  private var message: Message?

  /// - Parameters:
  ///   - kept: the longest text that is handed out, in bytes.
  ///   - longest: the longest message that is not a violation, in bytes.
  public init(kept: Int, longest: Int) {
    self.kept = kept
    self.longest = longest
  }

  /// Takes from the front of `input` until something is whole; nil when all of it is taken.
  public mutating func next(_ input: inout UnsafeRawBufferPointer) throws(WebSocketViolation) -> Item? {
    while true {
      if frame == nil {
        guard let begun = try nextHeader(&input) else { return nil }
        frame = begun
      }
      guard var current = frame else { return nil }
      let piece = UnsafeRawBufferPointer(rebasing: input.prefix(current.left))
      input = UnsafeRawBufferPointer(rebasing: input.dropFirst(piece.count))
      keep(piece, of: current)
      current.left -= piece.count
      frame = current.left == 0 ? nil : current
      guard frame == nil else { return nil }
      if let item = try ended(current) { return item }
    }
  }

  private mutating func nextHeader(_ input: inout UnsafeRawBufferPointer) throws(WebSocketViolation) -> Frame? {
    while let byte = input.first {
      input = UnsafeRawBufferPointer(rebasing: input.dropFirst())
      header.append(byte)
      guard header.count >= 2 else { continue }
      let length = Int(header[1] & 0x7f)
      let size = length < 126 ? 2 : length == 126 ? 4 : 10
      guard header.count == size else { continue }
      defer { header.removeAll(keepingCapacity: true) }
      return try begin(length < 126 ? UInt64(length) : header[2...].reduce(0) { $0 << 8 | UInt64($1) })
    }
    return nil
  }

  /// - Parameter length: of the payload, in bytes.
  private mutating func begin(_ length: UInt64) throws(WebSocketViolation) -> Frame {
    let (first, opcode) = (header[0], header[0] & 0xf)
    guard first & 0x70 == 0 else { throw .reservedBits }
    guard header[1] & 0x80 == 0 else { throw .masked }
    let isFinal = first & 0x80 != 0
    switch opcode {
    case 0x0: guard message != nil else { throw .strayContinuation }
    case 0x1, 0x2:
      guard message == nil else { throw .interruptedMessage }
      message = Message(isText: opcode == 0x1)
    case 0x8, 0x9, 0xa:
      guard isFinal else { throw .fragmentedControl }
      guard length <= 125 else { throw .longControl }
      control = []
    default: throw .reservedOpcode(opcode)
    }
    if opcode & 0x8 == 0 {
      guard length <= UInt64(longest - (message?.size ?? 0)) else { throw .tooLong(limit: longest) }
    }
    return Frame(opcode: opcode, isFinal: isFinal, left: Int(length))
  }

  private mutating func keep(_ piece: UnsafeRawBufferPointer, of frame: Frame) {
    guard !frame.isControl else { return control.append(contentsOf: piece) }
    guard var whole = message.take() else { return }
    defer { message = whole }
    if whole.isText {
      if whole.size + frame.left > kept {
        whole.isCut = true
        if whole.bytes.count > MessageBeginning.looked {
          whole.bytes = Array(whole.bytes.prefix(MessageBeginning.looked))
        }
      }
      let room = whole.isCut ? MessageBeginning.looked - whole.bytes.count : piece.count
      whole.bytes.append(contentsOf: piece.prefix(room))
    }
    whole.size += piece.count
  }

  private mutating func ended(_ frame: Frame) throws(WebSocketViolation) -> Item? {
    switch frame.opcode {
    case 0x8:
      guard control.count != 1 else { throw .badClose }
      let reason = Array(control.dropFirst(2))
      guard Self.isUTF8(reason) else { throw .badClose }
      return .close(code: control.isEmpty ? nil : UInt16(control[0]) << 8 | UInt16(control[1]), reason: reason)
    case 0x9: return .ping(control)
    case 0xa: return .pong(control)
    default:
      guard frame.isFinal, let whole = message else { return nil }
      message = nil
      guard whole.isText else { return .binary(whole.size) }
      guard !whole.isCut else { return .tooLarge(beginning: whole.bytes, whole.size) }
      guard Self.isUTF8(whole.bytes) else { throw .notUTF8 }
      return .text(whole.bytes)
    }
  }

  private static func isUTF8(_ bytes: [UInt8]) -> Bool { (try? UTF8Span(validating: bytes.span)) != nil }
}

/// What a WebSocket's server must not send. It ends the connection.
public enum WebSocketViolation: Error, Hashable, CustomStringConvertible {
  case reservedBits
  case reservedOpcode(UInt8)
  case masked
  case fragmentedControl
  case longControl
  case strayContinuation
  case interruptedMessage
  case tooLong(limit: Int)
  case notUTF8
  case badClose

  /// The code of the close frame that answers it (section 7.4.1).
  public var closeCode: UInt16 {
    switch self {
    case .tooLong: 1009
    case .notUTF8: 1007
    default: 1002
    }
  }

  public var description: String {
    switch self {
    case .reservedBits: "a frame with reserved bits, which belong to an extension that was not agreed on"
    case .reservedOpcode(let opcode): "a frame with the reserved opcode \(opcode)"
    case .masked: "a masked frame, which only a client sends"
    case .fragmentedControl: "a control frame in fragments"
    case .longControl: "a control frame of more than 125 bytes"
    case .strayContinuation: "a continuation of no message"
    case .interruptedMessage: "a message in the middle of another"
    case .tooLong(let limit): "a message of more than \(limit) bytes"
    case .notUTF8: "a text that is not UTF-8"
    case .badClose: "a close frame that cannot be read"
    }
  }
}

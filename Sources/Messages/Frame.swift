import MessagePack

/// The version of every frame in this folder. It changes with any change of a field, so that a child of one
/// version never misreads a parent of another (after an upgrade under a running service, for one).
public let frameVersion: UInt64 = 5

/// One conversation's messages. Each conversation is one enum, declared in one file of this folder.
///
/// On the wire a frame is a 4-byte big-endian length and one MessagePack array:
/// `[version, kind, generation, field...]`.
public protocol Message: Sendable, Equatable {
  /// Who speaks to whom, for errors and the journal.
  static var conversation: String { get }
  /// The number of this kind of message on the wire.
  var kind: UInt8 { get }
  /// Its fields in the order of the wire.
  var fields: [MessagePackValue] { get }
  /// Reads the fields of a message of that kind.
  init(kind: UInt8, fields: inout FieldReader) throws(FrameError)
}

/// Why bytes are not a frame of the conversation they came in. Such a frame is a bug of the sender: it is
/// logged, the connection is closed, and the peer is restarted or connects again.
public enum FrameError: Error, Hashable, CustomStringConvertible {
  case tooLarge(declared: Int, limit: Int)
  case notMessagePack(MessagePackError, bytes: Int)
  case notAFrame(bytes: Int)
  case version(UInt64)
  case unknownKind(UInt8, conversation: String)
  case field(String, kind: UInt8)
  case extraFields(Int, kind: UInt8)

  public var description: String {
    switch self {
    case .tooLarge(let declared, let limit): "a frame of \(declared) bytes; the limit here is \(limit)"
    case .notMessagePack(let error, let bytes): "a frame of \(bytes) bytes is not MessagePack: \(error)"
    case .notAFrame(let bytes): "a frame of \(bytes) bytes has no version, kind and generation"
    case .version(let version):
      "a frame of version \(version), and this program speaks \(frameVersion): "
        + "programs of two releases are installed; install one and restart the service"
    case .unknownKind(let kind, let conversation): "kind \(kind) is unknown in \(conversation)"
    case .field(let name, let kind): "the field \(name) of a message of kind \(kind) is missing or wrong"
    case .extraFields(let count, let kind): "\(count) fields too many in a message of kind \(kind)"
    }
  }
}

extension Message {
  /// The frame of this message, length included.
  ///
  /// - Parameter generation: of the child that sends it or that it is sent to, so that a late word from a
  ///   dead child is told from its successor's; 0 where no child is involved.
  public func frame(generation: Generation) -> [UInt8] {
    let fields = self.fields
    var encoder = MessagePackEncoder()
    encoder.array(count: 3 + fields.count)
    encoder.uint(frameVersion)
    encoder.uint(UInt64(kind))
    encoder.uint(generation.number)
    for field in fields { encoder.value(field) }
    return encoder.framedBytes
  }

  /// Reads one frame's body: what follows its length.
  public static func read(
    _ body: ArraySlice<UInt8>
  ) throws(FrameError) -> (message: Self, generation: Generation) {
    let value: MessagePackValue
    do {
      value = try MessagePackValue.decode(body)
    } catch {
      throw .notMessagePack(error, bytes: body.count)
    }
    guard case .array(let values) = value, values.count >= 3, case .int(let version) = values[0],
      case .int(let number) = values[1], let kind = UInt8(exactly: number),
      let generation = values[2].unsigned
    else { throw .notAFrame(bytes: body.count) }
    guard version == Int64(frameVersion) else { throw .version(UInt64(clamping: version)) }
    var reader = FieldReader(values.dropFirst(3), kind: kind)
    let message = try Self(kind: kind, fields: &reader)
    try reader.end()
    return (message, Generation(generation))
  }
}

extension MessagePackValue {
  /// This value as a number that is not negative, or nil.
  public var unsigned: UInt64? {
    switch self {
    case .int(let number): UInt64(exactly: number)
    case .uint(let number): number
    default: nil
    }
  }
}

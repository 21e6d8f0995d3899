import MessagePack

/// What hordelinkctl asks the Supervisor over control.sock.
public enum ControlToSupervisor: Message {
  /// The children, and what Uplink answers to the query.
  case query(UplinkQuery)

  public static var conversation: String { "hordelinkctl to Supervisor" }

  public var kind: UInt8 {
    switch self {
    case .query: 1
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .query(let query): [query.value]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .query(try fields.part("query"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// The Supervisor's answer.
public enum SupervisorToControl: Message {
  /// `uplink` is nil while Uplink does not answer: it is being restarted.
  case report([ChildReport], uplink: UplinkReport?)

  public static var conversation: String { "Supervisor to hordelinkctl" }

  public var kind: UInt8 {
    switch self {
    case .report: 1
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .report(let children, let uplink): [.array(children.map(\.value)), uplink?.value ?? .null]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .report(try fields.parts("children"), uplink: try fields.optionalPart("uplink"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

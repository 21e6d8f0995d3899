import MessagePack

/// How often the Supervisor has started successors of children that died, since its own start.
public struct ChildRestarts: MessagePart, Hashable {
  public var uplink = 0
  public var specsListener = 0
  /// Of all jobs' Listeners together.
  public var listener = 0

  public init() {}

  public var fields: [MessagePackValue] { [.int(uplink), .int(specsListener), .int(listener)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    uplink = try fields.int("Uplink's restarts")
    specsListener = try fields.int("the specs Listener's restarts")
    listener = try fields.int("the Listeners' restarts")
  }
}

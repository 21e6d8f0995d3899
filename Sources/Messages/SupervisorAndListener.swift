import MessagePack

/// What the Supervisor tells a Listener, over the control socket.
public enum SupervisorToListener: Message {
  /// The first message: whose channel to hear and where Uplink is.
  case assign(ListenerSettings)
  /// Are you alive? Answered by `pong` with the same number.
  case ping(UInt64)
  /// The job's command has exited. The Listener reads every connection to its end, and only then forwards it.
  case commandExited(CommandExit)
  /// The service stops: hand over what is there, then finish.
  case stop

  public static var conversation: String { "Supervisor to Listener" }

  public var kind: UInt8 {
    switch self {
    case .assign: 1
    case .ping: 2
    case .commandExited: 3
    case .stop: 4
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .assign(let settings): [settings.value]
    case .ping(let number): [.number(number)]
    case .commandExited(let exit): [exit.value]
    case .stop: []
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .assign(try fields.part("settings"))
    case 2: self = .ping(try fields.uint("number"))
    case 3: self = .commandExited(try fields.part("exit"))
    case 4: self = .stop
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// What a Listener tells the Supervisor, over the control socket.
public enum ListenerToSupervisor: Message {
  /// It hears its channel and Uplink has welcomed it.
  case ready
  /// The answer to a ping.
  case pong(UInt64)
  /// A line for the journal: a static program has no libsystemd of its own.
  case log(LogPriority, String)
  /// Its job has ended and nobody is left to hear: it exits 0 after this.
  case finished

  public static var conversation: String { "Listener to Supervisor" }

  public var kind: UInt8 {
    switch self {
    case .ready: 1
    case .pong: 2
    case .log: 3
    case .finished: 4
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .ready, .finished: []
    case .pong(let number): [.number(number)]
    case .log(let priority, let text): [.int(Int64(priority.rawValue)), .string(text)]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .ready
    case 2: self = .pong(try fields.uint("number"))
    case 3:
      self = .log(
        try fields.next("priority") { $0.raw(LogPriority.init(rawValue:)) }, try fields.string("text"))
    case 4: self = .finished
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// syslog's priorities that this project uses, by their numbers (syslog(3)).
public enum LogPriority: UInt8, Sendable, Hashable {
  case critical = 2
  case error = 3
  case warning = 4
  case notice = 5
  case info = 6
  case debug = 7
}

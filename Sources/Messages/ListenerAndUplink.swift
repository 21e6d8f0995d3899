import MessagePack

/// What a Listener tells Uplink, over Uplink's socket. The frame's generation is the Listener's.
public enum ListenerToUplink: Message {
  /// The first message: whose channel this is, nil for machine specs; and the proof from the Listener's settings, which
  /// Uplink's loop looks at before anything is decided.
  case hello(JobID?, token: [UInt8] = [])
  /// A checked update. `metadata` is JSON, or nil for null.
  case update(SequenceNumber, JobStatus, metadata: [UInt8]?)
  /// A checked machine-specs message, as the facilitator's frame without our hotkey.
  case specs(SequenceNumber, MachineSpecs)
  /// The job's command has exited, behind everything it sent.
  case commandExited(CommandExit)
  /// What addresses a name has: a static program should not look for itself. Answered by `resolved`.
  case resolve(String)

  public static var conversation: String { "Listener to Uplink" }

  public var kind: UInt8 {
    switch self {
    case .hello: 1
    case .update: 2
    case .specs: 3
    case .commandExited: 4
    case .resolve: 5
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .hello(let job, let token): [job.map { .job($0) } ?? .null, .binary(token)]
    case .update(let number, let status, let metadata):
      [.number(number.number), .status(status), metadata.map { .binary($0) } ?? .null]
    case .specs(let number, let specs): [.number(number.number), specs.value]
    case .commandExited(let exit): [exit.value]
    case .resolve(let name): [.string(name)]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .hello(try fields.optional("job") { JobID($0) }, token: try fields.bytes("token"))
    case 2:
      self = .update(
        SequenceNumber(try fields.uint("sequence")), try fields.status("status"),
        metadata: try fields.optional("metadata") { [UInt8]($0) })
    case 3: self = .specs(SequenceNumber(try fields.uint("sequence")), try fields.part("specs"))
    case 4: self = .commandExited(try fields.part("exit"))
    case 5: self = .resolve(try fields.string("name"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// What Uplink tells a Listener.
public enum UplinkToListener: Message {
  /// The answer to hello. `ended`: the job has its terminal status already.
  case welcome(ended: Bool)
  /// The answer to hello for a job that is not open.
  case unknownJob
  /// The update of that number is committed.
  case stored(SequenceNumber)
  /// The update of that number is refused and never will be stored.
  case refused(SequenceNumber, WorkerErrorCode, String)
  /// That the command has exited is committed.
  case exitStored
  /// The job has a terminal status: whatever is new from here on is answered `job_closed`.
  case ended
  /// The record is full: what was sent and is not stored is not heard, and nothing more is until `resume`.
  case hold
  /// There is room again: say hello, and send again what is not stored.
  case resume
  /// The addresses of a name, IPv6 without brackets; or, when there are none, why.
  case resolved(String, addresses: [String], problem: String)

  public static var conversation: String { "Uplink to Listener" }

  public var kind: UInt8 {
    switch self {
    case .welcome: 1
    case .unknownJob: 2
    case .stored: 3
    case .refused: 4
    case .exitStored: 5
    case .ended: 6
    case .hold: 7
    case .resume: 8
    case .resolved: 9
    }
  }

  public var fields: [MessagePackValue] {
    switch self {
    case .welcome(let ended): [.bool(ended)]
    case .unknownJob, .exitStored, .ended, .hold, .resume: []
    case .stored(let number): [.number(number.number)]
    case .resolved(let name, let addresses, let problem): [.string(name), .strings(addresses), .string(problem)]
    case .refused(let number, let code, let text):
      [.number(number.number), .string(code.rawValue), .string(text)]
    }
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    switch kind {
    case 1: self = .welcome(ended: try fields.bool("ended"))
    case 2: self = .unknownJob
    case 3: self = .stored(SequenceNumber(try fields.uint("sequence")))
    case 4:
      self = .refused(
        SequenceNumber(try fields.uint("sequence")),
        try fields.next("code") { String($0).flatMap(WorkerErrorCode.init(rawValue:)) },
        try fields.string("message"))
    case 5: self = .exitStored
    case 6: self = .ended
    case 7: self = .hold
    case 8: self = .resume
    case 9:
      self = .resolved(
        try fields.string("name"), addresses: try fields.strings("addresses"), problem: try fields.string("problem"))
    default: throw .unknownKind(kind, conversation: Self.conversation)
    }
  }
}

/// The codes of the errors a worker is answered with (DESIGN.md, the worker's protocol).
public enum WorkerErrorCode: String, Sendable, Hashable {
  /// Not a frame of ours; the connection is closed when its length cannot be trusted.
  case malformed
  /// A field is missing or wrong; the message names it.
  case invalid
  /// The update is for another job than this socket's.
  case wrongJob = "wrong_job"
  /// The job has its terminal status.
  case jobClosed = "job_closed"
  /// The frame is above `max_frame_bytes`.
  case tooLarge = "too_large"
}

/// Machine specs on their way to the facilitator. Source: PROTOCOL.md, V0MachineSpecsUpdate.
public struct MachineSpecs: MessagePart, Hashable {
  public var minerHotkey: String
  public var batchID: String
  /// Compact JSON, byte for byte as the original would send it.
  public var specs: [UInt8]

  public init(minerHotkey: String, batchID: String, specs: [UInt8]) {
    self.minerHotkey = minerHotkey
    self.batchID = batchID
    self.specs = specs
  }

  public var fields: [MessagePackValue] { [.string(minerHotkey), .string(batchID), .binary(specs)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    minerHotkey = try fields.string("miner hotkey")
    batchID = try fields.string("batch id")
    specs = try fields.bytes("specs")
  }
}

import MessagePack

/// An update that was given up on, with all that is known of why.
public struct DeadLetter: MessagePart, Hashable {
  /// How many are told at once.
  public static let page = 1000
  /// How many of its attempts are told, the newest.
  public static let attemptsTold = 10

  public var id: Int
  public var job: JobID
  public var status: JobStatus
  /// When it was stored, in milliseconds since 1970.
  public var storedAt: Int
  /// When it was given up on, in milliseconds since 1970.
  public var deadSince: Int
  /// Bytes of its metadata.
  public var bytes: Int
  /// What became of each attempt, the oldest first; the last says why it was given up on.
  public var history: [Attempt]

  public init(
    id: Int, job: JobID, status: JobStatus, storedAt: Int, deadSince: Int, bytes: Int, history: [Attempt]
  ) {
    self.id = id
    self.job = job
    self.status = status
    self.storedAt = storedAt
    self.deadSince = deadSince
    self.bytes = bytes
    self.history = history
  }

  public var fields: [MessagePackValue] {
    [
      .int(id), .job(job), .status(status), .int(storedAt), .int(deadSince), .int(bytes),
      .array(history.map(\.value)),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    id = try fields.int("id")
    job = try fields.job("job")
    status = try fields.status("status")
    storedAt = try fields.int("stored at")
    deadSince = try fields.int("dead since")
    bytes = try fields.int("bytes")
    history = try fields.parts("history")
  }

  /// One attempt that did not succeed.
  public struct Attempt: MessagePart, Hashable {
    /// In milliseconds since 1970.
    public var at: Int
    public var error: String

    public init(at: Int, error: String) {
      self.at = at
      self.error = error
    }

    public var fields: [MessagePackValue] { [.int(at), .string(error)] }

    public init(fields: inout FieldReader) throws(FrameError) {
      at = try fields.int("at")
      error = try fields.string("error")
    }
  }
}

/// Why a dead letter was not retried or dropped as asked.
public struct DeadLetterRefusal: MessagePart, Hashable {
  public var id: Int
  public var reason: String

  public init(id: Int, reason: String) {
    self.id = id
    self.reason = reason
  }

  public var fields: [MessagePackValue] { [.int(id), .string(reason)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    id = try fields.int("id")
    reason = try fields.string("reason")
  }
}

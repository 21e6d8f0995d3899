import MessagePack

/// What hordelink-dispatch-celery is to put into a queue: the one frame on its standard input.
///
/// It holds the broker's password, which is why it comes neither as an argument nor in the environment.
public struct TaskOrder: Message {
  /// One task of the order.
  public struct Task: MessagePart, Hashable {
    /// Celery's id of it. An id that has been put into the queue before is not put there again while the broker remembers
    /// it.
    public var id: String
    /// Its first argument, as JSON.
    public var argument: [UInt8]

    public init(id: String, argument: [UInt8]) {
      self.id = id
      self.argument = argument
    }

    public var fields: [MessagePackValue] { [.string(id), .binary(argument)] }

    public init(fields: inout FieldReader) throws(FrameError) {
      id = try fields.string("id")
      argument = try fields.bytes("argument")
    }
  }

  public var broker: RedisServer
  /// The task's name, as workers have registered it.
  public var task: String
  public var queue: String
  /// The argument is a job request as the facilitator sent it, and is passed on as the original would.
  public var areJobRequests: Bool
  /// A JSON array: the arguments behind the first.
  public var moreArguments: String
  /// A JSON object: the keyword arguments.
  public var keywordArguments: String
  /// Workers leave what becomes of it.
  public var keepsResult: Bool
  /// After this no worker begins it any more, in milliseconds since 1970; nil: whenever.
  public var expiresAt: Int64?
  /// How long the broker remembers what was put into the queue, in seconds.
  public var markerSeconds: Int
  /// In the order in which they go into the queue.
  public var tasks: [Task]

  public init(
    broker: RedisServer, task: String, queue: String, areJobRequests: Bool, moreArguments: String = "[]",
    keywordArguments: String = "{}", keepsResult: Bool = true, expiresAt: Int64?, markerSeconds: Int, tasks: [Task]
  ) {
    self.broker = broker
    self.task = task
    self.queue = queue
    self.areJobRequests = areJobRequests
    self.moreArguments = moreArguments
    self.keywordArguments = keywordArguments
    self.keepsResult = keepsResult
    self.expiresAt = expiresAt
    self.markerSeconds = markerSeconds
    self.tasks = tasks
  }

  public static var conversation: String { "Supervisor to dispatcher" }

  public var kind: UInt8 { 1 }

  public var fields: [MessagePackValue] {
    [
      broker.value, .string(task), .string(queue), .bool(areJobRequests), .string(moreArguments),
      .string(keywordArguments), .bool(keepsResult), expiresAt.map { .int($0) } ?? .null, .int(markerSeconds),
      .array(tasks.map(\.value)),
    ]
  }

  public init(kind: UInt8, fields: inout FieldReader) throws(FrameError) {
    guard kind == 1 else { throw .unknownKind(kind, conversation: Self.conversation) }
    broker = try fields.part("broker")
    task = try fields.string("task")
    queue = try fields.string("queue")
    areJobRequests = try fields.bool("job requests")
    moreArguments = try fields.string("arguments")
    keywordArguments = try fields.string("keyword arguments")
    keepsResult = try fields.bool("result")
    expiresAt = try fields.optional("expiry") { value in
      guard case .int(let number) = value else { return nil }
      return number
    }
    markerSeconds = try fields.int("marker")
    tasks = try fields.parts("tasks")
  }
}

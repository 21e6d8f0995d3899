import MessagePack

/// Everything Uplink needs to know, handed down by the Supervisor, which alone reads the configuration.
public struct UplinkSettings: MessagePart, Hashable {
  public var stateDirectory: String
  /// wss:// rather than ws://.
  public var secure: Bool
  public var host: String
  public var port: Int
  /// Path and query of the URL.
  public var path: String
  /// PEM file of a private certificate authority; nil means the system's.
  public var caFile: String?
  /// What the facilitator is reached through; nil means directly.
  public var proxy: ProxySettings?
  public var heartbeatSeconds: Int
  public var hotkeyFile: String
  /// ss58 addresses beside our own whose job requests are accepted.
  public var trustedSigners: [String]
  public var verifySignatures: Bool
  /// How far a signature's timestamp may be from now, in seconds; 0: it is not looked at.
  public var maxAgeSeconds: Int
  public var graceSeconds: Int
  /// How many jobs may be open at once; beyond it they are rejected as busy.
  public var maxOpenJobs: Int
  /// The largest job request and the largest cheat report, in bytes.
  public var maxRequestBytes: Int
  /// How many updates may wait for the facilitator's answer at once.
  public var window: Int
  /// How many updates the record holds that the facilitator has not accepted; beyond it workers wait.
  public var maxRows: Int
  /// How large they, and the requests of open jobs, may be together, in bytes.
  public var maxBytes: Int
  /// The largest worker's frame, in bytes.
  public var maxFrameBytes: Int
  /// Jobs' commands only start the work elsewhere: exit 0 is not the end of the job.
  public var commandIsLauncher: Bool
  /// Jobs are tasks in a Celery queue, and their commands are what puts them there; nil: they are not.
  public var tasks: TaskSettings?
  /// How long the outbox may drain when the service stops, in seconds.
  public var drainSeconds: Int
  /// There is a hook for stored updates.
  public var hasStatusHook: Bool
  /// There is a hook for cheat reports.
  public var hasCheatHook: Bool
  /// Where the figures are served over HTTP; nil means nowhere.
  public var metrics: ListenSettings?
  /// The service drains: no new jobs are taken from the start.
  public var refuseJobs = false
  /// By which the tokens of Listeners are known. A secret of the Supervisor and Uplink.
  public var listenerSecret: [UInt8] = []

  public init(
    stateDirectory: String, secure: Bool, host: String, port: Int, path: String, caFile: String? = nil,
    proxy: ProxySettings? = nil, heartbeatSeconds: Int = 60, hotkeyFile: String, trustedSigners: [String],
    verifySignatures: Bool = true, maxAgeSeconds: Int = 2_592_000, graceSeconds: Int = 600, maxOpenJobs: Int = 1000,
    maxRequestBytes: Int = 2 << 20, window: Int = 256,
    maxRows: Int = 2_000_000, maxBytes: Int = 8 << 30, maxFrameBytes: Int = 1 << 20, commandIsLauncher: Bool = false,
    tasks: TaskSettings? = nil, drainSeconds: Int = 30,
    hasStatusHook: Bool = false, hasCheatHook: Bool = false, metrics: ListenSettings? = nil
  ) {
    self.stateDirectory = stateDirectory
    self.secure = secure
    self.host = host
    self.port = port
    self.path = path
    self.caFile = caFile
    self.proxy = proxy
    self.heartbeatSeconds = heartbeatSeconds
    self.hotkeyFile = hotkeyFile
    self.trustedSigners = trustedSigners
    self.verifySignatures = verifySignatures
    self.maxAgeSeconds = maxAgeSeconds
    self.graceSeconds = graceSeconds
    self.maxOpenJobs = maxOpenJobs
    self.maxRequestBytes = maxRequestBytes
    self.window = window
    self.maxRows = maxRows
    self.maxBytes = maxBytes
    self.maxFrameBytes = maxFrameBytes
    self.commandIsLauncher = commandIsLauncher
    self.tasks = tasks
    self.drainSeconds = drainSeconds
    self.hasStatusHook = hasStatusHook
    self.hasCheatHook = hasCheatHook
    self.metrics = metrics
  }

  public var fields: [MessagePackValue] {
    [
      .string(stateDirectory), .bool(secure), .string(host), .int(port), .string(path), .optional(caFile),
      proxy.map { $0.value } ?? .null, .int(heartbeatSeconds), .string(hotkeyFile), .strings(trustedSigners),
      .bool(verifySignatures), .int(maxAgeSeconds), .int(graceSeconds), .int(maxOpenJobs), .int(maxRequestBytes),
      .int(window), .int(maxRows), .int(maxBytes), .int(maxFrameBytes),
      .bool(commandIsLauncher), tasks?.value ?? .null, .int(drainSeconds), .bool(hasStatusHook), .bool(hasCheatHook),
      metrics?.value ?? .null,
      .bool(refuseJobs), .binary(listenerSecret),
    ]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    stateDirectory = try fields.string("state directory")
    secure = try fields.bool("secure")
    host = try fields.string("host")
    port = try fields.int("port")
    path = try fields.string("path")
    caFile = try fields.optional("CA file") { String($0) }
    proxy = try fields.optionalPart("proxy")
    heartbeatSeconds = try fields.int("heartbeat seconds")
    hotkeyFile = try fields.string("hotkey file")
    trustedSigners = try fields.strings("trusted signers")
    verifySignatures = try fields.bool("verify signatures")
    maxAgeSeconds = try fields.int("age of a signature")
    graceSeconds = try fields.int("grace seconds")
    maxOpenJobs = try fields.int("open jobs")
    maxRequestBytes = try fields.int("request bytes")
    window = try fields.int("window")
    maxRows = try fields.int("rows")
    maxBytes = try fields.int("bytes")
    maxFrameBytes = try fields.frameBytes("frame bytes")
    commandIsLauncher = try fields.bool("launcher")
    tasks = try fields.optionalPart("tasks")
    drainSeconds = try fields.int("drain seconds")
    hasStatusHook = try fields.bool("status hook")
    hasCheatHook = try fields.bool("cheat hook")
    metrics = try fields.optionalPart("metrics")
    refuseJobs = try fields.bool("refuse jobs")
    listenerSecret = try fields.bytes("secret of Listeners")
  }
}

/// Jobs that are tasks in a Celery queue.
public struct TaskSettings: MessagePart, Hashable {
  /// How long a task may wait in the queue, on top of the job's own limits, in seconds.
  public var queueSeconds: Int
  /// Where workers leave what has become of their tasks; nil: nobody looks.
  public var results: RedisServer?

  public init(queueSeconds: Int, results: RedisServer? = nil) {
    self.queueSeconds = queueSeconds
    self.results = results
  }

  public var fields: [MessagePackValue] { [.int(queueSeconds), results?.value ?? .null] }

  public init(fields: inout FieldReader) throws(FrameError) {
    queueSeconds = try fields.int("queue seconds")
    results = try fields.optionalPart("results")
  }
}

/// An HTTP proxy that opens tunnels by CONNECT.
public struct ProxySettings: MessagePart, Hashable, CustomStringConvertible {
  /// A name, an IPv4 address or an IPv6 address without brackets.
  public var host: String
  public var port: Int
  /// `user:password` for Basic authentication (RFC 7617). A secret.
  public var credentials: String?

  public init(host: String, port: Int, credentials: String? = nil) {
    self.host = host
    self.port = port
    self.credentials = credentials
  }

  /// `HOST:PORT`, without the credentials.
  public var description: String { "\(bracketed(host)):\(port)" }

  public var fields: [MessagePackValue] { [.string(host), .int(port), .optional(credentials)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    host = try fields.string("host")
    port = try fields.int("port")
    credentials = try fields.optional("credentials") { String($0) }
  }
}

/// An address at which connections are accepted.
public struct ListenSettings: MessagePart, Hashable, CustomStringConvertible {
  /// An IPv4 address, or an IPv6 address without brackets.
  public var host: String
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `HOST:PORT`
  public var description: String { "\(bracketed(host)):\(port)" }

  public var fields: [MessagePackValue] { [.string(host), .int(port)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    host = try fields.string("host")
    port = try fields.int("port")
  }
}

/// What a Listener needs to know.
public struct ListenerSettings: MessagePart, Hashable {
  /// Its job, or nil for the Listener of machine specs.
  public var job: JobID?
  /// Where Uplink listens.
  public var uplinkSocket: String
  /// The largest worker's frame, in bytes.
  public var maxFrameBytes: Int
  /// Where workers report besides the job's socket; nil: nowhere.
  public var redis: RedisChannelSettings?
  /// Proves to Uplink that the Supervisor has started this Listener, for this channel. A secret of the three.
  public var token: [UInt8] = []

  public init(job: JobID?, uplinkSocket: String, maxFrameBytes: Int, redis: RedisChannelSettings? = nil) {
    self.job = job
    self.uplinkSocket = uplinkSocket
    self.maxFrameBytes = maxFrameBytes
    self.redis = redis
  }

  public var fields: [MessagePackValue] {
    [job.map { .job($0) } ?? .null, .string(uplinkSocket), .int(maxFrameBytes), redis?.value ?? .null, .binary(token)]
  }

  public init(fields: inout FieldReader) throws(FrameError) {
    job = try fields.optional("job") { JobID($0) }
    uplinkSocket = try fields.string("Uplink's socket")
    maxFrameBytes = try fields.frameBytes("frame bytes")
    redis = try fields.optionalPart("Redis")
    token = try fields.bytes("token")
  }
}

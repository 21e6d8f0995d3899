/// Everything an operator can set, read from one TOML file and the service's environment, and checked.
///
/// Two are equal when their settings and the lines these stand on are; to tell what a reload changed, compare
/// sections.
public struct Configuration: Sendable, Equatable {
  /// Where the database and the locks live: an absolute path without a slash at its end. Key
  /// `state_directory`; by default the first path of $STATE_DIRECTORY (systemd.exec(5)), else
  /// /var/lib/hordelink.
  public var stateDirectory: String
  /// Where the sockets live: an absolute path of at most 53 bytes, without a slash at its end. Key
  /// `runtime_directory`; by default the first path of $RUNTIME_DIRECTORY, else /run/hordelink.
  public var runtimeDirectory: String
  /// `[facilitator]`
  public var facilitator: Facilitator
  /// `[identity]`
  public var identity: Identity
  /// `[jobs]`
  public var jobs: Jobs
  /// `[channel]`
  public var channel: Channel
  /// `[dispatch]`
  public var dispatch: Dispatch
  /// `[stop]`
  public var stopping: Stopping
  /// `[outbox]`
  public var outbox: Outbox
  /// `[hooks]`
  public var hooks: Hooks
  /// `[metrics]`; nil unless an address is given.
  public var metrics: Metrics?

  /// The file that was read, as it was named.
  public let file: String
  /// The line, counted from 1, of every key, table and array element that the file holds, by dotted path:
  /// `jobs`, `jobs.trusted_signers`, `jobs.trusted_signers[0]`.
  public let lines: [String: Int]

  /// `[facilitator]`: the other end of the connection (PROTOCOL.md, "The facilitator's WebSocket").
  public struct Facilitator: Sendable, Equatable {
    /// `url`, required. The path stays as given; a facilitator expects /ws/v0/.
    public var url: WebSocketURL
    /// `ca_file`: an absolute path of the PEM certificates to trust instead of the system's.
    public var caFile: String?
    /// `heartbeat_seconds`: time between two heartbeats, from 1 to 3600.
    public var heartbeatSeconds: Int
    /// `allow_plaintext`: whether `url` may be ws:// beyond this machine.
    public var allowPlaintext: Bool
    /// `proxy`; by default, for wss, what $HTTPS_PROXY or $https_proxy names and $NO_PROXY does not exclude.
    /// An empty string in the file means none.
    public var proxy: ProxyURL?
  }

  /// `[identity]`: the validator's hotkey.
  public struct Identity: Sendable, Equatable {
    /// An absolute path: `hotkey_file`, else $CREDENTIALS_DIRECTORY/hotkey (systemd.exec(5), Credentials).
    /// The file is not looked at here.
    public var hotkeyFile: String
    /// Whether `hotkeyFile` is the systemd credential.
    public var isCredential: Bool
  }

  /// `[jobs]`: which jobs are taken.
  public struct Jobs: Sendable, Equatable {
    /// `trusted_signers`: ss58 addresses whose signatures count besides the validator's own. Not decoded
    /// here.
    public var trustedSigners: [String]
    /// `verify_signatures`
    public var verifySignatures: Bool
    /// `max_age_seconds`: how far a signature's timestamp may be from now; 0 means that it is not looked at, and more
    /// than 45 days would outlast what is remembered of closed jobs.
    public var maxAgeSeconds: Int
    /// `grace_seconds`: what a job may take beyond its own limits, from 0 to 86400.
    public var graceSeconds: Int
    /// `max_open`: beyond so many open jobs, new ones are rejected as busy; from 1 to 100000.
    public var maxOpen: Int
    /// `max_request_bytes`: the largest job request and the largest cheat report, from 65536 to 16777216.
    public var maxRequestBytes: Int
  }

  /// `[channel]`: how workers report.
  public struct Channel: Sendable, Equatable {
    /// `kind`
    public var kind: Kind
    /// `redis_url`: given whenever `kind` is redis. May hold a password.
    public var redisURL: RedisURL?
    /// `redis_layer`
    public var redisLayer: RedisLayer
    /// `redis_prefix`: what the core layer puts before its keys.
    public var redisPrefix: String
    /// `max_frame_bytes`: the longest frame a worker may send, from 1024 to 67108864.
    public var maxFrameBytes: Int

    /// What carries the reports.
    public enum Kind: String, Sendable, CaseIterable {
      /// A Unix socket for each job.
      case socket
      /// A channel of channels_redis.
      case redis
    }

    /// The two layers of channels_redis (PROTOCOL.md, "The job's channel").
    public enum RedisLayer: String, Sendable, CaseIterable {
      /// RedisPubSubChannelLayer
      case pubsub
      /// RedisChannelLayer
      case core
    }
  }

  /// `[dispatch]`: how a job is started.
  public struct Dispatch: Sendable, Equatable {
    /// `kind`
    public var kind: Kind
    /// `command`: the absolute path of a program, and its arguments. Empty only when `kind` is celery.
    public var command: [String]
    /// `command_is`
    public var commandIs: Role
    /// `user`: whom the command runs as; nil for the service's own user. Not looked up here.
    public var user: String?
    /// `pass_environment`: variables of the service that the command gets, where they are set.
    public var passEnvironment: [String]
    /// `stop_seconds`: time between SIGTERM and SIGKILL, from 1 to 600.
    public var stopSeconds: Int
    /// `log_output`: whether what the command prints goes to the journal.
    public var logOutput: Bool
    /// `broker_url`: redis://..., given whenever `kind` is celery. May hold a password.
    public var brokerURL: RedisURL?
    /// `task`: the name of the Celery task; given whenever `kind` is celery.
    public var task: String?
    /// `queue`: the name of the Celery queue; given whenever `kind` is celery.
    public var queue: String?
    /// `queue_seconds`: how long a job may wait in the Celery queue, from 0 to 604800.
    public var queueSeconds: Int
    /// `result_url`: where workers leave what has become of their tasks; `brokerURL` by default, nil when the file says
    /// that nobody is to look. May hold a password.
    public var resultURL: RedisURL?
    /// `extra_args`: a JSON array, the task's arguments behind the job request.
    public var extraArguments: String
    /// `extra_kwargs`: a JSON object, the task's keyword arguments.
    public var extraKeywordArguments: String

    /// What starts a job.
    public enum Kind: String, Sendable, CaseIterable {
      /// A command on this machine.
      case command
      /// A task in a Celery queue.
      case celery
    }

    /// What it means that the command has ended.
    public enum Role: String, Sendable, CaseIterable {
      /// The command is the job: when it ends, so does the job.
      case worker
      /// The command starts the job elsewhere: exit 0 means that it has.
      case launcher
    }
  }

  /// `[stop]`: how the service stops.
  public struct Stopping: Sendable, Equatable {
    /// `drain_seconds`: how long to go on sending what is stored, from 0 to 3600.
    public var drainSeconds: Int
  }

  /// `[outbox]`: what waits for the facilitator.
  public struct Outbox: Sendable, Equatable {
    /// `window`: how many updates may be unanswered at a time, from 1 to 4096.
    public var window: Int
    /// `max_rows`: how many updates may be stored, from 1000 to 1000000000 and at least two for each open
    /// job.
    public var maxRows: Int
    /// `max_bytes`: how large they may be together, from 16777216 to 1099511627776, and no less than a frame.
    public var maxBytes: Int
  }

  /// `[hooks]`: what is told what happens.
  public struct Hooks: Sendable, Equatable {
    /// `on_status_update`, `on_status_update_task`: gets every stored update.
    public var onStatusUpdate: Hook?
    /// `on_cheated`, `on_cheated_task`: gets each verified cheat report.
    public var onCheated: Hook?
    /// `task_queue`: the Celery queue of the hooks that are tasks; the broker is `dispatch.brokerURL`.
    public var taskQueue: String
  }

  /// What a hook is.
  public enum Hook: Sendable, Equatable {
    /// The absolute path of a program, and its arguments.
    case command([String])
    /// The name of a Celery task.
    case task(String)

    /// The program and its arguments; nil for a task.
    public var command: [String]? { if case .command(let words) = self { words } else { nil } }
  }

  /// `[metrics]`: figures for Prometheus.
  public struct Metrics: Sendable, Equatable {
    /// `listen`
    public var listen: ListenAddress
  }

  /// A problem that a later check found with the value at `keyPath`, a path as in `lines`.
  ///
  /// Where the file does not hold it, the line is that of the nearest thing around it, else 1. `message` must
  /// name the key and say what to do, and must hold no secret.
  public func problem(at keyPath: String, _ message: String) -> Problem {
    .locating(keyPath, in: lines, file: file, message)
  }
}

// How each section is read. The limits stand here and in the docstrings of Configuration; they are wide
// enough for any machine we know of and keep sums of them far from overflow.

import Messages

extension Configuration.Facilitator {
  init?(_ section: Section, environment: [String: String]) {
    var section = section
    let url = section.parsed("url") { (text) throws(InvalidText) in try WebSocketURL(text) }
    caFile = section.parsed("ca_file", absolutePath)
    heartbeatSeconds = section.integer("heartbeat_seconds", in: 1...3600, default: 60)
    allowPlaintext = section.flag("allow_plaintext", default: false)
    // The double optional tells "none wanted" from "nothing said".
    let given: ProxyURL?? = section.parsed("proxy") { (text) throws(InvalidText) in
      text.isEmpty ? nil : try ProxyURL(text)
    }
    proxy = given ?? nil
    if let url, !section.has("proxy"), let variable = ProxyURL.variable(for: url, in: environment) {
      do throws(InvalidText) {
        proxy = try ProxyURL(variable.value)
      } catch {
        section.report(
          "proxy",
          "is not set, and what $\(variable.name) gives for it \(error): set it (\"\" for no proxy)"
        )
      }
    }
    // An address in a certificate is compared with the one connected to, and that is the proxy's.
    if let url, url.secure, url.isAddress, proxy != nil {
      section.report(
        "proxy",
        "cannot be used with an address in facilitator.url, which no certificate proves through a proxy: "
          + "put the facilitator's host name there, or set proxy = \"\" for no proxy")
    }
    if !section.has("url"), section.isReadable {
      section.report(
        "url", "is missing: set it to the facilitator's address, as in \"wss://HOST/ws/v0/\"")
    }
    if let url, !url.secure, !url.isLoopback, !allowPlaintext {
      section.report(
        "url",
        "is ws:// to another machine, where anyone on the way can read and change jobs: use wss://, "
          + "or set facilitator.allow_plaintext = true")
    }
    section.finish()
    guard let url else { return nil }
    self.url = url
  }
}

extension Configuration.Identity {
  init?(_ section: Section, environment: [String: String]) {
    var section = section
    let given = section.parsed("hotkey_file", absolutePath)
    section.finish()
    if let given {
      self.init(hotkeyFile: given, isCredential: false)
      return
    }
    guard !section.has("hotkey_file"), section.isReadable else { return nil }
    guard let directory = environment["CREDENTIALS_DIRECTORY"], !directory.isEmpty else {
      section.report(
        "hotkey_file",
        "is missing: set it to the path of the validator's hotkey file, or pass that file as the systemd "
          + "credential \"hotkey\" (LoadCredential= in the unit; hordelink.service takes /etc/credstore/hotkey)")
      return nil
    }
    do throws(InvalidText) {
      self.init(hotkeyFile: try absolutePath(directory + "/hotkey"), isCredential: true)
    } catch {
      section.report(
        "hotkey_file",
        "is not set, and what $CREDENTIALS_DIRECTORY gives for it \(error): set hotkey_file")
      return nil
    }
  }
}

extension Configuration.Jobs {
  init(_ section: Section) {
    var section = section
    trustedSigners = section.list("trusted_signers", nonEmpty) ?? []
    verifySignatures = section.flag("verify_signatures", default: true)
    maxAgeSeconds = section.integer("max_age_seconds", in: 0...3_888_000, default: 2_592_000)
    graceSeconds = section.integer("grace_seconds", in: 0...86400, default: 600)
    maxOpen = section.integer("max_open", in: 1...100_000, default: 1000)
    maxRequestBytes = section.integer("max_request_bytes", in: 65_536...16_777_216, default: 2_097_152)
    section.finish()
  }
}

extension Configuration.Channel {
  init(_ section: Section) {
    var section = section
    kind = section.choice("kind", default: .socket) ?? .socket
    redisURL = section.parsed("redis_url") { (text) throws(InvalidText) in try RedisURL(text) }
    redisLayer = section.choice("redis_layer", default: .pubsub) ?? .pubsub
    redisPrefix = section.parsed("redis_prefix", nonEmpty) ?? "asgi"
    maxFrameBytes = section.integer("max_frame_bytes", in: 1024...Limits.largestFrameBytes, default: 1_048_576)
    if kind == .redis, !section.has("redis_url") {
      section.report(
        "redis_url", "is missing: channel.kind = \"redis\" needs it, as in \"redis://HOST:6379/0\"")
    }
    section.finish()
  }
}

extension Configuration.Dispatch {
  init(_ section: Section, graceSeconds: Int) {
    var section = section
    let kind = section.choice("kind", default: Kind.command)
    self.kind = kind ?? .command
    command = section.list("command", anyText) ?? []
    commandIs = section.choice("command_is", default: .worker) ?? .worker
    user = section.parsed("user", nonEmpty)
    passEnvironment = section.list("pass_environment", passableVariable) ?? []
    stopSeconds = section.integer("stop_seconds", in: 1...600, default: 10)
    logOutput = section.flag("log_output", default: true)
    brokerURL = section.parsed("broker_url") { (text) throws(InvalidText) in try RedisURL(text) }
    task = section.parsed("task", nonEmpty)
    queue = section.parsed("queue", nonEmpty)
    queueSeconds = section.integer("queue_seconds", in: 0...604_800, default: 3600)
    // The double optional tells "nowhere" from "nothing said".
    let results: RedisURL?? = section.parsed("result_url") { (text) throws(InvalidText) in
      text.isEmpty ? nil : try RedisURL(text)
    }
    resultURL = results ?? brokerURL
    extraArguments = section.parsed("extra_args", jsonArray) ?? "[]"
    extraKeywordArguments = section.parsed("extra_kwargs", jsonObject) ?? "{}"
    section.finish()
    section.checkCommand("command", command, for: "that runs a job", isNeeded: kind == .command)
    guard kind == .celery else { return }
    for key in ["broker_url", "task", "queue"] where !section.has(key) {
      section.report(key, "is missing: dispatch.kind = \"celery\" needs broker_url, task and queue")
    }
    if queueSeconds + graceSeconds == 0 {
      section.report(
        "queue_seconds",
        "must be more than 0 when jobs.grace_seconds is 0: a task expires before any worker can take it")
    }
  }

}

extension Section {
  /// Checks that a list of words is a command: an absolute path, and arguments.
  ///
  /// - Parameter purpose: what the program does, for the errors.
  fileprivate func checkCommand(_ key: String, _ words: [String], for purpose: String, isNeeded: Bool) {
    let example = "[\"/usr/bin/PROGRAM\", \"ARGUMENT\"]"
    if let program = words.first {
      guard program.utf8.first != UInt8(ascii: "/") else { return }
      report("\(key)[0]", "must be the absolute path of a program: no search path is used")
    } else if isEmptyArray(key) {
      report(key, "must not be empty: set it to the program \(purpose), as in \(example)")
    } else if isNeeded, isReadable, !has(key) {
      report(key, "is missing: set it to the program \(purpose), as in \(example)")
    }
  }
}

extension Configuration.Hooks {
  init(_ section: Section, hasBroker: Bool) {
    var section = section
    onStatusUpdate = section.hook("on_status_update", gets: "every stored update", hasBroker: hasBroker)
    onCheated = section.hook("on_cheated", gets: "cheat reports", hasBroker: hasBroker)
    taskQueue = section.parsed("task_queue", nonEmpty) ?? "celery"
    section.finish()
  }
}

extension Section {
  /// A hook, as a command under `key` or as a task under `key`_task; nil when neither is set.
  fileprivate mutating func hook(_ key: String, gets what: String, hasBroker: Bool) -> Configuration.Hook? {
    let words = list(key, anyText) ?? []
    checkCommand(key, words, for: "that gets \(what)", isNeeded: false)
    guard let task = parsed("\(key)_task", nonEmpty) else { return words.isEmpty ? nil : .command(words) }
    if has(key) { report("\(key)_task", "cannot be set beside \(key): leave one of them out") }
    if !hasBroker { report("\(key)_task", "needs dispatch.broker_url, the broker into whose queue the task is put") }
    return .task(task)
  }
}

extension Configuration.Stopping {
  init(_ section: Section) {
    var section = section
    drainSeconds = section.integer("drain_seconds", in: 0...3600, default: 30)
    section.finish()
  }
}

extension Configuration.Outbox {
  init(_ section: Section, maxOpen: Int, maxFrameBytes: Int) {
    var section = section
    window = section.integer("window", in: 1...4096, default: 256)
    maxRows = section.integer("max_rows", in: 1000...1_000_000_000, default: 2_000_000)
    maxBytes = section.integer(
      "max_bytes", in: 16_777_216...1_099_511_627_776, default: 8_589_934_592)
    section.finish()
    // Each open job has room kept for its first and its terminal status.
    if maxRows < 2 * maxOpen {
      section.report(
        "max_rows",
        "must be at least \(2 * maxOpen), two for each of jobs.max_open = \(maxOpen), not \(maxRows)"
      )
    }
    if maxBytes < maxFrameBytes {
      section.report(
        "max_bytes",
        "must be at least channel.max_frame_bytes = \(maxFrameBytes), so that a frame fits, not \(maxBytes)"
      )
    }
  }
}

extension Configuration.Metrics {
  init?(_ section: Section) {
    var section = section
    let listen = section.parsed("listen") { (text) throws(InvalidText) in try ListenAddress(text) }
    section.finish()
    guard let listen else { return nil }
    self.listen = listen
  }
}

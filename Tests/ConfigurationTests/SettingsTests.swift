import Configuration
import Foundation
import Testing

@Suite("Settings")
struct SettingsTests {
  @Test("Every default")
  func defaults() throws {
    let configuration = try parse(required)
    #expect(configuration.stateDirectory == "/var/lib/hordelink")
    #expect(configuration.runtimeDirectory == "/run/hordelink")
    #expect(configuration.facilitator.url.description == "wss://facilitator.example/ws/v0/")
    #expect(configuration.facilitator.caFile == nil)
    #expect(configuration.facilitator.heartbeatSeconds == 60)
    #expect(!configuration.facilitator.allowPlaintext)
    #expect(configuration.facilitator.proxy == nil)
    #expect(configuration.identity.hotkeyFile == "/etc/hordelink/hotkey")
    #expect(!configuration.identity.isCredential)
    #expect(configuration.jobs.trustedSigners == [])
    #expect(configuration.jobs.verifySignatures)
    #expect(configuration.jobs.maxAgeSeconds == 30 * 86_400)
    #expect(configuration.jobs.graceSeconds == 600)
    #expect(configuration.jobs.maxOpen == 1000)
    #expect(configuration.jobs.maxRequestBytes == 2 << 20)
    #expect(configuration.channel.kind == .socket)
    #expect(configuration.channel.redisURL == nil)
    #expect(configuration.channel.redisLayer == .pubsub)
    #expect(configuration.channel.redisPrefix == "asgi")
    #expect(configuration.channel.maxFrameBytes == 1_048_576)
    #expect(configuration.dispatch.kind == .command)
    #expect(configuration.dispatch.command == ["/usr/local/bin/run-job"])
    #expect(configuration.dispatch.commandIs == .worker)
    #expect(configuration.dispatch.user == nil)
    #expect(configuration.dispatch.passEnvironment == [])
    #expect(configuration.dispatch.stopSeconds == 10)
    #expect(configuration.dispatch.logOutput)
    #expect(configuration.dispatch.brokerURL == nil)
    #expect(configuration.dispatch.task == nil)
    #expect(configuration.dispatch.queue == nil)
    #expect(configuration.dispatch.queueSeconds == 3600)
    #expect(configuration.stopping.drainSeconds == 30)
    #expect(configuration.outbox.window == 256)
    #expect(configuration.outbox.maxRows == 2_000_000)
    #expect(configuration.outbox.maxBytes == 8 << 30)
    #expect(configuration.metrics == nil)
    #expect(configuration.dispatch.resultURL == nil)
    #expect(configuration.dispatch.extraArguments == "[]")
    #expect(configuration.dispatch.extraKeywordArguments == "{}")
    #expect(configuration.hooks.onStatusUpdate == nil)
    #expect(configuration.hooks.onCheated == nil)
    #expect(configuration.hooks.taskQueue == "celery")
  }

  static let everyKey = """
    state_directory = "/s//"
    runtime_directory = "/r/"
    facilitator.url = "ws://10.0.0.1:8000/ws/v0/?a=b"
    facilitator.ca_file = "/ca.pem"
    facilitator.heartbeat_seconds = 1
    facilitator.allow_plaintext = true
    facilitator.proxy = "http://u:p%40ss@[::1]:3128/"
    [identity]
    hotkey_file = "/h"
    [jobs]
    trusted_signers = ["5A", "5B"]
    verify_signatures = false
    max_age_seconds = 0
    grace_seconds = 1
    max_open = 100_000
    max_request_bytes = 65_536
    [channel]
    kind = "redis"
    redis_url = "redis://:pw@localhost:6379/1"
    redis_layer = "core"
    redis_prefix = "x"
    max_frame_bytes = 1024
    [dispatch]
    kind = "celery"
    command = ["/c", ""]
    command_is = "launcher"
    user = "worker"
    pass_environment = ["TZ"]
    stop_seconds = 600
    log_output = false
    broker_url = "redis://broker"
    task = "t"
    queue = "q"
    queue_seconds = 0
    result_url = "unix:///r?db=2"
    extra_args = '[{"a": 1}, "b"]'
    extra_kwargs = '{"c": null}'
    [hooks]
    on_status_update_task = "u"
    on_cheated = ["/bin/mail", "me"]
    task_queue = "h"
    [stop]
    drain_seconds = 0
    [outbox]
    window = 1
    max_rows = 1_000_000_000
    max_bytes = 0x1_000_000
    [metrics]
    listen = "[::1]:9464"
    """

  @Test("Every key is read")
  func everyKey() throws {
    let configuration = try parse(Self.everyKey)
    #expect(configuration.stateDirectory == "/s")
    #expect(configuration.runtimeDirectory == "/r")
    #expect(configuration.facilitator.url.description == "ws://10.0.0.1:8000/ws/v0/?a=b")
    #expect(configuration.facilitator.caFile == "/ca.pem")
    #expect(configuration.facilitator.heartbeatSeconds == 1)
    #expect(configuration.facilitator.allowPlaintext)
    #expect(configuration.facilitator.proxy?.host == "::1")
    #expect(configuration.facilitator.proxy?.port == 3128)
    #expect(configuration.facilitator.proxy?.credentials == "u:p@ss")
    #expect(configuration.identity.hotkeyFile == "/h")
    #expect(configuration.jobs.trustedSigners == ["5A", "5B"])
    #expect(!configuration.jobs.verifySignatures)
    #expect(configuration.jobs.maxAgeSeconds == 0)
    #expect(configuration.jobs.graceSeconds == 1)
    #expect(configuration.jobs.maxOpen == 100_000)
    #expect(configuration.jobs.maxRequestBytes == 65_536)
    #expect(configuration.channel.kind == .redis)
    #expect(try configuration.channel.redisURL == RedisURL("redis://:pw@localhost:6379/1"))
    #expect(configuration.channel.redisLayer == .core)
    #expect(configuration.channel.redisPrefix == "x")
    #expect(configuration.channel.maxFrameBytes == 1024)
    #expect(configuration.dispatch.kind == .celery)
    #expect(configuration.dispatch.command == ["/c", ""])
    #expect(configuration.dispatch.commandIs == .launcher)
    #expect(configuration.dispatch.user == "worker")
    #expect(configuration.dispatch.passEnvironment == ["TZ"])
    #expect(configuration.dispatch.stopSeconds == 600)
    #expect(!configuration.dispatch.logOutput)
    #expect(try configuration.dispatch.brokerURL == RedisURL("redis://broker"))
    #expect(configuration.dispatch.task == "t")
    #expect(configuration.dispatch.queue == "q")
    #expect(configuration.dispatch.queueSeconds == 0)
    #expect(try configuration.dispatch.resultURL == RedisURL("unix:///r?db=2"))
    #expect(configuration.dispatch.extraArguments == "[{\"a\": 1}, \"b\"]")
    #expect(configuration.dispatch.extraKeywordArguments == "{\"c\": null}")
    #expect(configuration.hooks.onStatusUpdate == .task("u"))
    #expect(configuration.hooks.onCheated == .command(["/bin/mail", "me"]))
    #expect(configuration.hooks.taskQueue == "h")
    #expect(configuration.stopping.drainSeconds == 0)
    #expect(configuration.outbox.window == 1)
    #expect(configuration.outbox.maxRows == 1_000_000_000)
    #expect(configuration.outbox.maxBytes == 16_777_216)
    #expect(configuration.metrics?.listen.description == "[::1]:9464")
  }

  @Test("Results are where the broker is, somewhere else, or nowhere")
  func results() throws {
    let celery = "kind = \"celery\"\nbroker_url = \"redis://b\"\ntask = \"t\"\nqueue = \"q\"\n"
    #expect(try parse(required + celery).dispatch.resultURL == RedisURL("redis://b"))
    #expect(try parse(required + celery + "result_url = \"redis://r\"").dispatch.resultURL == RedisURL("redis://r"))
    #expect(try parse(required + celery + "result_url = \"\"").dispatch.resultURL == nil)
  }

  @Test("A later check finds the line of a value, or of what is around it")
  func laterProblems() throws {
    let configuration = try parse(
      required + "[jobs]\ntrusted_signers = [\n  \"5A\", # one\n  \"5B\",\n]\n")
    #expect(configuration.problem(at: "jobs.trusted_signers[1]", "m").line == 10)
    #expect(configuration.problem(at: "jobs.trusted_signers[7]", "m").line == 8)
    #expect(configuration.problem(at: "jobs.max_open", "m").line == 7)
    #expect(configuration.problem(at: "metrics.listen", "m").line == 1)
    #expect(configuration.lines["dispatch.command[0]"] == 6)
    #expect(
      configuration.problem(at: "identity.hotkey_file", "identity.hotkey_file cannot be read")
        .description
        == "h.toml:4: identity.hotkey_file cannot be read")
  }

  @Test("Directories come from the file, then from systemd, then from the default")
  func directories() throws {
    let passed = ["STATE_DIRECTORY": "/a:/b", "RUNTIME_DIRECTORY": "/run/x/"]
    let configuration = try parse(required, passed)
    #expect(configuration.stateDirectory == "/a")
    #expect(configuration.runtimeDirectory == "/run/x")
    #expect(try parse("state_directory = '/c'\n" + required, passed).stateDirectory == "/c")
    #expect(try parse(required, ["STATE_DIRECTORY": ""]).stateDirectory == "/var/lib/hordelink")
    let relative = problems(required, ["STATE_DIRECTORY": "a"])
    #expect(relative.map(\.key) == ["state_directory"])
    #expect(relative.first?.message.contains("$STATE_DIRECTORY") == true)
  }

  @Test(
    "The hotkey comes from the file, then from the systemd credential; with neither, both ways are told"
  )
  func hotkey() throws {
    let without = required.replacingOccurrences(
      of: "hotkey_file = \"/etc/hordelink/hotkey\"\n", with: "")
    let credentials = ["CREDENTIALS_DIRECTORY": "/run/credentials/h.service"]
    let identity = try parse(without, credentials).identity
    #expect(identity.hotkeyFile == "/run/credentials/h.service/hotkey")
    #expect(identity.isCredential)
    #expect(try parse(required, credentials).identity.hotkeyFile == "/etc/hordelink/hotkey")
    let missing = problems(without)
    #expect(missing.map(\.key) == ["identity.hotkey_file"])
    #expect(missing.map(\.line) == [3])
    #expect(missing.first?.message.contains("/etc/credstore/hotkey") == true)
  }

  @Test("The proxy comes from the file, then from the environment, which may exclude hosts")
  func proxy() throws {
    func proxy(
      _ environment: [String: String], _ setting: String = "", url: String = "wss://a.example"
    ) throws
      -> String?
    {
      let document = "facilitator.url = \"\(url)\"\n\(setting)\nidentity.hotkey_file = '/h'\n"
      return try parse(document + "dispatch.command = ['/c']\n", environment).facilitator.proxy?
        .description
    }
    #expect(try proxy(["HTTPS_PROXY": "http://p:1"]) == "http://p:1")
    #expect(try proxy(["https_proxy": "p:2"]) == "http://p:2")
    #expect(try proxy(["HTTPS_PROXY": "", "https_proxy": "p:2"]) == "http://p:2")
    #expect(try proxy(["HTTPS_PROXY": "p:1"], "facilitator.proxy = 'http://q:3'") == "http://q:3")
    #expect(try proxy(["HTTPS_PROXY": "p:1"], "facilitator.proxy = ''") == nil)
    #expect(try proxy(["HTTPS_PROXY": "p:1"], url: "ws://localhost") == nil)
    #expect(try proxy(["HTTPS_PROXY": "p:1", "NO_PROXY": "b.example, .EXAMPLE"]) == nil)
    #expect(try proxy(["HTTPS_PROXY": "p:1", "no_proxy": "*"]) == nil)
    #expect(try proxy(["HTTPS_PROXY": "p:1", "NO_PROXY": "ample,b.a.example,"]) == "http://p:1")
    #expect(throws: (any Error).self) { try proxy(["HTTPS_PROXY": "p:1"], url: "wss://[2001:db8::1]") }
    #expect(throws: (any Error).self) { try proxy([:], "facilitator.proxy = 'p:1'", url: "wss://192.0.2.1") }
    #expect(try proxy([:], "facilitator.proxy = 'p:1'", url: "ws://127.0.0.1") == "http://p:1")
    let bad = problems(required, ["HTTPS_PROXY": "http://u:hunter2@p"])
    #expect(bad.map(\.line) == [1])
    #expect(bad.first?.message.contains("$HTTPS_PROXY") == true)
    #expect(bad.first?.message.contains("hunter2") == false)
  }

  @Test("A file is read, and one that cannot be is named without a line")
  func files() throws {
    let path = NSTemporaryDirectory() + "hordelink-\(UUID().uuidString).toml"
    try required.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(try Configuration.load(path: path, environment: [:]).file == path)
    for bad in [path + ".missing", NSTemporaryDirectory(), "a\0b", ""] {
      let error = #expect(throws: ConfigurationError.self) {
        try Configuration.load(path: bad, environment: [:])
      }
      #expect(error?.problems.count == 1)
      #expect(
        error?.description.hasPrefix("\(bad): cannot be") == true
          || error?.problems.first?.line == nil)
    }
    let long = required + String(repeating: "#\n", count: Configuration.longestFile / 2)
    try long.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: ConfigurationError.self) {
      try Configuration.load(path: path, environment: [:])
    }
  }
}

import Configuration
import Testing

@Suite("Problems")
struct ProblemTests {
  @Test(
    "An unknown key is an error at its line, which names it and the keys there are",
    arguments: [
      ("", "kind = 1", "kind", "state_directory"), ("", "[jbos]", "jbos", "jobs"),
      ("facilitator", "uri = 1", "facilitator.uri", "url"),
      ("identity", "hotkey = 1", "identity.hotkey", "hotkey_file"),
      ("jobs", "max.open = 1", "jobs.max", "max_open"),
      ("channel", "\"kind \" = 1", "channel.\"kind \"", "redis_url"),
      ("dispatch", "user_name = 1", "dispatch.user_name", "user"),
      ("stop", "x = 1", "stop.x", "drain_seconds"),
      ("outbox", "'\u{e9}' = 1", "outbox.\"\u{e9}\"", "window"),
      ("metrics", "port = 1", "metrics.port", "listen"),
      ("metrics", "\"\\u001b[2J\" = 1", "metrics.\"\\u{1b}[2J\"", "listen"),
    ])
  func unknownKeys(section: String, text: String, key: String, other: String) {
    let found = problems(with: text, in: section)
    let problem = found.problems.first { $0.key == key }
    #expect(problem?.line == found.line)
    #expect(problem?.message.contains(key) == true)
    #expect(problem?.message.contains(other) == true)
    #expect(problem?.description == "h.toml:\(found.line): \(problem?.message ?? "")")
    #expect(found.problems.count == 1)
  }

  @Test(
    "A value of the wrong type, beyond its range or of the wrong form is an error at its line",
    arguments: [
      ("", "state_directory = \"var\"", "absolute"),
      ("", "state_directory = 3", "a string in quotes"),
      ("", "runtime_directory = \"./run\"", "absolute"),
      ("", "jobs = 3", "a table, written [jobs], not a whole"),
      ("", "[[stop]]", "a table, written [stop], not an array"),
      ("facilitator", "url = true", "a string in quotes, not true"),
      ("facilitator", "url = \"http://a\"", "wss://"),
      ("facilitator", "url = \"ws://a.example/\"", "facilitator.allow_plaintext = true"),
      ("facilitator", "ca_file = \"ca.pem\"", "absolute"),
      ("facilitator", "heartbeat_seconds = 0", "from 1 to 3600, not 0"),
      ("facilitator", "heartbeat_seconds = 3601", "from 1 to 3600, not 3601"),
      ("facilitator", "heartbeat_seconds = 60.0", "not a number with a fraction"),
      ("facilitator", "heartbeat_seconds = \"60\"", "a whole number from 1 to 3600, not a string"),
      ("facilitator", "heartbeat_seconds = 1979-05-27", "is a date or time, which no setting is"),
      ("facilitator", "allow_plaintext = \"yes\"", "true or false, without quotes, not a string"),
      ("facilitator", "proxy = \"https://p:1\"", "http://"),
      ("identity", "hotkey_file = \"hotkey\"", "absolute"),
      ("identity", "hotkey_file = \"\"", "absolute"),
      ("jobs", "trusted_signers = \"5A\"", "an array of strings, written [\"...\"], not a string"),
      (
        "jobs", "trusted_signers = [\"5A\", 5]",
        "trusted_signers[1] must be a string in quotes, not a whole number"
      ),
      ("jobs", "trusted_signers = [\"\"]", "trusted_signers[0] must not be empty"),
      ("jobs", "verify_signatures = 1", "true or false"),
      ("jobs", "grace_seconds = -1", "from 0 to 86400, not -1"),
      ("jobs", "max_open = 0", "from 1 to 100000"),
      ("jobs", "max_open = 100001", "from 1 to 100000"),
      ("jobs", "max_age_seconds = 3888001", "from 0 to 3888000"),
      ("jobs", "max_request_bytes = 65535", "from 65536 to 16777216"),
      ("channel", "kind = \"sockets\"", "\"socket\" or \"redis\", not \"sockets\""),
      ("channel", "kind = [\"socket\"]", "\"socket\" or \"redis\", not an array"),
      ("channel", "redis_layer = \"\"", "\"pubsub\" or \"core\", not \"\""),
      ("channel", "redis_url = \"rediss://h\"", "TLS to Redis is not supported"),
      ("channel", "redis_url = \"http://h\"", "redis://"),
      ("channel", "redis_prefix = \"\"", "empty"),
      ("channel", "max_frame_bytes = 1023", "from 1024 to 67108864"),
      ("channel", "max_frame_bytes = 67108865", "from 1024 to 67108864"),
      ("dispatch", "kind = \"shell\"", "\"command\" or \"celery\""),
      ("dispatch", "command = []", "must not be empty"),
      ("dispatch", "command = \"/bin/true\"", "an array of strings"),
      ("dispatch", "command = [\"run\", \"-x\"]", "command[0] must be the absolute path"),
      ("dispatch", "command = [1, \"x\"]", "command[0] must be a string"),
      ("dispatch", "command_is = \"daemon\"", "\"worker\" or \"launcher\""),
      ("dispatch", "user = \"\"", "empty"),
      (
        "dispatch", "pass_environment = [\"A=b\"]",
        "pass_environment[0] must be the name of a variable"
      ),
      ("dispatch", "pass_environment = [\"LISTEN_FDS\"]", "never reaches a command"),
      ("dispatch", "pass_environment = [\"NOTIFY_SOCKET\"]", "never reaches a command"),
      ("dispatch", "pass_environment = [\"CREDENTIALS_DIRECTORY\"]", "never reaches a command"),
      ("dispatch", "pass_environment = [\"HORDELINK_SOCKET\"]", "given anyway"),
      ("dispatch", "stop_seconds = 0", "from 1 to 600"),
      ("dispatch", "stop_seconds = 601", "from 1 to 600"),
      ("dispatch", "log_output = 0", "true or false"),
      ("dispatch", "broker_url = \"amqp://h\"", "redis://"),
      ("dispatch", "task = \"\"", "empty"), ("dispatch", "queue = 1", "a string in quotes"),
      ("dispatch", "queue_seconds = 604801", "from 0 to 604800"),
      ("stop", "drain_seconds = -1", "from 0 to 3600"),
      ("stop", "drain_seconds = 3601", "from 0 to 3600"),
      ("outbox", "window = 0", "from 1 to 4096"), ("outbox", "window = 4097", "from 1 to 4096"),
      ("outbox", "max_rows = 999", "from 1000 to 1000000000"),
      ("outbox", "max_rows = 1999", "must be at least 2000, two for each of jobs.max_open = 1000"),
      ("outbox", "max_bytes = 16777215", "from 16777216 to 1099511627776"),
      ("outbox", "max_bytes = 1099511627777", "from 16777216 to 1099511627776"),
      ("metrics", "listen = \"localhost:9464\"", "an IP address"),
      ("metrics", "listen = \"127.0.0.1\"", "port"),
      ("metrics", "listen = \"127.0.0.1:0\"", "port from 1 to 65535"),
      ("metrics", "listen = 9464", "a string in quotes"),
    ])
  func wrongValues(section: String, text: String, part: String) {
    let found = problems(with: text, in: section)
    #expect(found.problems.map(\.line) == [found.line])
    #expect(found.problems.first?.message.contains(part) == true, "\(found.problems)")
    let key = text.prefix { !" =".contains($0) }.filter { !"[]".contains($0) }
    #expect(
      found.problems.first?.message.hasPrefix(section.isEmpty ? key : "\(section).\(key)") == true)
  }

  @Test("A frame must fit the outbox")
  func frameFits() {
    let found = problems(
      required + "[channel]\nmax_frame_bytes = 67108864\n[outbox]\nmax_bytes = 16777216\n")
    #expect(found.map(\.key) == ["outbox.max_bytes"])
    #expect(found.map(\.line) == [10])
  }

  @Test("What is missing is named, at the line of its section or at line 1")
  func missing() {
    #expect(
      problems("").map(\.key) == ["dispatch.command", "facilitator.url", "identity.hotkey_file"])
    #expect(problems("").allSatisfy { $0.line == 1 })
    #expect(problems("\n[dispatch]\n\n[facilitator]\n[identity]\n").map(\.line) == [2, 4, 5])
    let celery = problems(required + "kind = \"celery\"\n[channel]\nkind = \"redis\"\n")
    #expect(
      celery.map(\.key) == [
        "dispatch.broker_url", "dispatch.queue", "dispatch.task", "channel.redis_url",
      ])
    // A section that is something else is one problem, not one more for each setting it would have had.
    #expect(problems("dispatch = 1\nfacilitator = 2\nidentity = 3\n").count == 3)
    // A kind that is misspelt says nothing about what else is needed.
    #expect(problems("dispatch.kind = 'x'\n").map(\.key).contains("dispatch.command") == false)
  }

  @Test("All problems are told at once, in the order of the file")
  func allAtOnce() {
    let found = problems(
      """
      colour = "red"
      state_directory = "here"
      [facilitator]
      url = "ftp://x"
      heartbeat_seconds = 0
      [jobs]
      max_open = "many"
      trusted_signers = [
        "",
        7,
      ]
      [dispatch]
      comand = []
      """)
    #expect(
      found.map(\.description).map { $0.split(separator: " ")[..<2].joined(separator: " ") } == [
        "h.toml:1: colour", "h.toml:1: identity.hotkey_file", "h.toml:2: state_directory",
        "h.toml:4: facilitator.url",
        "h.toml:5: facilitator.heartbeat_seconds", "h.toml:7: jobs.max_open",
        "h.toml:9: jobs.trusted_signers[0]",
        "h.toml:10: jobs.trusted_signers[1]", "h.toml:12: dispatch.command",
        "h.toml:13: dispatch.comand",
      ])
  }

  @Test(
    "A runtime directory whose sockets would not fit says by how much", arguments: [53, 54, 60])
  func runtimeDirectory(length: Int) {
    let path = "/" + String(repeating: "r", count: length - 1)
    let found = problems("runtime_directory = \"\(path)\"\n" + required)
    guard length > 53 else {
      #expect(found == [])
      return
    }
    #expect(found.map(\.line) == [1])
    let excess = length == 54 ? "1 byte too long" : "\(length - 53) bytes too long"
    #expect(found.first?.message.contains(excess) == true)
  }

  @Test(
    "What is not TOML is an error at its line",
    arguments: [
      ("[jobs\n", 7), ("a = 1\na = 2\n", 8), ("\n\nx = \n", 9), ("[jobs]\n[jobs]\n", 8),
      ("x = \"\n", 7),
      ("x = '''\n\n", 7), ("x = 1 y = 2\n", 7), ("x = 99999999999999999999\n", 7), ("\n[=\n", 8),
      ("[[ .a]]\n", 7), ("[", 7), ("log_output =", 7),
      ("facilitator.proxy = 1\n", 7),
    ])
  func syntax(text: String, line: Int) {
    let found = problems(required + (text.hasPrefix("facilitator") ? "[facilitator]\n" : "") + text)
    #expect(found.count == 1)
    #expect(found.first?.message.hasPrefix("not TOML: ") == true)
    #expect(found.first?.line == line)
  }

  @Test("Text that is not UTF-8, NUL and deep nesting are refused at their line")
  func unparseable() {
    func line(_ bytes: [UInt8]) -> [Int?] {
      do throws(ConfigurationError) {
        _ = try Configuration.parse(Array(required.utf8) + bytes, file: "h.toml", environment: [:])
        return []
      } catch {
        return error.problems.map(\.line)
      }
    }
    #expect(line(Array("# \u{e9}\n# ".utf8) + [0xC3, 0x0A]) == [8])
    #expect(line([0x0A, 0x23, 0x00]) == [8])
    #expect(line(Array("log_output = \"\\u0000\"".utf8)) == [7])
    #expect(line(Array("\n\"a\\U00000000b\" = 1".utf8)) == [8])
    #expect(line(Array(("\na" + String(repeating: ".a", count: 100_000) + " = ?").utf8)) == [8])
    #expect(line(Array(("x = " + String(repeating: "[", count: 100_000)).utf8)) == [7])
    #expect(line(Array(("x = " + String(repeating: "{a=", count: 50_000)).utf8)) == [7])
    #expect(line([UInt8](repeating: 0x0A, count: Configuration.longestFile)) == [1])
  }

  @Test(
    "A password is not repeated, whatever is wrong with what holds it",
    arguments: [
      "channel.redis_url = \"rediss://:hunter2@h\"", "channel.redis_url = \"redis://:hunter2@h:0\"",
      "channel.redis_url = \"redis://:hun/hunter2@h\"", "channel.redis_url = \"hunter2\"",
      "channel.redis_url = redis://:hunter2@h", "channel.redis_url = [\"redis://:hunter2@h\"]",
      "channel.redis_url = \"redis://:\\hunter2@h\"", "channel.redis_url = \"redis://\"hunter2@h\"",
      "channel.redis_url = 'redis://:hunter2 @h'",
      "channel.redis_url = 7 #hunter2",
      "dispatch.broker_url = \"amqp://u:hunter2@h\"", "facilitator.proxy = \"http://u:hunter2@h\"",
      "facilitator.proxy = \"http://u:hunter2%@h:1\"", "facilitator.url = \"wss://u:hunter2@h/\"",
    ])
  func secrets(line: String) {
    let found = problems(line + "\n")
    #expect(
      found.contains {
        $0.message.contains(line.prefix { $0 != " " }) || $0.message.hasPrefix("not TOML")
      })
    #expect(found.allSatisfy { !$0.description.contains("hunter") })
  }
}

import Messages

/// Bytes as a source of choices: each takes the next ones, and when they are used up, zeros.
struct Choices {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isOver: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func bool() -> Bool { byte() & 1 == 1 }

  /// One of `count`, at most 256.
  mutating func index(_ count: Int) -> Int { Int(byte()) % count }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[index(elements.count)] }

  /// Small most of the time, and often at a limit.
  mutating func number() -> UInt64 {
    let limits: [UInt64] = [.max, 1 << 63, 1 << 63 - 1, 1 << 62, 1 << 53, 1 << 32, 1 << 31, 1000]
    let first = byte()
    switch first {
    case 0..<224: return UInt64(first)
    case 224..<248: return limits[Int(first) % limits.count]
    default: return (0..<8).reduce(0) { number, _ in number << 8 | UInt64(byte()) }
    }
  }

  mutating func signed() -> Int64 { Int64(bitPattern: number()) }

  /// As many as the next byte says, as far as there are some.
  mutating func bytes() -> [UInt8] {
    let count = min(Int(byte()), rest.count)
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }

  mutating func job() -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(index(4))) }

  mutating func status() -> JobStatus { pick(JobStatus.allCases) }

  mutating func exit() -> CommandExit {
    switch index(3) {
    case 0: CommandExit(code: Int32(truncatingIfNeeded: number()), signal: nil, stderrTail: bytes())
    case 1: CommandExit(code: nil, signal: Int32(truncatingIfNeeded: number()))
    default: CommandExit(code: 1, signal: nil, task: TaskEnd(state: "FAILURE", error: text()))
    }
  }

  mutating func record() -> CommandRecord {
    CommandRecord(pid: Int32(truncatingIfNeeded: number()), startTime: number(), bootID: bool() ? "boot" : text())
  }

  mutating func hookRun() -> HookRun { HookRun(pick(Hook.allCases), first: number()) }

  mutating func query() -> UplinkQuery {
    switch index(7) {
    case 0: .status
    case 1: .jobs
    case 2: .queue
    case 3: .dead(after: Int(signed()))
    case 4: .retry((0..<index(4)).map { _ in Int(signed()) })
    case 5: .drop((0..<index(4)).map { _ in Int(signed()) })
    default: .drain(bool())
    }
  }

  /// Settings as the configuration lets them be.
  mutating func settings() -> UplinkSettings {
    var settings = UplinkSettings(
      stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/", hotkeyFile: "/k", trustedSigners: [])
    settings.window = 1 + index(4)
    settings.maxOpenJobs = 1 + index(4)
    settings.maxRows = 4 + index(32)
    settings.maxBytes = 1 << 18
    settings.commandIsLauncher = bool()
    settings.hasStatusHook = bool()
    settings.hasCheatHook = bool()
    if bool() { settings.tasks = TaskSettings(queueSeconds: index(100), results: redisServer()) }
    return settings
  }

  mutating func redisServer() -> RedisServer { RedisServer(place: .socket("/r"), password: bool() ? "p" : nil) }
}

import Configuration
import Decisions
import Glibc
import Journal
import Logging
import Messages
import Platform

/// How a command is made: what it runs, as whom, and the little of our environment that it gets.
struct CommandLine {
  let program: String
  private let arguments: [String]
  private let environment: [String]
  private let descriptorLimit: UInt64
  private let changesUser: Bool
  private let hiddenFile: String?

  /// Where programs are looked for when the service itself was given no PATH.
  private static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// - Parameters:
  ///   - command: the absolute path of a program, and its arguments.
  ///   - dispatch: says as whom commands run and which variables are passed on.
  ///   - own: the service's environment.
  ///   - descriptorLimit: its soft limit of open descriptors.
  ///   - hiddenFile: what the command must not read.
  ///
  /// - Throws: when the user cannot be looked up: a command never runs as another than it was meant to.
  init(
    _ command: [String], _ dispatch: Configuration.Dispatch, own: [String: String], descriptorLimit: UInt64,
    hiddenFile: String?
  ) throws(SystemError) {
    self.descriptorLimit = descriptorLimit
    self.hiddenFile = hiddenFile
    var variables = [
      "PATH": own["PATH"] ?? Self.defaultPath, "HOME": own["HOME"] ?? "/", "LANG": own["LANG"] ?? "C.UTF-8",
    ]
    for name in dispatch.passEnvironment { variables[name] = own[name] }
    var words = command
    changesUser = dispatch.user != nil
    if let user = dispatch.user {
      guard let entry = try User(named: user) else { throw SystemError("getpwnam_r", user, code: ENOENT) }
      variables["HOME"] = entry.home
      // setpriv(1) of util-linux changes the user between our spawn and the command's exec.
      words =
        [
          "/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(entry.gid)", "--init-groups",
          "--inh-caps=-all", "--ambient-caps=-all", "--",
        ] + words
    }
    program = words.first ?? ""
    arguments = words
    environment = variables.map { "\($0)=\($1)" }.sorted()
  }

  /// - Parameter more: NAME=VALUE, added to the environment.
  func request(more: [String] = []) -> SpawnRequest {
    var request = SpawnRequest(executable: program, arguments: arguments, environment: environment + more)
    request.newSession = true
    request.descriptorLimit = descriptorLimit
    request.changesUser = changesUser
    request.hiddenFile = hiddenFile
    return request
  }
}

/// How many lines are logged of one command's output, or of all runs of one hook.
final class OutputLines {
  fileprivate var limit: LineLimit

  init(at now: Instant) { limit = LineLimit(LineLimit.output, at: now) }
}

/// A command while it runs, with what it writes.
final class RunningCommand {
  let pid: pid_t
  private let job: JobID?
  private let logger: Logger?
  private let lines: OutputLines
  private var outputs: [Output] = []
  private var stderrTail: [UInt8] = []
  var exitSource: EventLoop.Source?

  private final class Output {
    let pipe: Descriptor
    let isError: Bool
    var line: [UInt8] = []
    var source: EventLoop.Source?

    init(_ pipe: Descriptor, isError: Bool) {
      self.pipe = pipe
      self.isError = isError
    }
  }

  /// A longer line is cut, as the journal would (LineMax=48K is journald's own bound for streams).
  private static let longestLine = 4096

  /// Starts the command with `body` on its standard input.
  /// - Parameters:
  ///   - job: whose command it is; nil for a hook.
  ///   - logger: nil when its output is not to be logged.
  ///   - lines: how many lines of it are.
  init(job: JobID?, request: SpawnRequest, body: [UInt8], logger: Logger?, lines: OutputLines) throws(SystemError) {
    self.job = job
    self.logger = logger
    self.lines = lines
    let standardOutput = try Files.pipe()
    let standardError = try Files.pipe()
    var request = request
    request.standardInput = try Files.inMemory(body, name: "job-request")
    request.standardOutput = standardOutput.writing
    request.standardError = standardError.writing
    pid = try request.spawn()
    outputs = [
      Output(standardOutput.reading, isError: false), Output(standardError.reading, isError: true),
    ]
  }

  /// Begins to read what it writes.
  func listen(_ loop: EventLoop, now: @escaping () -> Instant) throws(SystemError) {
    for output in outputs {
      output.source = try loop.add(output.pipe) { [weak self, weak output] in
        guard let self, let output else { return }
        if !self.read(output, now: now()) { output.source = nil }
      }
    }
  }

  /// Reads what is left after its end. A grandchild that still holds the pipe is not waited for.
  func finish(now: Instant) -> [UInt8] {
    for output in outputs {
      output.source = nil
      // Bounded: a pipe holds no more than this by default, and a grandchild might write for ever.
      for _ in 0..<16 where !read(output, now: now) { break }
      if !output.line.isEmpty { log(output.line, output, now: now) }
    }
    return stderrTail
  }

  /// Reads once. Returns false when there is nothing more.
  private func read(_ output: Output, now: Instant) -> Bool {
    guard let bytes = try? output.pipe.read(upTo: 65_536), !bytes.isEmpty else { return false }
    if output.isError {
      stderrTail = (stderrTail + bytes).suffix(Limits.stderrTailBytes)
    }
    guard logger != nil else { return true }
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        log(output.line, output, now: now)
        output.line.removeAll(keepingCapacity: true)
      } else if output.line.count < Self.longestLine {
        output.line.append(byte)
      }
    }
    return true
  }

  private func log(_ line: [UInt8], _ output: Output, now: Instant) {
    guard let logger else { return }
    let (passes, dropped) = lines.limit.admit(at: now)
    guard passes else { return }
    func entry(_ priority: LogPriority, _ text: String) -> LogEntry {
      LogEntry(priority, .commandOutput, text, job: job, pid: pid)
    }
    if dropped > 0 {
      logger.log(entry(.warning, "\(dropped) lines of the command's output were dropped: it writes too fast"))
    }
    logger.log(entry(output.isError ? .notice : .info, String(decoding: line, as: UTF8.self)))
  }
}

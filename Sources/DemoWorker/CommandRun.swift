import Glibc
import Platform

/// A command that has ended, and what it printed.
struct CommandResult: Sendable, Equatable {
  /// Its exit status as a shell and Docker give it: 128 and the signal's number when a signal ended it, 127 when it
  /// was not found and 126 when it could not be started.
  var exitStatus: Int
  /// How it ended, in words.
  var summary: String
  var standardOutput: String
  var standardError: String
}

/// Runs one command to its end.
enum CommandRun {
  /// How much is kept of each of its two outputs, in bytes: both fit into a worker's frame with room to spare.
  static let outputLimit = 1 << 20

  private static let exitToken: UInt64 = 2

  /// Runs `arguments[0]`, which must be there, and waits for its end. It gets an empty standard input.
  ///
  /// It stays in our process group, so that a stop of the job's command stops it as well.
  ///
  /// - Parameters:
  ///   - searchPath: where a program without a slash in its name is looked for, as in $PATH.
  ///   - environment: NAME=VALUE, all that it gets.
  /// - Throws: what keeps any command from being run. One that cannot be started is a result.
  static func run(
    _ arguments: [String], searchPath: String, environment: [String], outputLimit: Int = outputLimit
  ) throws(SystemError) -> CommandResult {
    let pipes = [try Files.pipe(), try Files.pipe()]
    let pid: pid_t
    switch try start(arguments, searchPath, environment, output: pipes.map(\.writing)) {
    case .started(let started): pid = started
    case .failed(let result): return result
    }
    return try collect(pid, pipes.map(\.reading), limit: outputLimit)
  }

  private enum Start {
    case started(pid_t)
    case failed(CommandResult)
  }

  /// Tries each place the program may be at, as execvp(3) does.
  private static func start(
    _ arguments: [String], _ searchPath: String, _ environment: [String], output: [Descriptor]
  ) throws(SystemError) -> Start {
    let name = arguments[0]
    let places =
      name.contains("/")
      ? [name]
      : searchPath.split(separator: ":", omittingEmptySubsequences: false).map {
        $0.isEmpty ? "./\(name)" : "\($0)/\(name)"
      }
    var reason: SystemError?
    for place in places {
      var request = SpawnRequest(executable: place, arguments: arguments, environment: environment)
      request.standardOutput = output[0]
      request.standardError = output[1]
      do throws(SystemError) {
        return .started(try request.spawn())
      } catch {
        guard error.call == "posix_spawn" else { throw error }
        if [ENOENT, ENOTDIR].contains(error.code) { continue }
        // It is there and may not be run; another place may hold one that may.
        reason = error
        if error.code != EACCES { break }
      }
    }
    let why = reason?.description ?? "\(name): not found in \(searchPath)"
    return .failed(
      CommandResult(
        exitStatus: reason == nil ? 127 : 126, summary: "the command could not be started: \(why)",
        standardOutput: "", standardError: "\(why)\n"))
  }

  /// Reads both outputs, whichever has something, until the process has ended and nothing is left of what it wrote.
  ///
  /// The end of the pipes says nothing about its end: a process that it left behind may hold them open for ever.
  private static func collect(
    _ pid: pid_t, _ outputs: [Descriptor], limit: Int
  ) throws(SystemError) -> CommandResult {
    let exit = try Files.pipe()
    let statuses = Mailbox<Int32>()
    try BackgroundThread.start {
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      statuses.put(status)
      _ = write(exit.writing.number, "x", 1)
    }
    let poller = try Poller()
    try poller.watch(exit.reading, token: exitToken, read: true, write: false)
    // An output that is at its end is closed, since its hang-up would be told again and again.
    var open = outputs.map { Optional($0) }
    var kept = outputs.map { _ in BoundedText(limit: limit) }
    for (index, output) in outputs.enumerated() {
      try poller.watch(output, token: UInt64(index), read: true, write: false)
    }
    var hasExited = false
    while !hasExited {
      for ready in try poller.wait(timeout: nil) {
        if ready.token == exitToken {
          hasExited = true
        } else {
          let index = Int(ready.token)
          try kept[index].read(once: &open[index])
        }
      }
    }
    // One read takes all that a pipe holds (pipe(7)); more would be the words of processes that outlive the command.
    for index in open.indices { try kept[index].read(once: &open[index]) }
    let (exitStatus, summary) = describe(statuses.takeAll()?.elements.first ?? 0)
    return CommandResult(
      exitStatus: exitStatus, summary: summary, standardOutput: kept[0].text, standardError: kept[1].text)
  }

  /// Source: wait(2); the macros that take a status apart are not there in Swift.
  private static func describe(_ status: Int32) -> (exitStatus: Int, summary: String) {
    let signal = Int(status & 0x7f)
    if signal != 0 { return (128 + signal, "the command was ended by signal \(signal)") }
    let code = Int(status >> 8 & 0xff)
    return (code, "the command exited with status \(code)")
  }
}

/// The beginning of a text of any length.
struct BoundedText {
  let limit: Int
  private var bytes: [UInt8] = []
  private var leftOut = 0

  init(limit: Int) { self.limit = limit }

  /// Reads once what is there. At the end of the file the descriptor is given up.
  mutating func read(once descriptor: inout Descriptor?) throws(SystemError) {
    guard let more = try descriptor?.read(upTo: 65_536) else { return }
    if more.isEmpty { descriptor = nil }
    let taken = min(more.count, limit - bytes.count)
    bytes += more[..<taken]
    leftOut += more.count - taken
  }

  /// What was kept, its bytes that are not UTF-8 replaced, and how much was not.
  var text: String {
    let kept = String(decoding: bytes, as: UTF8.self)
    return leftOut == 0 ? kept : kept + "\n[\(leftOut) more bytes are left out]\n"
  }
}

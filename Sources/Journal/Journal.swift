import CSystemd
import Decisions
import Glibc
import Logging
import Messages
import Platform

/// Where a program's log lines go: the journal, with fields, when systemd has connected us to it; stderr, for
/// people to read, otherwise.
///
/// Neither may stall the loop that logs: sd_journal_sendv blocks while journald does not read. So lines pass
/// through a bounded mailbox to a thread of their own, and what had to be dropped is counted and said.
public struct Journal: Sendable {
  struct Line: Sendable {
    var priority: LogPriority
    var text: String
    var fields: [(name: String, value: String)]
    var wallMilliseconds: Int64
  }

  /// Lines that may wait. Each is a few hundred bytes.
  private static let capacity = 8192

  private let mailbox: Mailbox<Line>

  /// Sends all of swift-log to the journal or to stderr from now on. Called once, at the start of a program.
  ///
  /// - Parameters:
  ///   - program: SYSLOG_IDENTIFIER of its lines.
  ///   - always: fields that each of its lines has in the journal, by names that are ready for it; a line's own
  ///     field of the same name stands in place of it.
  public static func start(program: String, always: [(name: String, value: String)] = []) throws(SystemError) -> Journal
  {
    let mailbox = Mailbox<Line>(capacity: capacity)
    let toJournal = isConnectedToJournal
    try BackgroundThread.start {
      while let (lines, dropped) = mailbox.takeAll() {
        for var line in lines + (dropped > 0 ? [droppedLine(dropped)] : []) {
          guard toJournal else {
            print(line, program: program)
            continue
          }
          line.fields += always.filter { field in !line.fields.contains { $0.name == field.name } }
          send(line, program: program)
        }
      }
    }
    let journal = Journal(mailbox: mailbox)
    LoggingSystem.bootstrap { label in JournalHandler(label: label, journal: journal) }
    return journal
  }

  func put(_ line: Line) { mailbox.put(line) }

  /// Waits until everything that was logged is written, for a second at most. For the end of a program.
  public func flush() { mailbox.waitUntilIdle(milliseconds: 1000) }

  /// Says critically, on stderr, why a program that has just begun ends at once.
  ///
  /// journald looks up which unit a message's sender belongs to when it reads the message, and for a process that is gone
  /// it finds none: `journalctl -u` would not show the line. stderr is the unit's own stream, where "<2>" is the
  /// priority (sd-daemon(3)).
  public static func lastWords(_ text: String) {
    Terminal.complain(isConnectedToJournal ? "<\(LogPriority.critical.rawValue)>\(text)" : text)
  }

  private static func droppedLine(_ count: Int) -> Line {
    Line(
      priority: .warning,
      text: "\(count) log lines were dropped: the journal did not take them as fast as they came",
      fields: [("MESSAGE_ID", JournalEvent.entriesDropped.rawValue)], wallMilliseconds: Clock.wallMilliseconds)
  }

  /// Whether stderr is the journal's stream, which systemd says by its device and inode (systemd.exec(5),
  /// JOURNAL_STREAM).
  private static var isConnectedToJournal: Bool {
    var status = stat()
    guard fstat(STDERR_FILENO, &status) == 0, let stream = ProcessTable.environment["JOURNAL_STREAM"] else {
      return false
    }
    return stream == "\(status.st_dev):\(status.st_ino)"
  }

  private static func send(_ line: Line, program: String) {
    var fields = [
      Array("MESSAGE=\(line.text)".utf8), Array("PRIORITY=\(line.priority.rawValue)".utf8),
      Array("SYSLOG_IDENTIFIER=\(program)".utf8),
    ]
    for (name, value) in line.fields { fields.append(Array("\(name)=\(value)".utf8)) }
    // One flat copy, so that the pointers below stay valid together.
    var flat = fields.flatMap(\.self)
    flat.withUnsafeMutableBytes { bytes in
      var offset = 0
      let vectors = fields.map { field in
        defer { offset += field.count }
        return iovec(iov_base: bytes.baseAddress.map { $0 + offset }, iov_len: field.count)
      }
      _ = sd_journal_sendv(vectors, Int32(vectors.count))
    }
  }

  private static func print(_ line: Line, program: String) {
    var text = "\(clockText(line.wallMilliseconds)) \(line.priority.label) \(program): \(Terminal.printable(line.text))"
    let shown = line.fields.filter { $0.name != "MESSAGE_ID" }
    if !shown.isEmpty { text += " [" + shown.map { "\($0.name)=\($0.value)" }.joined(separator: " ") + "]" }
    text += "\n"
    let bytes = Array(text.utf8)
    // stderr that cannot be written leaves nowhere to say so.
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }

  private static func clockText(_ milliseconds: Int64) -> String {
    var seconds = time_t(milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    var buffer = [CChar](repeating: 0, count: 32)
    let length = strftime(&buffer, buffer.count, "%H:%M:%S", &parts)
    let text = String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fraction = String(milliseconds % 1000)
    return text + "." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }
}

extension LogPriority {
  var label: String {
    switch self {
    case .critical: "critical"
    case .error: "error   "
    case .warning: "warning "
    case .notice: "notice  "
    case .info: "info    "
    case .debug: "debug   "
    }
  }
}

import Decisions
import Logging
import Messages
import Platform

/// swift-log's way into the journal: metadata become fields of the entry, under their own names in upper case.
struct JournalHandler: LogHandler {
  private let journal: Journal
  private let label: String
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info

  init(label: String, journal: Journal) {
    self.label = label
    self.journal = journal
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let fields = all.sorted { $0.key < $1.key }.map { (name: Self.fieldName($0.key), value: "\($0.value)") }
    journal.put(
      Journal.Line(
        priority: LogPriority(event.level), text: "\(event.message)", fields: fields,
        wallMilliseconds: Clock.wallMilliseconds))
  }

  /// The journal takes upper-case letters, digits and underscores (systemd.journal-fields(7)).
  private static func fieldName(_ key: String) -> String {
    // Nearly all of them are such names already.
    if key.utf8.allSatisfy({ (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }) { return key }
    return String(key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }
}

extension LogPriority {
  init(_ level: Logger.Level) {
    switch level {
    case .trace, .debug: self = .debug
    case .info: self = .info
    case .notice: self = .notice
    case .warning: self = .warning
    case .error: self = .error
    case .critical: self = .critical
    }
  }
}

extension Logger {
  /// Writes a line that a decision asked for, with the fields that scripts rely on (DESIGN.md, What users touch).
  ///
  /// A warning, or what is worse, is read among other jobs' lines, so that its text names its job too.
  public func log(_ entry: LogEntry) {
    let level: Logger.Level =
      switch entry.priority {
      case .debug: .debug
      case .info: .info
      case .notice: .notice
      case .warning: .warning
      case .error: .error
      case .critical: .critical
      }
    var metadata: Logger.Metadata = ["MESSAGE_ID": "\(entry.event.rawValue)"]
    if let job = entry.job { metadata["JOB_UUID"] = "\(job)" }
    if let child = entry.child { metadata["CHILD"] = "\(child.name)" }
    if let pid = entry.pid { metadata["CHILD_PID"] = "\(pid)" }
    if let generation = entry.generation { metadata["GENERATION"] = "\(generation)" }
    let isWarning = entry.priority.rawValue <= LogPriority.warning.rawValue
    let text = entry.job.flatMap { isWarning ? "job \($0): \(entry.text)" : nil } ?? entry.text
    log(level: level, "\(text)", metadata: metadata)
  }
}

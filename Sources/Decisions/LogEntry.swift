import Messages

/// One line for the journal, as a decision asks for it. Whoever carries it out adds the program's own fields.
public struct LogEntry: Sendable, Hashable {
  public var priority: LogPriority
  public var event: JournalEvent
  public var text: String
  public var job: JobID?
  public var child: ChildKey?
  public var pid: Int32?
  public var generation: Generation?

  public init(
    _ priority: LogPriority, _ event: JournalEvent, _ text: String, job: JobID? = nil,
    child: ChildKey? = nil, pid: Int32? = nil, generation: Generation? = nil
  ) {
    self.priority = priority
    self.event = event
    self.text = text
    self.job = job ?? child?.job
    self.child = child
    self.pid = pid
    self.generation = generation
  }
}

/// The kinds of events that reach the journal. The raw value is the MESSAGE_ID under which
/// `journalctl MESSAGE_ID=` finds them and the catalog explains them (systemd.journal-fields(7)); it never changes.
public enum JournalEvent: String, Sendable, Hashable, CaseIterable {
  case serviceReady = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a01"
  case serviceStopping = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a02"
  case serviceStopped = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a03"
  case childStarted = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a04"
  case childReady = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a05"
  case childDied = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a06"
  case childHung = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a07"
  case childEnded = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a08"
  case badMessage = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a09"
  case configurationWrong = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0a"
  case jobReceived = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0b"
  case jobRefused = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0c"
  case jobDispatched = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0d"
  case commandExited = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0e"
  case commandStopped = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a0f"
  case commandOutput = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a10"
  case updateStored = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a11"
  case updateDelivered = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a13"
  case updateRetried = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a14"
  case updateDead = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a15"
  case jobEnded = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a16"
  case jobClosed = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a17"
  case connectionReady = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a18"
  case connectionLost = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a19"
  case authenticationRefused = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1a"
  case facilitatorMessageIgnored = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1b"
  case signaturesNotVerified = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1c"
  case storeFailed = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1d"
  case listenerMessage = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1e"
  case cheatReported = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a1f"
  case entriesDropped = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a20"
  case recordFull = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a21"
  case serviceDraining = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a22"
  case serviceReloaded = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a23"
  case reloadRefused = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a24"
  case serviceDegraded = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a25"
  case figuresServed = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a26"
  case dispatchDelayed = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a27"
  case resultsUnread = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a28"
  case hookDelayed = "6d1f0c5e0a3b4a0f9b6a1c1f6b1d9a29"
}

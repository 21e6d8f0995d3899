import Decisions
import Facilitator
import JSON
import Messages
import StatusUpdates
import Store

/// Uplink without its sockets: what its Listeners send is decided, stored, acknowledged, sent, answered and retired as its
/// loop and its thread do it, those of a batch together.
final class UplinkRig {
  enum Part {
    /// What is decided, and nothing of what comes of it.
    case decisions
    case everything
  }

  private let part: Part
  private let storage: StoreRig?
  private var core: UplinkCore
  private var assemblers: [FrameAssembler] = []
  private let frames = Sample.statuses.indices.map(Sample.listenerFrames)
  private let messages: [ListenerToUplink]
  private var now = Moment(boot: Instant(nanoseconds: 1_000_000_000), wall: StoreRig.now)
  private var connection: UInt64 = 0

  init(_ part: Part) throws {
    self.part = part
    storage = part == .everything ? try StoreRig(filled: false) : nil
    let start = now
    let deadline = Deadline(boot: start.boot + .seconds(3600), bootID: "b", wall: start.wall)
    let jobs = (0..<Sample.jobs).map {
      StoredJob(
        job: Sample.job($0), receivedAt: start.wall, phase: .dispatching, statuses: [.received], limitSeconds: 60,
        deadline: deadline, command: nil, exitStored: false, signatureHash: nil)
    }
    core = UplinkCore(
      settings: UplinkSettings(
        stateDirectory: "", secure: false, host: "", port: 0, path: "", hotkeyFile: "", trustedSigners: []),
      stored: StoredState(jobs: jobs, nextUpdate: UpdateID(1), queued: 0, dead: 0), bootID: "b", seed: 1, at: start)
    messages = Sample.statuses.enumerated().map {
      .update(SequenceNumber(UInt64($0 + 1)), $1, metadata: Sample.metadata($1))
    }
    for _ in 0..<Sample.jobs { assemblers.append(FrameAssembler(limit: 1 << 20)) }
    try carryOut(core.start(at: now))
    try turn([.timeReached])
    guard connection > 0 else { throw PathError("Uplink does not connect") }
    try turn([.opened(connection: connection)])
    try turn([.answered(.success, connection: connection)])
    try turn((0..<Sample.jobs).map { .fromListener(Self.listener($0), .hello(Sample.job($0)), Generation(1)) })
  }

  /// Takes a batch all the way. Throws if it has not come there.
  func run(_ batch: Int) throws {
    let sentBefore = sent
    let updates = Sample.updates(batch)
    switch part {
    case .decisions:
      let message = messages[batch % messages.count]
      try turn(updates.map { .fromListener(Self.listener($0.job), message, Generation(1)) })
    case .everything:
      var events: [UplinkCore.Event] = []
      for (update, frame) in zip(updates, frames[batch % frames.count]) {
        assemblers[update.job].append(frame)
        while let body = try assemblers[update.job].next() {
          let (message, generation) = try ListenerToUplink.read(body)
          if case .update(_, _, let metadata?) = message, !JSONText.isObject(metadata) {
            throw PathError("metadata is not an object")
          }
          events.append(.fromListener(Self.listener(update.job), message, generation))
        }
      }
      try turn(events)
    }
    guard sent - sentBefore == Sample.batch else {
      throw PathError("\(sent - sentBefore) updates of a batch were sent")
    }
  }

  private static func listener(_ number: Int) -> ConnectionID { ConnectionID(UInt64(number + 1)) }

  static func takeAnswer() throws {
    guard case .response(let response) = FacilitatorMessage.classify(answer), response.status == .success else {
      throw PathError("an answer is not understood")
    }
  }

  private static let answer = Array(#"{"status":"success","errors":[]}"#.utf8)

  // MARK: The loop

  private var commits: [([StoreOperation], UplinkCore.AfterCommit)] = []
  private var loads = 0
  private var answers = 0
  private var sent = 0

  /// Hands over these events, and what comes of them, until nothing does any more.
  private func turn(_ first: [UplinkCore.Event]) throws {
    var events = first
    while !events.isEmpty {
      now.boot = now.boot + .milliseconds(1)
      try carryOut(core.handle(events, at: now))
      events = try outcomes()
    }
  }

  private func carryOut(_ actions: [UplinkCore.Action]) throws {
    for action in actions {
      switch action {
      case .commit(let operations, let what): commits.append((operations, what))
      case .load: loads += 1
      case .connect(let number): connection = number
      case .send(let job, let status, let metadata):
        sent += 1
        answers += 1
        if part == .everything {
          let text = StatusUpdateFrame.encode(job: job, status: status, metadataJSON: metadata)
          guard text.count > 64 else { throw PathError("an update is empty") }
        }
      case .toListener(_, let message):
        if part == .everything {
          guard message.frame(generation: Generation(1)).count > 4 else { throw PathError("a message is empty") }
        }
      case .toSupervisor, .log, .authenticate, .heartbeat, .ping: break
      default: throw PathError("Uplink does what it has no reason for here: \(action)")
      }
    }
  }

  private func outcomes() throws -> [UplinkCore.Event] {
    var events: [UplinkCore.Event] = []
    for _ in 0..<loads { events.append(.loaded([], more: false)) }
    loads = 0
    if !commits.isEmpty {
      try storage?.transact(commits.flatMap(\.0))
      for (_, what) in commits { events.append(.committed(what)) }
      commits.removeAll(keepingCapacity: true)
    }
    for _ in 0..<answers {
      if part == .everything { try Self.takeAnswer() }
      events.append(.answered(.success, connection: connection))
    }
    answers = 0
    return events
  }
}

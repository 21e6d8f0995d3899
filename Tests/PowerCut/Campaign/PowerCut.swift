import Decisions
import Foundation
import MessagePack
import Messages
import Platform
import Rehearsal
import WorkerClient

/// The real service, whose Uplink is recorded and hurt, and then every power cut that could have hit it.
public enum PowerCut {
  public struct Counts: CustomStringConvertible, Sendable {
    public var runs = 0
    public var acknowledged = 0
    public var kills = 0
    public var failedSyncs = 0
    public var states = 0
    /// States in which something acknowledged is missing, or that cannot be opened.
    public var lost = 0
    public var findings: [String] = []

    public var description: String {
      "\(runs) runs, \(acknowledged) updates acknowledged, \(kills) kills, \(failedSyncs) failed syncs; "
        + "\(states) disk states, \(lost) with something lost"
    }
  }

  /// The names of the failpoint with which a record's log counts without a sync, for a test of this test.
  public static let withoutSync = "store.open_without_sync"
  private static let script: [JobStatus] = [
    .accepted, .executorReady, .streamingReady, .volumesReady, .executionDone, .completed,
  ]
  private static let jobs = 4
  /// More of them, and the Supervisor's backoff takes most of the time.
  private static let faults = 5

  /// Runs the service anew and anew until that many disk states were opened.
  ///
  /// - Parameters:
  ///   - states: how many different ones.
  ///   - statesOfRun: how many of one run.
  ///   - programs: the folder of the programs, a debug build.
  ///   - failpoint: is there throughout.
  ///   - progress: is told the counts so far.
  public static func run(
    states: Int, statesOfRun: Int = 1000, programs: String, seed: UInt64, failpoint: String? = nil,
    progress: (Counts) -> Void = { _ in }
  ) throws -> Counts {
    var dice = Dice(seed: seed)
    var counts = Counts()
    let folder = try Rehearsal.makeFolder("power-cut-")
    defer { Rehearsal.removeTree(folder) }
    // In memory where that can be had: nothing of a state is to survive.
    let layout = try Rehearsal.makeFolder("power-cut-", in: access("/dev/shm", W_OK) == 0 ? "/dev/shm" : folder)
    defer { Rehearsal.removeTree(layout) }
    let recorder = try buildRecorder(in: folder)
    while counts.states < states {
      let path = "\(folder)/recording\(counts.runs)"
      try record(path, recorder, programs, failpoint, &dice, &counts)
      let recording = try Recording(path)
      try Files.remove(path)
      var replay = Replay(in: layout, seed: dice.next())
      try replay.run(recording, states: min(statesOfRun, states - counts.states))
      guard replay.states > 0 else { throw RehearsalError("nothing was recorded: is this a debug build?") }
      counts.runs += 1
      counts.states += replay.states
      counts.lost += replay.lost
      counts.findings += replay.findings.map { "run \(counts.runs): \($0)" }
      for entry in recording.entries { if case .syncFailed = entry { counts.failedSyncs += 1 } }
      progress(counts)
    }
    return counts
  }

  private static func buildRecorder(in folder: String) throws -> String {
    let source = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../Recorder/recorder.c").standardizedFileURL.path
    let library = folder + "/recorder.so"
    let compiler = "/usr/bin/cc"
    let request = SpawnRequest(
      executable: compiler,
      arguments: [
        compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, source,
      ], environment: ["PATH=/usr/local/bin:/usr/bin:/bin"])
    let ending = try RunningProcess(pid: try request.spawn()).wait(milliseconds: 60_000)
    guard ending?.code == 0 else { throw RehearsalError("\(compiler) does not compile \(source)") }
    return library
  }

  /// One run of the service: jobs, their updates, and faults between them.
  private static func record(
    _ path: String, _ recorder: String, _ programs: String, _ failpoint: String?, _ dice: inout Dice,
    _ counts: inout Counts
  ) throws {
    var settings = Rehearsal.Settings(programs: programs, command: ["/bin/true"])
    settings.commandIsLauncher = true
    settings.failpoints = true
    settings.environment = ["LD_PRELOAD=\(recorder)", "HORDELINK_RECORDER=\(path)"]
    settings.more["stop"] = "drain_seconds = 0"
    let rehearsal = try Rehearsal(settings)
    defer { rehearsal.tearDown() }
    do {
      if let failpoint { try Rehearsal.write([], to: "\(rehearsal.folder)/failpoints/\(failpoint)", mode: 0o600) }
      // In some runs the first record is made under faults too.
      if Int.random(in: 0..<3, using: &dice) == 0 { try hurt(path, &dice) }
      try rehearsal.startSupervisor()
      try rehearsal.waitUntilConnected()
      let jobs = try (0..<jobs).map { _ in try start(rehearsal, &dice, path, &counts) }
      // Nothing is committed behind an acknowledgement while nobody accepts it.
      if Bool.random(using: &dice) { try rehearsal.facilitator.tell([("command", .string("down"))]) }
      let workers = jobs.map {
        WorkerClient(socketPath: rehearsal.workerSocket($0), job: $0, patienceMilliseconds: 90_000)
      }
      var left = faults
      for status in script {
        for (job, worker) in zip(jobs, workers) {
          if left > 0, Int.random(in: 0..<4, using: &dice) == 0 {
            left -= 1
            try hurt(path, &dice)
          }
          let answer = try worker.send(status, metadata: metadata(&dice))
          guard answer == .stored else { throw RehearsalError("\(job) \(status.name) is answered \(answer)") }
          try Recording.mark("\(job) \(status.name)", in: path)
          counts.acknowledged += 1
        }
      }
      try rehearsal.stopSupervisor()
      counts.kills += rehearsal.log.ranges(of: "uplink was ended by signal 9").count
    } catch {
      throw RehearsalError("\(error)\nthe log of the programs:\n\(rehearsal.log.suffix(20_000))")
    }
  }

  /// Asks for a fault at one of the next steps.
  private static func hurt(_ path: String, _ dice: inout Dice) throws {
    let (letter, most) = [("k", 3), ("k", 1), ("e", 3), ("e", 1), ("w", 12)].randomElement(using: &dice) ?? ("k", 1)
    let text = "\(letter) \(Int.random(in: 1...most, using: &dice))"
    try Rehearsal.write(Array(text.utf8), to: path + ".fault", mode: 0o600)
  }

  private static func start(
    _ rehearsal: Rehearsal, _ dice: inout Dice, _ path: String, _ counts: inout Counts
  ) throws -> JobID {
    // Version 4 (RFC 9562, section 5.4).
    let job = JobID(high: dice.next() & ~0xf000 | 0x4000, low: dice.next() & (1 << 62 - 1) | 1 << 63)
    while rehearsal.facilitator.accepted(job).isEmpty {
      let from = rehearsal.facilitator.events.count
      // A request may have been lost with its connection; one that is known starts nothing twice.
      try rehearsal.facilitator.sendJob(job)
      guard
        try rehearsal.facilitator.wait(
          from: from, milliseconds: 30_000, for: { $0.name == "accepted" || $0.name == "authenticated" }) != nil
      else { throw RehearsalError("\(job) is not received") }
    }
    try Recording.mark("\(job) received", in: path)
    counts.acknowledged += 1
    _ = try rehearsal.readyChild("listener", job: job, milliseconds: 60_000)
    return job
  }

  /// Mostly little; sometimes so much that the log is soon long enough to be moved into the database.
  private static func metadata(_ dice: inout Dice) -> MessagePackValue? {
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: nil
    case 1:
      .map([
        MessagePackPair(
          .string("comment"), .string(String(repeating: "x", count: .random(in: 100_000...400_000, using: &dice))))
      ])
    default: .map([MessagePackPair(.string("comment"), .string("so far so good"))])
    }
  }
}

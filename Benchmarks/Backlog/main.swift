// What a long backlog costs: the start, an update stored behind it, and memory. A facilitator that was away
// for days leaves one.
//
//   hordelink-bench-backlog [UPDATES]        default one million

import Decisions
import Glibc
import Messages
import Platform
import Rehearsal
import Store

let updates = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
let programs = try ProcessTable.ownFolder()

/// Four updates a job, each with as much metadata as the original's telemetry has.
let statuses: [JobStatus] = [.received, .accepted, .executorReady, .completed]
let metadata = Array((#"{"comment":""# + String(repeating: "x", count: 200) + #""}"#).utf8)

func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

func commit(_ operations: [StoreOperation], in store: Store) throws(StoreError) {
  try store.transaction { () throws(StoreError) in
    for operation in operations { try store.carryOut(operation) }
  }
}

let now = WallTime(milliseconds: Clock.wallMilliseconds)
/// Before anything that a start would still hold in memory.
let earlier = now - .seconds(3600)

func newJob(_ id: JobID) -> StoreOperation {
  .insertJob(NewJob(job: id, receivedAt: earlier, body: metadata, signatureHash: Array("\(id)".utf8), limitSeconds: 60))
}

func fill(_ store: Store) throws {
  var id: Int64 = 0
  var operations: [StoreOperation] = []
  for number in 1...max(1, updates / statuses.count) {
    operations.append(newJob(job(number)))
    for status in statuses {
      id += 1
      operations.append(
        .insertUpdate(
          OutboxEntry(id: UpdateID(id), job: job(number), status: status, metadata: metadata, storedAt: earlier)))
    }
    operations.append(.end(job(number), at: earlier))
    if operations.count > 10_000 {
      try commit(operations, in: store)
      operations = []
    }
  }
  try commit(operations, in: store)
}

/// Nanoseconds that one commit of one update takes.
func store(_ number: Int, in store: Store) throws -> Int64 {
  let status = statuses[number % statuses.count]
  let id = job(1 << 40 | number / statuses.count)
  if status == statuses[0] { try commit([newJob(id)], in: store) }
  let entry = OutboxEntry(
    id: UpdateID(1 << 40 | Int64(number)), job: id, status: status, metadata: metadata, storedAt: now)
  let start = Clock.bootNanoseconds
  try commit([.insertUpdate(entry)], in: store)
  return Clock.bootNanoseconds - start
}

func median(_ values: [Int64]) -> Int64 { values.sorted()[values.count / 2] }

/// A line of /proc/PID/status, in MiB.
func memory(_ pid: Int, _ name: String) throws -> Double {
  let text = String(decoding: try Files.read("/proc/\(pid)/status", limit: 65_536), as: UTF8.self)
  let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
  return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0) / 1024
}

/// Starts the service on the record that is there, three times; returns the median of the milliseconds to Uplink's
/// Ready, and the last Uplink.
func start(_ rehearsal: Rehearsal) throws -> (milliseconds: Int64, uplink: ChildReport) {
  // What was written before is not the start's to wait for.
  sync()
  var times: [Int64] = []
  while true {
    let begin = Clock.bootNanoseconds
    try rehearsal.startSupervisor()
    let uplink = try rehearsal.readyChild("uplink", milliseconds: 120_000)
    times.append((Clock.bootNanoseconds - begin) / 1_000_000)
    if times.count == 3 { return (median(times), uplink) }
    try rehearsal.stopSupervisor()
  }
}

func rehearsal(away: Bool) throws -> Rehearsal {
  var settings = Rehearsal.Settings(programs: programs, command: ["/bin/true"])
  // Nobody listens there.
  if away { settings.url = { _ in "ws://127.0.0.1:1/" } }
  // It knows none of the jobs. This answer means that it has the update already.
  settings.facilitatorArguments = ["--answer-error", "job.integrity_error:1000000000"]
  settings.more["stop"] = "drain_seconds = 0"
  settings.more["outbox"] = "max_rows = 100_000_000"
  let rehearsal = try Rehearsal(settings)
  guard mkdir(rehearsal.stateDirectory, 0o700) == 0 else { throw SystemError("mkdir", rehearsal.stateDirectory) }
  return rehearsal
}

let empty = try rehearsal(away: true)
let full = try rehearsal(away: true)
let draining = try rehearsal(away: false)
defer { for rehearsal in [empty, full, draining] { rehearsal.tearDown() } }

do {
  print("\(updates) updates are written to the record …")
  let small = try Store(file: empty.stateDirectory + "/hordelink.db")
  let large = try Store(file: full.stateDirectory + "/hordelink.db")
  try fill(large)
  try Backup.write(of: full.stateDirectory + "/hordelink.db", to: draining.stateDirectory + "/hordelink.db")
  // One after the other, so that both have the same disk.
  var costs: (small: [Int64], large: [Int64]) = ([], [])
  for number in 0..<2000 {
    costs.small.append(try store(number, in: small))
    costs.large.append(try store(number, in: large))
  }
  let (few, many) = (median(costs.small), median(costs.large))
  print("storing one      \(few / 1000) µs in an empty record, \(many / 1000) µs behind the backlog (medians of 2000)")
  print("                 ratio \(Double(many * 100 / max(1, few)) / 100) (at most 1.3)")
}

let (nothing, _) = try start(empty)
let (milliseconds, uplink) = try start(full)
print("start to Ready   \(nothing) ms with an empty record, \(milliseconds) ms with the backlog (under 2000)")
print("memory, idle     \(try memory(uplink.pid, "VmHWM")) MiB at most since the start (under 100)")

let (_, sending) = try start(draining)
try draining.waitUntilConnected()
let until = Clock.bootNanoseconds + 10_000_000_000
while Clock.bootNanoseconds < until { try draining.facilitator.read(milliseconds: 100) }
let delivered = try draining.report()?.uplink?.state.delivered ?? 0
print("while it drains  \(try memory(sending.pid, "VmHWM")) MiB at most, \(delivered / 10) updates a second")

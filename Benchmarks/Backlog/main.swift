// What a long backlog costs: the start, an update stored behind it, and memory. A facilitator that was away
// for days leaves one.
//
//   hordelink-bench-backlog [UPDATES]        default one million

import Decisions
import Glibc
import JSON
import Measurements
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

let now = WallTime(milliseconds: Clock.wallMilliseconds)
func fill(_ record: FilledRecord, _ updates: Int) throws {
  for number in 1...max(1, updates / statuses.count) { try record.add(job(number), statuses) }
  try record.commit()
}

/// Nanoseconds that one commit of one update takes.
func store(_ number: Int, in record: FilledRecord) throws -> Int64 {
  let status = statuses[number % statuses.count]
  let id = job(1 << 40 | number / statuses.count)
  if status == statuses[0] {
    try record.add(id, [])
    try record.commit()
  }
  let entry = OutboxEntry(
    id: UpdateID(1 << 40 | Int64(number)), job: id, status: status, metadata: metadata, storedAt: now)
  let start = Clock.bootNanoseconds
  try record.store.transaction { () throws(StoreError) in try record.store.carryOut(.insertUpdate(entry)) }
  return Clock.bootNanoseconds - start
}

func median(_ values: [Int64]) -> Int64 { values.sorted()[values.count / 2] }

/// A line of /proc/PID/status, in MiB.
func memory(_ pid: Int, _ name: String) throws -> Double {
  let text = String(decoding: try Files.read("/proc/\(pid)/status", limit: 65_536), as: UTF8.self)
  let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
  return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0) / 1024
}

/// Starts the service on the record that is there, five times; returns the milliseconds to Uplink's Ready, and the last
/// Uplink.
func start(_ rehearsal: Rehearsal) throws -> (milliseconds: [Int64], uplink: ChildReport) {
  // What was written before is not the start's to wait for.
  sync()
  var times: [Int64] = []
  while true {
    let begin = Clock.bootNanoseconds
    try rehearsal.startSupervisor()
    let uplink = try rehearsal.readyChild("uplink", milliseconds: 120_000)
    times.append((Clock.bootNanoseconds - begin) / 1_000_000)
    if times.count == 5 { return (times, uplink) }
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

/// What the figures are told apart by.
let backlogs = [0, updates / 10, updates]
let away = try backlogs.map { _ in try rehearsal(away: true) }
let draining = try rehearsal(away: false)
defer { for rehearsal in away + [draining] { rehearsal.tearDown() } }

func report(_ name: String, _ unit: String, backlog: Int, _ values: [Double]) {
  Figure("start", "hordelink", [JSONMember("backlog", .integer(backlog))], name, unit, values).print()
}

do {
  print("\(updates) updates are written to the record …")
  let records = try away.map { try FilledRecord(in: $0.stateDirectory, metadata: metadata) }
  for (record, backlog) in zip(records, backlogs) where backlog > 0 { try fill(record, backlog) }
  try Backup.write(
    of: away[backlogs.count - 1].stateDirectory + "/hordelink.db", to: draining.stateDirectory + "/hordelink.db")
  // One after the other, so that all have the same disk.
  var costs: [[Int64]] = backlogs.map { _ in [] }
  for number in 0..<2000 {
    for (index, record) in records.enumerated() { costs[index].append(try store(number, in: record)) }
  }
  let (few, many) = (median(costs[0]), median(costs[backlogs.count - 1]))
  print("storing one      \(few / 1000) µs in an empty record, \(many / 1000) µs behind the backlog (medians of 2000)")
  print("                 ratio \(Double(many * 100 / max(1, few)) / 100) (at most 1.3)")
  for (backlog, values) in zip(backlogs, costs) {
    report("storing one", "µs", backlog: backlog, values.map { Double($0) / 1000 })
  }
}

var starts: [Int64] = []
var idle = 0.0
for (rehearsal, backlog) in zip(away, backlogs) {
  let (times, uplink) = try start(rehearsal)
  starts.append(median(times))
  report("start to Ready", "ms", backlog: backlog, times.map { Double($0) })
  idle = try memory(uplink.pid, "VmHWM")
}
print(
  "start to Ready   \(starts[0]) ms with an empty record, \(starts[backlogs.count - 1]) ms with the backlog (under 2000)"
)
print("memory, idle     \(idle) MiB at most since the start (under 100)")

let (_, sending) = try start(draining)
try draining.waitUntilConnected()
let until = Clock.bootNanoseconds + 10_000_000_000
while Clock.bootNanoseconds < until { try draining.facilitator.read(milliseconds: 100) }
let delivered = try draining.report()?.uplink?.state.delivered ?? 0
print("while it drains  \(try memory(sending.pid, "VmHWM")) MiB at most, \(delivered / 10) updates a second")

// How long a Listener takes to be ready, how long workers wait when a process of the service is killed, and how often an
// idle service wakes up: sentences for people, and a line of JSON for each figure.
//
//   hordelink-bench-restart [IDLE SECONDS]        default 60

import Glibc
import Measurements
import Messages
import Platform
import Rehearsal
import WorkerClient

let idleSeconds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 60
let programs = try ProcessTable.ownFolder()

func launcher() throws -> Rehearsal {
  var settings = Rehearsal.Settings(programs: programs, command: ["/bin/true"])
  settings.commandIsLauncher = true
  return try Rehearsal(settings)
}

func milliseconds(since start: Int64) -> Double { Double(Clock.bootNanoseconds - start) / 1_000_000 }

/// Median, ninth decile and maximum, in milliseconds.
func figures(_ values: [Double]) -> String {
  let sorted = values.sorted()
  func text(_ value: Double) -> String { "\(Double(Int(value * 100)) / 100)" }
  return "median \(text(sorted[sorted.count / 2])) ms, nine in ten within \(text(sorted[sorted.count * 9 / 10])) ms, "
    + "longest \(text(sorted[sorted.count - 1])) ms, of \(sorted.count)"
}

/// Kills a process and waits until it is gone.
func kill(_ pid: pid_t) throws {
  let watched = try ProcessTable.watch(pid)
  ProcessTable.signal(pid, SIGKILL)
  _ = try Waiting.readable([watched], milliseconds: 10_000)
}

func startJob(_ rehearsal: Rehearsal, _ number: UInt64) throws -> (worker: WorkerClient, job: JobID) {
  let job = JobID(high: 0x4000, low: 0x8000 << 48 | number)
  try rehearsal.facilitator.sendJob(job, limits: [600, 600, 600, 600])
  _ = try rehearsal.readyChild("listener", job: job)
  let worker = WorkerClient(socketPath: rehearsal.workerSocket(job), job: job)
  _ = try worker.send(.accepted)
  return (worker, job)
}

/// What a worker waits that reports at the moment at which the child is gone, from its kill on.
func wait(_ rehearsal: Rehearsal, _ child: String, _ number: UInt64) throws -> Double {
  let (connected, job) = try startJob(rehearsal, number)
  let report = try rehearsal.readyChild(child, job: child == "listener" ? job : nil)
  // A Listener that is gone has taken its workers' connections with it.
  let worker =
    child == "listener" ? WorkerClient(socketPath: rehearsal.workerSocket(job), job: job) : connected
  // A Listener waits 50 ms before it connects again if its connection to Uplink has not lived for a second: this is to be
  // a connection as they are.
  if child == "uplink" { usleep(1_100_000) }
  let start = Clock.bootNanoseconds
  try kill(pid_t(report.pid))
  let answer = try worker.send(.executorReady)
  let time = milliseconds(since: start)
  guard answer == .stored else { throw RehearsalError("answered \(answer)") }
  return time
}

/// What it costs to start any process at all and to see its end.
func spawnTrue() throws -> Double {
  let start = Clock.bootNanoseconds
  let process = try RunningProcess(
    pid: try SpawnRequest(executable: "/bin/true", arguments: ["/bin/true"], environment: []).spawn())
  _ = try process.wait(milliseconds: 10_000)
  return milliseconds(since: start)
}

/// Times so far that the process's threads have waited for something and been woken (proc(5), voluntary_ctxt_switches).
func wakeUps(_ pid: pid_t) throws -> Int {
  try Files.names(in: "/proc/\(pid)/task").reduce(0) { sum, thread in
    let status = try Files.read("/proc/\(pid)/task/\(thread)/status", limit: 65_536)
    let text = String(decoding: status, as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
    return sum + (line?.split(separator: "\t").last.flatMap { Int($0) } ?? 0)
  }
}

func measureIdle() throws {
  let rehearsal = try launcher()
  defer { rehearsal.tearDown() }
  try rehearsal.startSupervisor()
  try rehearsal.waitUntilConnected()
  var processes = [("supervisor", rehearsal.supervisor?.pid ?? 0)]
  for name in ["uplink", "specs-listener"] { processes.append((name, pid_t(try rehearsal.readyChild(name).pid))) }
  // What a start brings with it is over once nothing has been asked for a while.
  sleep(2)
  let before = try processes.map { try wakeUps($0.1) }
  sleep(UInt32(idleSeconds))
  let after = try processes.map { try wakeUps($0.1) }
  let counts = zip(before, after).map { $1 - $0 }
  let perSecond = Double(counts.reduce(0, +)) / Double(idleSeconds)
  let named = zip(processes, counts).map { "\($0.0) \($1)" }.joined(separator: ", ")
  print("idle and connected for \(idleSeconds) s: \(named) wake-ups, \(Double(Int(perSecond * 100)) / 100) a second")
}

func report(_ what: String, _ name: String, _ values: [Double]) {
  print("\(what): \(figures(values))")
  Figure("restart", "hordelink", [], name, "ms", values).print()
}

/// From the death of a child to its successor's being ready.
func ready(_ rehearsal: Rehearsal, _ child: String, job: JobID? = nil) throws -> Double {
  let before = try rehearsal.readyChild(child, job: job)
  // Its connections are to be such as have lived for a while.
  usleep(1_100_000)
  let start = Clock.bootNanoseconds
  try kill(pid_t(before.pid))
  _ = try rehearsal.readyChild(child, job: job, after: before.generation)
  return milliseconds(since: start)
}

let floor = try (0..<100).map { _ in try spawnTrue() }
print("to start /bin/true and see its end: \(figures(floor))")

do {
  let start = try ListenerStart(programs: programs)
  defer { start.tearDown() }
  var times: [Double] = []
  var repetitions = Repetitions(seconds: 5, atLeast: 100)
  while repetitions.next() { times.append(try start.measure()) }
  report("a Listener, from its spawn to its being ready", "Listener, spawn to Ready", times)
}

do {
  let rehearsal = try launcher()
  defer { rehearsal.tearDown() }
  try rehearsal.startSupervisor()
  try rehearsal.waitUntilConnected()
  let times = try (0..<100).map { try wait(rehearsal, "listener", UInt64($0)) }
  report(
    "kill -9 of a Listener, to its successor's first acknowledgement", "Listener, kill -9 to an acknowledgement", times)
}

// Further deaths within a minute back off, so each is the first of its service.
let times = try (0..<20).map { number in
  let rehearsal = try launcher()
  defer { rehearsal.tearDown() }
  try rehearsal.startSupervisor()
  try rehearsal.waitUntilConnected()
  return try wait(rehearsal, "uplink", UInt64(number))
}
report("kill -9 of Uplink, to its successor's first acknowledgement", "Uplink, kill -9 to an acknowledgement", times)

var readyTimes: [String: [Double]] = [:]
for number in 0..<10 {
  let rehearsal = try launcher()
  defer { rehearsal.tearDown() }
  try rehearsal.startSupervisor()
  try rehearsal.waitUntilConnected()
  let (_, job) = try startJob(rehearsal, UInt64(number))
  readyTimes["Listener", default: []].append(try ready(rehearsal, "listener", job: job))
  readyTimes["Uplink", default: []].append(try ready(rehearsal, "uplink"))
  // systemd would start it again after RestartSec, which is its own: this starts it at once.
  let start = Clock.bootNanoseconds
  if let supervisor = rehearsal.supervisor { try kill(supervisor.pid) }
  try rehearsal.startSupervisor()
  _ = try rehearsal.readyChild("listener", job: job)
  readyTimes["Supervisor", default: []].append(milliseconds(since: start))
}
for (role, values) in readyTimes.sorted(by: { $0.key < $1.key }) {
  let what = role == "Supervisor" ? "to the readiness of its successor's Listener" : "to its successor's readiness"
  report("kill -9 of the \(role), \(what)", "\(role), kill -9 to Ready", values)
}
try measureIdle()

// hordelink-demo: one job through the whole system, in front of the reader's eyes. Run by `make demo`.

import Glibc
import JSON
import Messages
import Platform
import Rehearsal

func show(_ text: String = "") {
  print(text)
  fflush(nil)
}

/// The processes of the service as a tree.
func showTree(_ rehearsal: Rehearsal) throws {
  guard let supervisor = rehearsal.supervisor, let report = try rehearsal.report() else { return }
  show("  hordelink-supervisor  pid \(supervisor.pid)")
  for child in report.children {
    let what = child.name == "command" ? "command (the job's worker)" : "hordelink-\(child.name)"
    let generation = child.generation > 0 ? ", generation \(child.generation)" : ""
    let job = child.job.map { ", job \($0.description.prefix(8))…" } ?? ""
    show("  └─ \(what)  pid \(child.pid)\(generation)\(job), \(child.state)")
  }
}

func killAndShow(_ rehearsal: Rehearsal, _ name: String, job: JobID? = nil) throws {
  let killed = try rehearsal.kill(name, job: job)
  show("  ✗ kill -9 \(killed.pid)  (\(name), generation \(killed.generation))")
  let successor = try rehearsal.readyChild(name, job: job, after: killed.generation)
  show("  ✓ replaced by pid \(successor.pid), generation \(successor.generation)")
}

/// Runs the job; returns what went wrong, nothing if nothing did.
func rehearse(_ rehearsal: Rehearsal) throws -> [String] {
  guard let job = JobID("5f1d7a52-0c1e-4a6b-9c3d-2f8e4b7a9d10") else { return ["the job's uuid"] }
  try rehearsal.startSupervisor()
  try rehearsal.waitUntilConnected()
  show("hordelink runs and has authenticated to the dev facilitator:")
  try showTree(rehearsal)

  show("\nThe facilitator sends the signed job \(job):")
  let script = "echo hello from the job; uname -s; exit 0"
  try rehearsal.facilitator.sendJob(job, arguments: ["sh", "-c", script])

  let expected: [JobStatus] = [
    .received, .accepted, .executorReady, .volumesReady, .executionDone, .completed,
  ]
  var next = 0
  for status in expected {
    let found = try rehearsal.facilitator.wait(from: next, milliseconds: 20_000) {
      $0.name == "accepted" && $0.text("uuid") == job.description
    }
    guard let found else { return ["\(status.name) did not arrive; the log:\n\(rehearsal.log)"] }
    next = found.index + 1
    show("  → the facilitator accepts \(found.text("status"))")
    switch status {
    case .accepted: try showTree(rehearsal)
    case .executorReady: try killAndShow(rehearsal, "uplink")
    case .volumesReady: try killAndShow(rehearsal, "listener", job: job)
    default: break
    }
  }

  var problems: [String] = []
  let accepted = rehearsal.facilitator.accepted(job)
  if accepted != expected {
    problems.append("accepted in this order: \(accepted.map(\.name).joined(separator: ", "))")
  }
  let last = rehearsal.facilitator.events.last { $0.name == "accepted" }
  let frame = try JSONValue.parse(
    Array((last?.text("frame") ?? "").utf8), limits: JSONLimits(bytes: 1 << 20))
  let output = frame["metadata"]?["miner_response"]?["docker_process_stdout"]?.stringValue
  if output != "hello from the job\nLinux\n" {
    problems.append("the job's output arrived as \(output ?? "nothing")")
  }
  show("\nWith completed came the job's real output: \(String(reflecting: output ?? ""))")

  let ending = try rehearsal.stopSupervisor()
  if ending.code != 0 { problems.append("the service ended with \(ending)") }
  return problems
}

func run() -> Int32 {
  do {
    let programs = try ProcessTable.ownFolder()
    var settings = Rehearsal.Settings(programs: programs, command: [programs + "/hordelink-demo-worker"])
    settings.more["dispatch"] = "pass_environment = [\"HORDELINK_DEMO_PAUSE_MS\"]"
    settings.environment = ["HORDELINK_DEMO_PAUSE_MS=400"]
    let rehearsal = try Rehearsal(settings)
    var problems: [String]
    do { problems = try rehearse(rehearsal) } catch { problems = ["\(error)"] }
    rehearsal.tearDown()
    for pid in rehearsal.leftovers { problems.append("process \(pid) is left running") }
    guard problems.isEmpty else {
      for problem in problems { show("demo: \(problem)") }
      return 1
    }
    show(
      "demo: 6 statuses accepted, all in order, each once, nothing lost; uplink and listener were killed and "
        + "replaced; nothing is left running")
    return 0
  } catch {
    show("demo: \(error)")
    return 1
  }
}

exit(run())

import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// A process that has no descriptor left rests, neither spins nor leaves, and goes on when it has some again; what
/// waited for it is not lost.
@Suite(.serialized) struct DescriptorTests {
  @Test func aListenerWithoutDescriptorsLetsWorkersWait() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      let first = rehearsal.worker(job)
      try first.acknowledged(reported[0])
      let listener = try rehearsal.readyChild("listener", job: job)
      let limit = try DescriptorsOf(listener.pid).leaveNone()
      let answers = try rehearsal.reportElsewhere(job, [WorkerClient.Update(.executorReady)])
      try rehearsal.expectRest("no worker's connection can be accepted")
      // Who is connected is served all the same.
      try first.acknowledged(.executorReady)
      try limit.giveBack()
      #expect(answers.takeUntilClosed() == [.stored])
      for status in reported.dropFirst(2) { try rehearsal.worker(job).acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported)
      #expect(try rehearsal.readyChildren("listener", job).allSatisfy { $0.pid == listener.pid })
    }
  }

  @Test func anUplinkWithoutDescriptorsLetsListenersWait() throws {
    try onStage { rehearsal in
      let running = try rehearsal.startJob()
      let uplink = try rehearsal.readyChild("uplink")
      let limit = try DescriptorsOf(uplink.pid).leaveNone()
      let waiting = JobID.random()
      try rehearsal.facilitator.sendJob(waiting)
      try rehearsal.expectRest("no connection of a Listener can be accepted")
      // Who is connected is served all the same.
      for status in reported { try rehearsal.worker(running).acknowledged(status) }
      try rehearsal.expectAccepted(running, [.received] + reported)
      try limit.giveBack()
      _ = try rehearsal.readyChild("listener", job: waiting)
      for status in reported { try rehearsal.worker(waiting).acknowledged(status) }
      try rehearsal.expectAccepted(waiting, [.received] + reported)
      #expect(try rehearsal.readyChild("uplink").pid == uplink.pid)
    }
  }

  @Test func aSupervisorWithoutDescriptorsStartsItsListenersLater() throws {
    try onStage { rehearsal in
      let running = try rehearsal.startJob()
      let supervisor = try #require(rehearsal.supervisor)
      // It takes descriptors too.
      try rehearsal.expectLog("command exited")
      let limit = try DescriptorsOf(Int(supervisor.pid)).leaveNone()
      let waiting = JobID.random()
      try rehearsal.facilitator.sendJob(waiting)
      try rehearsal.expectAccepted(waiting, [.received])
      try rehearsal.expectLog("listener could not be started", times: 2)
      for status in reported { try rehearsal.worker(running).acknowledged(status) }
      try rehearsal.expectAccepted(running, [.received] + reported)
      try limit.giveBack()
      _ = try rehearsal.readyChild("listener", job: waiting, milliseconds: 40_000)
      for status in reported { try rehearsal.worker(waiting).acknowledged(status) }
      try rehearsal.expectAccepted(waiting, [.received] + reported)
      #expect(try supervisor.wait(milliseconds: 0) == nil)
    }
  }

  /// The service takes all the descriptors it may have; a command gets as many as select(2) can tell apart.
  @Test func aCommandHasALimitThatSelectLivesWith() throws {
    let limits = try DescriptorsOf(Int(getpid())).limits()
    try onStage { settings in
      settings.commandIsLauncher = false
      settings.command = ["/bin/sh", "-c", "echo soft limit $(ulimit -S -n) >&2"]
    } _: { rehearsal in
      let job = JobID.random()
      try rehearsal.facilitator.sendJob(job)
      try rehearsal.expectAccepted(job, [.received, .hordeFailed])
      try rehearsal.expectLog("soft limit \(min(UInt64(limits.soft) ?? .max, DescriptorLimit.ofSelect))")
      let supervisor = try #require(rehearsal.supervisor)
      #expect(try DescriptorsOf(Int(supervisor.pid)).limits().soft == limits.hard)
    }
  }
}

/// The limit of another process's descriptors. Source: prlimit(1), proc(5).
private struct DescriptorsOf {
  let pid: Int

  init(_ pid: Int) { self.pid = pid }

  /// What `leaveNone` has taken.
  struct Taken {
    let descriptors: DescriptorsOf
    let soft: String

    func giveBack() throws { try descriptors.set(soft) }
  }

  /// Lowers its soft limit to what it has open.
  func leaveNone() throws -> Taken {
    let before = try limits().soft
    let numbers = try Files.names(in: "/proc/\(pid)/fd").compactMap { Int($0) }.sorted()
    // The limit bounds the number of a new one: the lowest that is free must be beyond it.
    let lowestFree = (0...).first { !numbers.contains($0) } ?? 0
    try set("\(lowestFree)")
    return Taken(descriptors: self, soft: before)
  }

  func limits() throws -> (soft: String, hard: String) {
    let text = String(decoding: try Files.read("/proc/\(pid)/limits", limit: 65_536), as: UTF8.self)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("Max open files") })
    let words = line.split(separator: " ")
    return (String(words[3]), String(words[4]))
  }

  private func set(_ soft: String) throws {
    let program = "/usr/bin/prlimit"
    let request = SpawnRequest(
      executable: program, arguments: [program, "--pid", "\(pid)", "--nofile=\(soft):"], environment: [])
    let ending = try RunningProcess(pid: try request.spawn()).wait(milliseconds: 10_000)
    try #require(ending?.code == 0)
  }
}

extension Rehearsal {
  /// Waits until it was said twice, which a process that rests does not say much more often.
  fileprivate func expectRest(_ text: String) throws {
    try expectLog(text, times: 2)
    #expect(log.ranges(of: text).count < 10)
  }

  fileprivate func readyChildren(_ name: String, _ job: JobID) throws -> [ChildReport] {
    try report()?.children.filter { $0.name == name && $0.job == job } ?? []
  }
}

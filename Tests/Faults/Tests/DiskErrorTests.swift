import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// A disk that fails: what could not be made durable is not acknowledged, and goes on when the disk does.
@Suite(.serialized) struct DiskErrorTests {
  /// Each sync of Uplink's fails with EIO for a while. The Uplink that sees it leaves, since nobody knows what is on
  /// the disk then, and its successor reads that again.
  @Test func anUpdateThatCannotBeSyncedIsNotAcknowledgedUntilItIs() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      try rehearsal.worker(job).acknowledged(reported[0])
      try rehearsal.expectAccepted(job, [.received, reported[0]])
      let uplink = try rehearsal.readyChild("uplink")
      guard let injector = try failSyncs(of: uplink.pid, log: rehearsal.folder + "/injected") else { return }
      let answers = try rehearsal.reportElsewhere(job, reported.dropFirst().map { WorkerClient.Update($0) })
      try rehearsal.expectLog("disk I/O error")
      try rehearsal.expectLog("uplink exited with code \(ExitCode.io)")
      // It ends with what it was attached to.
      _ = try #require(try injector.wait(milliseconds: 10_000))
      try rehearsal.expectAccepted(job, [.received] + reported)
      #expect(answers.takeUntilClosed() == [WorkerClient.Answer](repeating: .stored, count: reported.count - 1))
      #expect(try rehearsal.readyChild("uplink").generation > uplink.generation)
    }
  }

  /// Makes every sync of a process fail, from outside (strace(1), fault injection). Returns nil, and says why, where
  /// that cannot be done.
  private func failSyncs(of pid: Int, log: String) throws -> RunningProcess? {
    let program = "/usr/bin/strace"
    guard access(program, X_OK) == 0 else {
      print("skipped: \(program) is not there; it makes syncs fail")
      return nil
    }
    var request = SpawnRequest(
      executable: program,
      arguments: [
        program, "-f", "-p", "\(pid)", "-o", log, "-e", "trace=fsync,fdatasync", "-e",
        "inject=fsync,fdatasync:error=EIO",
      ], environment: [])
    let words = open(log + ".stderr", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    try #require(words >= 0)
    request.standardError = Descriptor(owning: words)
    let injector = try RunningProcess(pid: try request.spawn())
    let deadline = Deadline.after(milliseconds: 10_000)
    while true {
      let said = String(decoding: try Files.read(log + ".stderr", limit: 65_536), as: UTF8.self)
      if said.contains("attached") { break }
      guard try injector.wait(milliseconds: 20) == nil, deadline.millisecondsLeft > 0 else {
        injector.signal(SIGKILL)
        print("skipped: strace cannot make syncs fail here: \(said)")
        return nil
      }
    }
    return injector
  }
}

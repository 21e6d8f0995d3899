import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing

extension EndToEnd {
  /// What a dead Supervisor leaves behind, and what one must not wait for.
  @Suite struct LeftBehind {
    /// It does not see that its Supervisor is gone, and holds the lock.
    @Test func aStoppedUplinkIsEndedByItsSuccessor() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        try worker.acknowledged(reported[0])
        let old = try rehearsal.readyChild("uplink")
        ProcessTable.signal(pid_t(old.pid), SIGSTOP)
        try rehearsal.killSupervisor()
        try rehearsal.startSupervisor()
        for status in reported.dropFirst() { try worker.acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(!ProcessTable.isRunning(pid_t(old.pid)))
      }
    }

    /// The lock's pid is another process's by now.
    @Test func nobodyElseIsEndedForALock() throws {
      try onStage(started: false) { rehearsal in
        try Files.makeDirectory(rehearsal.stateDirectory, mode: 0o700)
        let words = ["/usr/bin/flock", "--no-fork", rehearsal.stateDirectory + "/uplink.lock", "/bin/sleep", "600"]
        let request = SpawnRequest(executable: words[0], arguments: words, environment: [])
        let stranger = try RunningProcess(pid: try request.spawn())
        defer {
          stranger.signal(SIGKILL)
          _ = try? stranger.wait(milliseconds: 5000)
        }
        try rehearsal.until("the lock") { rehearsal, _ in
          if case .held? = try? Files.lock(rehearsal.stateDirectory + "/uplink.lock") { true } else { false }
        }
        let start = ProcessTable.startTime(of: stranger.pid) ?? 0
        for text in ["", "1\n", "\(stranger.pid)\n", "\(stranger.pid)\n\(start) \(try Clock.bootID())\n"] {
          try Rehearsal.write(Array(text.utf8), to: rehearsal.stateDirectory + "/uplink.lock", mode: 0o600)
          try rehearsal.startSupervisor()
          try rehearsal.expectLog(
            "holds this state directory", times: rehearsal.log.ranges(of: "holds this state").count + 1)
          try rehearsal.stopSupervisor()
          #expect(try stranger.wait(milliseconds: 0) == nil)
        }
      }
    }

    /// A database of users in the network is asked on the same thread as the file is read.
    @Test func aReloadThatWaitsHoldsUpNothing() throws {
      try onStage { rehearsal in
        let text = try Files.read(rehearsal.configurationFile, limit: 1 << 20)
        try Files.remove(rehearsal.configurationFile)
        try #require(mkfifo(rehearsal.configurationFile, 0o600) == 0)
        try rehearsal.reload()
        let job = try rehearsal.startJob()
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(!rehearsal.log.contains("reloaded, the hotkey"))
        try Rehearsal.write(text, to: rehearsal.configurationFile, mode: 0o600)
        try rehearsal.expectLog("reloaded, the hotkey")
      }
    }
  }
}

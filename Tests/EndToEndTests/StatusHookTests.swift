import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  @Suite struct StatusHooks {
    /// The hook fails every other time, before it has read anything, and Uplink is killed on the way.
    @Test func everyStoredUpdateReachesTheHookInOrderAndTheFacilitatorDoesNotWaitForIt() throws {
      let script =
        #"n=$(cat "$HOME/runs-$PPID" 2>/dev/null || echo 0); echo $((n + 1)) > "$HOME/runs-$PPID"; "#
        + #"[ $((n % 2)) = 1 ] || exit 1; cat >> "$HOME/heard""#
      try onStage { settings in
        settings.more["hooks"] = "on_status_update = [\"/bin/sh\", \"-c\", '''\(script)''']"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let worker = rehearsal.worker(job)
        for status in reported {
          try worker.acknowledged(status)
          if status == .volumesReady { try rehearsal.kill("uplink") }
        }
        try rehearsal.expectAccepted(job, [.received] + reported)
        func heard() -> [String] {
          let text = (try? Files.read(rehearsal.folder + "/heard", limit: 1 << 20)) ?? []
          return text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let update = try? JSONValue.parse(Array(line), limits: JSONLimits(bytes: 1 << 20))
            return update?["uuid"]?.stringValue == job.description ? update?["status"]?.stringValue : nil
          }
        }
        try rehearsal.until("the hook to hear the last") { _, _ in heard().last == "completed" }
        var first: [String] = []
        for status in heard() where !first.contains(status) { first.append(status) }
        #expect(first == ([.received] + reported).map(\.name))
        #expect(rehearsal.log.contains("the hook on_status_update exited with code 1"))
      }
    }
  }
}

import Glibc
import JSON
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

extension EndToEnd {
  /// Machine specs, which go behind the updates, and cheat reports, which go to a hook.
  @Suite struct SpecsAndCheats {
    private func specs(_ miner: String, _ batch: String, id: Int64, type: String = "machine.specs") -> [UInt8] {
      Wire.frame(
        Wire.map([
          ("id", .int(id)), ("type", .string(type)), ("batch_id", .string(batch)), ("miner_hotkey", .string(miner)),
          ("specs", Wire.map([("gpu", .int(1))])),
        ]))
    }

    private func arrived(_ rehearsal: Rehearsal) -> [String] {
      rehearsal.facilitator.events.filter { $0.name == "specs" }.map { $0.text("frame") }
    }

    private func expected(_ rehearsal: Rehearsal, _ miner: String, _ batch: String) -> String {
      #"{"message_type":"V0MachineSpecsUpdate","miner_hotkey":"\#(miner)","validator_hotkey":"#
        + #""\#(rehearsal.hotkey)","specs":{"gpu":1},"batch_id":"\#(batch)"}"#
    }

    @Test func specsArriveAndOneThatIsWrongIsRefusedAlone() throws {
      try onStage { rehearsal in
        _ = try rehearsal.readyChild("specs-listener")
        let answers = try Wire.exchange(
          rehearsal.runtimeDirectory + "/specs.sock",
          [
            specs("m1", "b1", id: 1), specs("m2", "b1", id: 2, type: "other"),
            Wire.frame(Wire.map([("type", .string("machine.specs")), ("batch_id", .string("b"))])),
            specs("m3", "b1", id: 4),
          ])
        #expect(answers.map { $0?["ok"] } == [.bool(true), .bool(false), .bool(false), .bool(true)])
        #expect(answers.map(Wire.code) == [nil, "invalid", "invalid", nil])
        _ = try rehearsal.facilitator.wait(milliseconds: 10_000) { _ in arrived(rehearsal).count == 2 }
        #expect(arrived(rehearsal) == [expected(rehearsal, "m1", "b1"), expected(rehearsal, "m3", "b1")])
      }
    }

    /// Uplink would close the connection over a frame that is larger than any can be, each time it is sent again.
    @Test func specsThatAreTooLargeWithTheirBatchHoldUpNothing() throws {
      try onStage { settings in
        settings.more["channel"] = "max_frame_bytes = 1000000"
      } _: { rehearsal in
        _ = try rehearsal.readyChild("specs-listener")
        let large = Wire.frame(
          Wire.map([
            ("type", .string("machine.specs")), ("batch_id", .string(String(repeating: "b", count: 800_000))),
            ("miner_hotkey", .string("m1")),
            ("specs", Wire.map([("gpu", .string(String(repeating: "\u{1}", count: 160_000)))])),
          ]))
        let answers = try Wire.exchange(
          rehearsal.runtimeDirectory + "/specs.sock", [large, specs("m2", "b2", id: 2)])
        #expect(answers.map(Wire.code) == ["too_large", nil])
        _ = try rehearsal.facilitator.wait(milliseconds: 20_000) { _ in !arrived(rehearsal).isEmpty }
        #expect(arrived(rehearsal) == [expected(rehearsal, "m2", "b2")])
      }
    }

    @Test func theNewestOfAMinerArrivesAfterAnOutageAndAKill() throws {
      try onStage { rehearsal in
        let listener = try rehearsal.readyChild("specs-listener")
        try rehearsal.facilitator.tell([("command", .string("down"))])
        _ = try rehearsal.facilitator.wait(milliseconds: 10_000) { $0.name == "disconnected" }
        let socket = rehearsal.runtimeDirectory + "/specs.sock"
        let first = try Wire.exchange(
          socket, [specs("m1", "old", id: 1), specs("m2", "only", id: 2), specs("m1", "new", id: 3)])
        #expect(first.allSatisfy { $0?["ok"] == .bool(true) })
        let uplink = try rehearsal.kill("uplink")
        try rehearsal.kill("specs-listener")
        _ = try rehearsal.readyChild("uplink", after: uplink.generation)
        _ = try rehearsal.readyChild("specs-listener", after: listener.generation)
        try rehearsal.facilitator.tell([("command", .string("up"))])
        _ = try rehearsal.facilitator.wait(milliseconds: 60_000) { _ in arrived(rehearsal).count == 2 }
        #expect(arrived(rehearsal) == [expected(rehearsal, "m2", "only"), expected(rehearsal, "m1", "new")])
      }
    }

    /// A cheat report that was signed by `//Alice`, as it came over the wire.
    private func cheatReport() throws -> String {
      let report = vectorEntries("signed.json").first { entry in
        entry["class"] == "cheated" && entry["verify"] == "ok"
          && entry["signatory"] == "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
      }
      return try #require(report?["wire"])
    }

    @Test func aCheatReportGoesToTheHookUntilItExitsWithZero() throws {
      let script =
        #"cat > "$HOME/report.$$"; mv "$HOME/report.$$" "$HOME/report"; n=$(cat "$HOME/runs" 2>/dev/null || echo 0); n=$((n + 1)); "#
        + #"echo $n > "$HOME/runs"; [ $n -ge 3 ]"#
      let report = try cheatReport()
      try onStage { settings in
        settings.more["hooks"] = "on_cheated = [\"/bin/sh\", \"-c\", '''\(script)''']"
        // The vectors get older.
        settings.more["jobs"] = "max_age_seconds = 0"
      } _: { rehearsal in
        // The second one is the same report.
        for _ in 0..<2 {
          try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(report))])
        }
        let forged = report.replacing("trusted_job_uuid\": \"", with: "trusted_job_uuid\": \"x")
        try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(forged))])
        let deadline = Deadline.after(milliseconds: 30_000)
        func runs() -> Int {
          let text = String(decoding: (try? Files.read(rehearsal.folder + "/runs", limit: 100)) ?? [], as: UTF8.self)
          return Int(text.filter(\.isNumber)) ?? 0
        }
        // Killed in between: the report is on record.
        try rehearsal.expectLog("the hook on_cheated exited with code 1")
        let killed = try rehearsal.kill("uplink")
        _ = try rehearsal.readyChild("uplink", after: killed.generation)
        while runs() < 3, deadline.millisecondsLeft > 0 { try rehearsal.facilitator.read(milliseconds: 20) }
        // Once more if Uplink was killed after the third had taken it and before that was on record.
        #expect((3...4).contains(runs()))
        #expect(try Files.read(rehearsal.folder + "/report", limit: 1 << 20) == Array(report.utf8))
        #expect(rehearsal.log.contains("a cheat report is ignored"))
        // Nor is it told again when the hook has taken it, and another Uplink gets it.
        func told() -> Int { rehearsal.log.ranges(of: "a cheat report came; it goes to the hook").count }
        let before = told()
        let events = rehearsal.facilitator.events.count
        try rehearsal.kill("uplink")
        try rehearsal.waitUntilConnected(from: events)
        for _ in 0..<3 { try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(report))]) }
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        #expect(before > 0 && told() == before)
      }
    }
  }
}

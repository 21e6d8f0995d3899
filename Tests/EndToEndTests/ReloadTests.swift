import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// SIGHUP.
  @Suite struct Reload {
    @Test func aReloadUsesANewHotkey() throws {
      try onStage { rehearsal in
        let before = rehearsal.facilitator.events.count
        let key = "{\"secretSeed\":\"0x\(String(repeating: "5a", count: 32))\"}"
        try Rehearsal.write(Array(key.utf8), to: rehearsal.folder + "/hotkey", mode: 0o600)
        try rehearsal.reload()
        try rehearsal.waitUntilConnected(from: before)
        let hotkeys = rehearsal.facilitator.events.filter { $0.name == "authenticated" }.map { $0.text("hotkey") }
        #expect(hotkeys.count == 2 && hotkeys[0] != hotkeys[1])
        // What cannot be used changes nothing.
        try Rehearsal.write(Array("{".utf8), to: rehearsal.folder + "/hotkey", mode: 0o600)
        try rehearsal.reload()
        try rehearsal.expectLog("the reload changes nothing")
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted])
      }
    }

    @Test func aReloadUsesWhatCanChangeAndNamesWhatWaits() throws {
      try onStage { settings in
        settings.more["jobs"] = "max_open = 5"
      } _: { rehearsal in
        let first = try rehearsal.startJob()
        let before = rehearsal.facilitator.events.count
        try rehearsal.change("max_open = 5", to: "max_open = 1\n[metrics]\nlisten = \"127.0.0.1:1\"")
        try rehearsal.reload()
        try rehearsal.expectLog("reloaded, the hotkey and the certificates too; changed: [jobs]")
        try rehearsal.expectLog("used only after a restart: metrics.listen")
        try rehearsal.waitUntilConnected(from: before)
        let second = JobID.random()
        try rehearsal.facilitator.sendJob(second)
        try rehearsal.expectAccepted(second, [.rejected])
        // Its successor starts with them too.
        let killed = try rehearsal.kill("uplink")
        _ = try rehearsal.readyChild("uplink", after: killed.generation)
        try rehearsal.worker(first).acknowledged(.accepted)
        try rehearsal.expectAccepted(first, [.received, .accepted])
      }
    }

    @Test func aBrokenFileChangesNothingAndIsNamedWithItsLine() throws {
      try onStage { rehearsal in
        try rehearsal.change("[jobs]", to: "[jobs]\nmax_opne = 3")
        let line = rehearsal.configurationLine("max_opne")
        try rehearsal.reload()
        try rehearsal.expectLog("\(rehearsal.configurationFile):\(line): ")
        try rehearsal.expectLog("the reload changes nothing")
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted])
      }
    }
  }
}

extension Rehearsal {
  func reload() throws { try #require(supervisor).signal(SIGHUP) }

  private var configurationText: String {
    get throws { String(decoding: try Files.read(configurationFile, limit: 1 << 20), as: UTF8.self) }
  }

  fileprivate func change(_ text: String, to new: String) throws {
    let changed = try configurationText.replacing(text, with: new, maxReplacements: 1)
    try Rehearsal.write(Array(changed.utf8), to: configurationFile, mode: 0o600)
  }

  /// The line of the configuration that begins with this; 0 when there is none.
  fileprivate func configurationLine(_ start: String) -> Int {
    let lines = (try? configurationText)?.split(separator: "\n", omittingEmptySubsequences: false) ?? []
    return (lines.firstIndex { $0.hasPrefix(start) } ?? -1) + 1
  }
}

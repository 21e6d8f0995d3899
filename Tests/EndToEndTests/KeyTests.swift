import Glibc
import Platform
import Rehearsal
import Stage
import Testing

extension EndToEnd {
  /// The hotkey in Uplink's memory. Takes root, to whom nobody can close it.
  @Suite(
    .enabled(if: geteuid() == 0, "reads another process's memory"),
    .disabled(if: getenv("HORDELINK_SANITIZED") != nil, "a sanitizer maps terabytes of its own into it"))
  struct Key {
    static let files = [
      "every field": """
      {"accountId": "0x54e054c78663f1b032891bf26043f0065e9772c1451607eaeacc9019f070d00c",
      "publicKey": "0x54e054c78663f1b032891bf26043f0065e9772c1451607eaeacc9019f070d00c",
      "privateKey": "0x\(privateKey)", "secretPhrase": "\(phrase)", "secretSeed": "0x\(seed)",
      "ss58Address": "5DyzX6hd4nx2jQtdLzDGrCYar7D4LQqhKAUNc5hrDvqBSVLN"}
      """,
      "the seed": "{\"secretSeed\": \"\(seed)\"}", "the private key": "{\"privateKey\": \"0x\(privateKey)\"}",
      "an escaped phrase": "{\"secret\\u0050hrase\": \"\\u0070osition\(phrase.dropFirst(8))\"}",
    ]
    static let phrase = "position chicken ugly key sugar expect another require cinnamon rubber rich veteran"
    static let seed = "37dc08ec78b06499f0460e5ec619ae07eb319f1d332ad8b8d741c657269a8ab1"
    static let privateKey =
      "2862d75da8ba227ed48f2f7d9de9eff6f0ff082f1d94ff7f2c274b7f4b5b9c09"
      + "b30afff252ec1b610b1feb0b149d9e7eb2e0c03fde1201b28f139526cb0232bd"

    @Test(arguments: files.keys.sorted()) func nothingOfTheFileIsInUplinksMemory(_ name: String) throws {
      let file = try #require(Self.files[name])
      try onStage(started: false) { rehearsal in
        func put() throws { try Rehearsal.write(Array(file.utf8), to: rehearsal.folder + "/hotkey", mode: 0o600) }
        try put()
        try rehearsal.startSupervisor()
        try rehearsal.waitUntilConnected()
        let uplink = try rehearsal.readyChild("uplink")
        try expectNoSecret(uplink.pid, "after the start")
        // A reload reads the file again, and signs again.
        let before = rehearsal.facilitator.events.count
        try #require(rehearsal.supervisor).signal(SIGHUP)
        try rehearsal.waitUntilConnected(from: before)
        try expectNoSecret(uplink.pid, "after a reload")
        try expectNoSecret(Int(#require(rehearsal.supervisor).pid), "in the Supervisor")
      }
    }

    private func expectNoSecret(_ pid: Int, _ when: String) throws {
      let words = Self.phrase.split(separator: " ")
      let pairs = zip(words, words.dropFirst()).map { "\($0) \($1)" }
      var secrets = (pairs + [Self.seed, Self.privateKey]).map { ($0, Array($0.utf8)) }
      secrets.append(("the seed's bytes", try bytes(Self.seed)))
      // What signs; it is in guarded memory, once.
      let key = ("the private key's bytes", try bytes(Self.privateKey))
      var keys = 0
      for region in try memory(of: pid) {
        for (name, secret) in secrets where count(secret, in: region) > 0 {
          Issue.record("\(name) is in the memory \(when)")
        }
        keys += count(key.1, in: region)
      }
      #expect(keys <= 1, "\(key.0) \(when)")
    }

    private func bytes(_ hexadecimal: String) throws -> [UInt8] {
      let digits = Array(hexadecimal)
      return try stride(from: 0, to: digits.count, by: 2).map {
        try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16))
      }
    }

    /// The process's readable memory, region by region. Source: proc(5), /proc/PID/maps and /proc/PID/mem.
    private func memory(of pid: Int) throws -> [[UInt8]] {
      let file = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { throw SystemError("open", "/proc/\(pid)/mem") }
      let memory = Descriptor(owning: file)
      let maps = String(decoding: try Files.read("/proc/\(pid)/maps", limit: 1 << 20), as: UTF8.self)
      var regions: [[UInt8]] = []
      for line in maps.split(separator: "\n") {
        let words = line.split(separator: " ")
        let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
        // Code and constants are in the program's file, not the key; [vvar] cannot be read.
        guard words[1].hasPrefix("r"), !words[1].contains("x"), !line.contains("[v"), ends[0] < ends[1] else {
          continue
        }
        let region = [UInt8](unsafeUninitializedCapacity: Int(ends[1] - ends[0])) { buffer, count in
          count = max(0, pread(memory.number, buffer.baseAddress, buffer.count, off_t(ends[0])))
        }
        regions.append(region)
      }
      let total = regions.reduce(0) { $0 + $1.count }
      #expect(total > 1 << 20, "only \(total) bytes of the process could be read")
      return regions
    }

    /// How often `needle` occurs.
    private func count(_ needle: [UInt8], in region: [UInt8]) -> Int {
      region.withUnsafeBytes { bytes in
        guard var next = bytes.baseAddress else { return 0 }
        let end = next + bytes.count
        var count = 0
        while end - next >= needle.count, let found = memchr(next, Int32(needle[0]), end - next - needle.count + 1) {
          let place = UnsafeRawPointer(found)
          if memcmp(place, needle, needle.count) == 0 { count += 1 }
          next = place + 1
        }
        return count
      }
    }
  }
}

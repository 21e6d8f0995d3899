import Glibc
import Identity
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// Whoever can connect to uplink.sock, and a Listener that has been taken over.
@Suite struct StrangeListenerTests {
  private static let poison = Array(
    "null,\"uuid\":\"00000000-0000-4000-8000-000000000000\",\"status\":\"completed\"".utf8)

  /// A command that runs as the service's user takes no job over, of whatever generation it says to be.
  @Test func aStrangerShutsNoListenerOut() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      let worker = rehearsal.worker(job)
      try worker.acknowledged(.accepted)
      let socket = rehearsal.runtimeDirectory + "/uplink.sock"
      for token in [[], [UInt8](repeating: 0, count: 32)] {
        for message in [
          ListenerToUplink.hello(job, token: token), .hello(nil, token: token), .resolve("localhost"),
          .update(SequenceNumber(1), .completed, metadata: nil),
        ] {
          let stranger = FrameConnection(try UnixSocket.connect(to: socket), limit: 1 << 20, outgoingLimit: 1 << 20)
          try stranger.say(message, generation: UInt64(Int64.max))
          #expect(try stranger.answer() == nil)
        }
      }
      for status in reported.dropFirst() { try worker.acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported)
      #expect(try rehearsal.readyChild("listener", job: job).restartsLastHour == 0)
      try rehearsal.expectLog("does not say hello with a token", times: 8)
    }
  }

  /// A connection, as soon as the backlog has room for it.
  private func connected(to socket: String) throws -> Descriptor {
    let deadline = Deadline.after(milliseconds: 20_000)
    while true {
      do throws(SystemError) {
        return try UnixSocket.connect(to: socket)
      } catch {
        guard error.code == EAGAIN, deadline.millisecondsLeft > 0 else { throw error }
        sched_yield()
      }
    }
  }

  /// Connections that say nothing, and ones that announce much, in great number.
  @Test func manyStrangersTakeNeitherMemoryNorPlaces() throws {
    try onStage { rehearsal in
      let job = try rehearsal.startJob()
      let socket = rehearsal.runtimeDirectory + "/uplink.sock"
      let silent = try (0..<600).map { _ in try connected(to: socket) }
      for _ in 0..<600 {
        let loud = FrameConnection(try connected(to: socket), limit: 1 << 20, outgoingLimit: 32 << 20)
        try? loud.send([0x00, 0xff, 0xff, 0xff] + [UInt8](repeating: 0, count: 100_000))
      }
      let worker = rehearsal.worker(job)
      for status in reported { try worker.acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported)
      // Those beyond the limit are closed for others' sake, and the rest when their time is over.
      #expect(try Waiting.readable([silent[0]], milliseconds: 20_000) == [true])
      #expect(try Waiting.readable([silent[599]], milliseconds: 30_000) == [true])
      #expect(
        rehearsal.log.split(separator: "\n").count { $0.contains("uplink.sock") || $0.contains("frame of") } < 200)
      try rehearsal.expectPeakMemoryWithinBounds("strangers at uplink.sock")
    }
  }

  /// It has a token. All the same its metadata gets no farther than Uplink's socket.
  @Test func metadataThatIsNoObjectIsAMalformedFrame() throws {
    let uplink = try UplinkAlone()
    defer { uplink.tearDown() }
    try uplink.expect("ready") { $0 == .ready }
    _ = try uplink.facilitator.wait(milliseconds: 20_000) { $0.name == "authenticated" }
    let job = JobID.random()
    try uplink.facilitator.sendJob(job)
    try uplink.expect("openJob") { if case .openJob(let open) = $0 { open.job == job } else { false } }
    func listener(_ channel: JobID?) throws -> FrameConnection {
      let connection = try uplink.connect()
      try connection.say(.hello(channel, token: uplink.token(channel, generation: 3)), generation: 3)
      #expect(try connection.answer() == .welcome(ended: false))
      return connection
    }
    for metadata in [
      Self.poison, [], Array("null".utf8), Array("{\"a\":\"\u{e9}".utf8), [0x7b, 0x22, 0xff, 0x22, 0x7d],
    ] {
      let connection = try listener(job)
      try connection.say(.update(SequenceNumber(1), .executorReady, metadata: metadata), generation: 3)
      #expect(try connection.answer() == nil)
    }
    for specs in [Self.poison, Array("{},\"batch_id\":\"x\"".utf8), []] {
      let connection = try listener(nil)
      let specs = MachineSpecs(minerHotkey: "5\"", batchID: "\u{0}", specs: specs)
      try connection.say(.specs(SequenceNumber(1), specs), generation: 3)
      #expect(try connection.answer() == nil)
    }
    // Another's generation, and another job, need another token.
    for (channel, generation) in [(job, UInt64(4)), (JobID.random(), 3)] {
      let connection = try uplink.connect()
      try connection.say(.hello(channel, token: uplink.token(job, generation: 3)), generation: generation)
      #expect(try connection.answer() == nil)
    }
    let connection = try listener(job)
    try connection.say(.update(SequenceNumber(1), .accepted, metadata: Array("{\"x\":\"é\"}".utf8)), generation: 3)
    #expect(try connection.answer() == .stored(SequenceNumber(1)))
    _ = try uplink.facilitator.wait(milliseconds: 20_000) { $0.name == "accepted" && $0.text("status") == "accepted" }
    #expect(uplink.facilitator.accepted(job) == [.received, .accepted])
  }
}

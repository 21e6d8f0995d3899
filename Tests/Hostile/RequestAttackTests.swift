import Facilitator
import Glibc
import Identity
import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Synchronization
import Testing

/// What a facilitator may do with requests, and what must come of it.
@Suite(.serialized) struct RequestAttackTests {
  /// Requests without end, none of which may be taken.
  enum Flood: CaseIterable {
    case unsigned
    /// The signature is another request's: each costs two looks at it.
    case badlySigned
    /// The signature holds, and a name is there twice.
    case twoMeanings
    /// A request that was taken, for other jobs.
    case replayed
    /// The same text over and over.
    case repeated

    /// The text of a request for that job.
    func request(_ job: JobID, from taken: [UInt8]) throws -> [UInt8] {
      guard case .object(var members) = try JSONValue.parse(taken, limits: JSONLimits(bytes: 1 << 20)) else {
        return []
      }
      func set(_ name: String, _ value: JSONValue) {
        for place in members.indices where members[place].name == name { members[place].value = value }
      }
      set("uuid", .string(job.description))
      switch self {
      case .unsigned, .repeated: set("signature", .null)
      case .badlySigned: set("docker_image", .string("evil"))
      case .twoMeanings: members.insert(JSONMember("docker_image", .string("evil")), at: 0)
      case .replayed: break
      }
      return JSONValue.object(members).text(.python)
    }
  }

  /// Sends what a thread of its own makes up, and between that the answers, which another one gives.
  private final class Sender: Sendable {
    private let connection: HostileConnection
    private let answers = Mutex<[UInt8]>([])
    private let count = Mutex(0)

    init(_ connection: HostileConnection) { self.connection = connection }

    /// How many requests it has sent.
    var sent: Int { count.withLock { $0 } }

    func answer(_ frame: [UInt8]) { answers.withLock { $0 += frame } }

    func send(_ requests: [UInt8], count sent: Int = 1) throws {
      let answers = self.answers.withLock { answers in
        defer { answers = [] }
        return answers
      }
      try connection.send(answers + requests)
      count.withLock { $0 += sent }
    }

    /// Sends requests until the connection ends, flat out.
    func flood(_ kind: Flood, from taken: [UInt8]) throws {
      connection.keepLittle()
      let first = JobID.random()
      var frame = ServerWebSocket.text(try kind.request(first, from: taken))
      let uuid = Array(first.description.utf8)
      guard let place = frame.indices.first(where: { frame[$0...].starts(with: uuid) }) else { return }
      while true {
        var piece: [UInt8] = []
        for _ in 0..<64 {
          if kind != .repeated {
            frame.replaceSubrange(place..<(place + uuid.count), with: JobID.random().description.utf8)
          }
          piece += frame
        }
        try send(piece, count: 64)
      }
    }
  }

  /// How many requests are sent beside an innocent job. A debug build takes milliseconds for each.
  private static let requests = 2048

  @Test(arguments: Flood.allCases) func aFloodOfRequestsHoldsUpItsSenderAndNobodyElse(_ kind: Flood) throws {
    let flood = Mutex<Sender?>(nil)
    let goes = Mutex(false)
    let job = JobID.random()
    let taken = try HostileConnection.request(for: job)
    try withHostileFacilitator { connection in
      try connection.welcome()
      let sender = Sender(connection)
      flood.withLock { $0 = sender }
      try connection.send(ServerWebSocket.text(taken))
      try BackgroundThread.start {
        while !goes.withLock({ $0 }) { usleep(10_000) }
        try? sender.flood(kind, from: taken)
      }
      try connection.serve { sender.answer($0) }
    } _: { rehearsal, facilitator in
      _ = try rehearsal.readyChild("listener", job: job)
      try rehearsal.expectAccepted(job, [.received], by: facilitator)
      goes.withLock { $0 = true }
      try rehearsal.until("a flood") { _, _ in (flood.withLock { $0?.sent } ?? 0) > 256 }
      var slowest: Int64 = 0
      for status in reported {
        let before = Clock.bootNanoseconds
        try rehearsal.worker(job).acknowledged(status)
        slowest = max(slowest, Clock.bootNanoseconds - before)
      }
      print("the slowest acknowledgement beside \(kind) requests took \(slowest / 1_000_000) ms")
      try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator)
      try rehearsal.until("\(Self.requests) requests") { _, _ in (flood.withLock { $0?.sent } ?? 0) > Self.requests }
      // Whom nobody knows has no row, and no line each.
      #expect(try rehearsal.recordBytes() < 1 << 20)
      #expect(rehearsal.log.split(separator: "\n").count < 500)
      #expect(facilitator.connectionCount == 1)
      try rehearsal.expectPeakMemoryWithinBounds("a flood of requests, \(kind)")
    }
  }

  /// Whoever sends a request in another's name does not keep that one out.
  @Test(arguments: [Flood.unsigned, .badlySigned, .twoMeanings])
  func theTrueRequestIsTakenAfterAForgedOne(_ kind: Flood) throws {
    let job = JobID.random()
    let request = try HostileConnection.request(for: job)
    try withHostileFacilitator { connection in
      try connection.welcome()
      for _ in 0..<3 { try connection.send(ServerWebSocket.text(try kind.request(job, from: request))) }
      try connection.serve()
    } _: { rehearsal, facilitator in
      // The same forgery is answered once.
      try rehearsal.expectAccepted(job, [.rejected], by: facilitator)
      try #require(facilitator.serving).send(ServerWebSocket.text(request))
      try rehearsal.expectAccepted(job, [.rejected, .received], by: facilitator)
    }
  }

  /// Its signature holds for the last of the two; whoever reads the first would run something else.
  @Test(
    arguments: [
      ("docker_image", "docker_image", "docker_image"), ("docker_image", "docker\\u005fimage", "docker_image"),
      ("contents", "contents", "volume.contents"),
    ])
  func aRequestWithANameTwiceIsRejectedAndTheNameIsSaid(_ name: String, _ first: String, _ said: String) throws {
    try onStage { rehearsal in
      let job = JobID.random()
      var description = SignedJob(job: job, dockerImage: "signed")
      description.volume = .object([
        JSONMember("volume_type", .string("zip_url")), JSONMember("contents", .string("https://signed.example/")),
      ])
      let request = try description.request(
        signedBy: Hotkey(try SecretKey.development("//Alice")), timestamp: UInt64(Clock.wallMilliseconds) * 1_000_000)
      let text = String(decoding: request, as: UTF8.self)
        .replacing("\"\(name)\"", with: "\"\(first)\": \"https://evil.example/\", \"\(name)\"")
      try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(text))])
      try rehearsal.expectAccepted(job, [.rejected])
      let details = try rehearsal.metadata(job, .rejected)["job_rejection_details"]
      #expect(details?["reason"]?.stringValue == "invalid_signature")
      #expect(details?["message"]?.stringValue?.contains("\(said): the name is there twice") == true)
    }
  }

  /// Blanks mean nothing in JSON, and a signature does not cover them.
  @Test(arguments: [2 << 20, 15 << 20]) func paddedRequestsAreBounded(_ size: Int) throws {
    let jobs = (0..<40).map { _ in JobID.random() }
    try withHostileFacilitator { connection in
      try connection.welcome()
      let sender = Sender(connection)
      try BackgroundThread.start {
        for job in jobs {
          guard let request = try? HostileConnection.request(for: job) else { return }
          let blanks = [UInt8](repeating: UInt8(ascii: " "), count: size - request.count)
          try? sender.send(ServerWebSocket.text(request + blanks))
        }
        // The connection ends with the test.
        while (try? sender.send([])) != nil { usleep(10_000) }
      }
      try connection.serve { sender.answer($0) }
    } change: { settings in
      settings.command = ["/bin/sleep", "600"]
      settings.commandIsLauncher = false
    } _: { rehearsal, facilitator in
      try rehearsal.until("what becomes of each request") { _, _ in
        jobs.allSatisfy { !facilitator.accepted($0).isEmpty }
      }
      // 32 of the largest at once; what is larger is not taken at all.
      let taken = jobs.count { facilitator.accepted($0) == [.received] }
      #expect(taken == (size > 2 << 20 ? 0 : 32))
      for job in jobs.prefix(taken) { _ = try rehearsal.runningCommand(job) }
      try rehearsal.expectPeakMemoryWithinBounds("40 requests of \(size >> 20) MiB")
    }
  }

  /// - Parameter limit: max_age_seconds; nil: a month, the default.
  @Test(
    arguments: [
      (-100, 150, true), (-200, 150, false), (200, 150, false), (100, 150, true), (-29 * 86_400, nil, true),
      (-31 * 86_400, nil, false), (31 * 86_400, nil, false),
    ] as [(Int64, Int?, Bool)])
  func aRequestFarFromNowIsNotTaken(_ seconds: Int64, _ limit: Int?, _ isTaken: Bool) throws {
    let job = JobID.random()
    try withHostileFacilitator { connection in
      try connection.welcome()
      let now = UInt64(Clock.wallMilliseconds + seconds * 1000) * 1_000_000
      let request = try SignedJob(job: job, dockerImage: "old").request(
        signedBy: Hotkey(try SecretKey.development("//Alice")), timestamp: now)
      try connection.send(ServerWebSocket.text(request))
      try connection.serve()
    } change: { settings in
      if let limit { settings.more["jobs"] = "max_age_seconds = \(limit)" }
    } _: { rehearsal, facilitator in
      try rehearsal.expectAccepted(job, [isTaken ? .received : .rejected], by: facilitator)
      // The line may come later than the answer.
      if !isTaken { try rehearsal.expectLog("max_age_seconds allows \(limit ?? 2_592_000)") }
    }
  }
}

extension Rehearsal {
  /// What the record and its log take.
  fileprivate func recordBytes() throws -> Int {
    try ["", "-wal"].reduce(0) { sum, end in
      var status = stat()
      guard stat("\(stateDirectory)/hordelink.db\(end)", &status) == 0 else { throw SystemError("stat", "the record") }
      return sum + Int(status.st_size)
    }
  }
}

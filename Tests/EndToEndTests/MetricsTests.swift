import Glibc
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

extension EndToEnd {
  /// What whoever watches the service reads of it.
  @Suite struct Metrics {
    @Test func theFiguresTellOfAJobThatRan() throws {
      try onStageWithMetrics { rehearsal, port in
        let job = try rehearsal.startJob()
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        var figures = try OpenMetrics(HTTPClient(port).get("/metrics").text)
        // That the last one was accepted is heard a moment after it was.
        try rehearsal.until("delivery of all") { _, _ in
          figures = try OpenMetrics(HTTPClient(port).get("/metrics").text)
          return figures.value("hordelink_updates_delivered_total") == 6
        }
        for (name, value) in [
          ("jobs_received_total", 1.0), ("jobs_open", 0), ("updates_stored_total", 6), ("queue_depth", 0),
          ("queue_age_seconds", 0), ("dead_letters", 0), ("delivery_seconds_count", 6),
          ("job_duration_seconds_count", 1),
        ] {
          #expect(figures.value("hordelink_" + name) == value, "\(name)")
        }
        #expect(figures.value("hordelink_jobs_ended_total", ["outcome": "completed"]) == 1)
        #expect(
          figures.value("hordelink_facilitator_connection", ["hordelink_facilitator_connection": "ready"]) == 1)
        // The received status, the dispatch, the five reports and what the facilitator took of it.
        let commits = try #require(figures.value("hordelink_commit_seconds_count"))
        #expect(commits >= 7)
        let transactions = try #require(figures.value("hordelink_transactions_total"))
        #expect(transactions > 0 && transactions <= commits)
        #expect(!(try HTTPClient(port).get("/metrics").text.contains(job.description)))
      }
    }

    @Test func whatIsAskedForIsAnsweredAsHTTPHasIt() throws {
      try onStageWithMetrics { _, port in
        let client = try HTTPClient(port)
        let got = try client.get("/metrics?x=1")
        #expect(got.status == 200)
        #expect(got.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        // On the same connection, and two at once.
        let head = try client.ask("HEAD /healthz HTTP/1.1\r\nhost: h\r\n\r\n", hasBody: false)
        #expect(head.status == 200 && head.headers["content-length"] == "\("ok\nfacilitator: ready\n".utf8.count)")
        let missing = "GET /other HTTP/1.1\r\nhost: h\r\n\r\n"
        try client.send(missing + "PUT /metrics HTTP/1.1\r\nhost: h\r\n\r\n")
        #expect(try client.response().status == 404)
        let wrong = try client.response()
        #expect(wrong.status == 405 && wrong.headers["allow"] == "GET, HEAD")
        let health = try client.ask("GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        #expect(health.text == "ok\nfacilitator: ready\n" && health.headers["connection"] == "close")
        #expect(try client.isAtEnd())
      }
    }

    @Test(arguments: [
      ("GET /metrics HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello", 413),
      ("GET /metrics HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n", 413),
      ("nonsense\r\n\r\n", 400), ("GET /metrics HTTP/1.0\r\n\r\n", 200),
    ])
    func whatIsNoRequestForFiguresEndsItsConnection(request: String, status: Int) throws {
      try onStageWithMetrics { _, port in
        let client = try HTTPClient(port)
        #expect(try client.ask(request).status == status)
        #expect(try client.isAtEnd())
        #expect(try HTTPClient(port).get("/healthz").status == 200)
      }
    }

    @Test func headersHaveABound() throws {
      try onStageWithMetrics { _, port in
        let client = try HTTPClient(port)
        let long = String(repeating: "x", count: 40_000)
        #expect(try client.ask("GET /metrics HTTP/1.1\r\nx: \(long)\r\n\r\n").status == 400)
        #expect(try client.isAtEnd())
      }
    }

    @Test func slowClientsBlockNobodyAndAreBounded() throws {
      try onStageWithMetrics { rehearsal, port in
        var slow = try (0..<15).map { _ in try HTTPClient(port) }
        for client in slow { try client.send("GET /metrics HTTP/1.1\r\nho") }
        let last = try HTTPClient(port)
        #expect(try last.get("/healthz").status == 200)
        // One too many; the service goes on meanwhile.
        #expect(try HTTPClient(port).isAtEnd())
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        #expect(try last.get("/healthz").status == 200)
        slow.removeLast()
        try rehearsal.until("room for another") { _, _ in (try? HTTPClient(port).get("/healthz"))?.status == 200 }
      }
    }

    @Test func aFullRecordIsAnIllnessAndAFacilitatorThatIsAwayIsNone() throws {
      try onStageWithMetrics { settings in
        settings.more["channel"] = "max_frame_bytes = 16_777_216"
        settings.more["outbox"] = "max_bytes = 16_777_216"
        settings.more["jobs"] = "max_open = 100"
        settings.more["stop"] = "drain_seconds = 0"
      } _: { rehearsal, port in
        let job = try rehearsal.startJob()
        try rehearsal.facilitatorGoesAway()
        try rehearsal.until("loss of the connection") { _, _ in
          try HTTPClient(port).get("/healthz").text != "ok\nfacilitator: ready\n"
        }
        let away = try HTTPClient(port).get("/healthz")
        #expect(away.status == 200 && away.text.hasPrefix("ok\nfacilitator: "))
        let text = MessagePackValue.string(String(repeating: "x", count: 8_370_000))
        let large = MessagePackValue.map([MessagePackPair(.string("comment"), text)])
        for status in [JobStatus.accepted, .executorReady] {
          #expect(try rehearsal.worker(job).send(status, metadata: large) == .stored)
        }
        let full = try HTTPClient(port).get("/healthz")
        #expect(full.status == 503 && full.text.contains("max_bytes") && full.text.contains("\nfacilitator: "))
        #expect(
          try OpenMetrics(HTTPClient(port).get("/metrics").text).value("hordelink_full", ["what": "record"]) == 1)
      }
    }

    /// Its successor has the port at once, with a client of the old one still connected.
    @Test func whoIsKilledIsCounted() throws {
      try onStageWithMetrics { rehearsal, port in
        let client = try HTTPClient(port)
        #expect(try client.get("/metrics").status == 200)
        for name in ["specs-listener", "uplink"] {
          let killed = try rehearsal.kill(name)
          _ = try rehearsal.readyChild(name, after: killed.generation)
        }
        #expect(try client.isAtEnd())
        try rehearsal.until("figures") { _, _ in (try? HTTPClient(port)) != nil }
        try rehearsal.until("restarts of both") { _, _ in
          let figures = try OpenMetrics(HTTPClient(port).get("/metrics").text)
          return ["specs-listener", "uplink"].allSatisfy {
            figures.value("hordelink_restarts_total", ["role": $0]) == 1
          }
        }
        #expect(!rehearsal.log.contains("figures cannot be served"))
      }
    }

    @Test func anAddressThatIsTakenIsSaidAndTriedAgain() throws {
      let other = try SilentServer()
      try onStage { settings in
        settings.more["metrics"] = "listen = \"127.0.0.1:\(other.port)\""
      } _: { rehearsal in
        try rehearsal.expectLog("127.0.0.1:\(other.port): Address already in use")
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        other.close()
        try rehearsal.expectLog("figures are served at 127.0.0.1:\(other.port)")
        #expect(try HTTPClient(other.port).get("/healthz").status == 200)
      }
    }
  }
}

/// The whole service, with its figures served at that port.
private func onStageWithMetrics(
  change: (inout Rehearsal.Settings) -> Void = { _ in }, _ body: (Rehearsal, Int) throws -> Void
) throws {
  let free = try SilentServer()
  let port = free.port
  free.close()
  try onStage { settings in
    settings.more["metrics"] = "listen = \"127.0.0.1:\(port)\""
    change(&settings)
  } _: { rehearsal in
    try rehearsal.expectLog("figures are served")
    // The facilitator knows of the connection before Uplink does.
    try rehearsal.expectLog("connected to the facilitator")
    try body(rehearsal, port)
  }
}

/// HTTP/1.1 by hand, on one connection to this machine.
private final class HTTPClient {
  struct Response {
    var status: Int
    /// By their names in lower case.
    var headers: [String: String]
    var text: String
  }

  private let socket: Descriptor
  private var buffer: [UInt8] = []

  init(_ port: Int) throws {
    socket = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    address.sin_port = in_port_t(port).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { throw SystemError("connect", "127.0.0.1:\(port)") }
  }

  func send(_ text: String) throws {
    let bytes = Array(text.utf8)
    let sent = Glibc.send(socket.number, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    guard sent == bytes.count else { throw SystemError("send", "a request") }
  }

  func get(_ path: String) throws -> Response { try ask("GET \(path) HTTP/1.1\r\nhost: h\r\n\r\n") }

  func ask(_ request: String, hasBody: Bool = true) throws -> Response {
    try send(request)
    return try response(hasBody: hasBody)
  }

  func response(hasBody: Bool = true) throws -> Response {
    let end = Array("\r\n\r\n".utf8)
    while buffer.firstRange(of: end) == nil { try more() }
    let head = buffer[..<(buffer.firstRange(of: end)?.lowerBound ?? 0)]
    buffer.removeFirst(head.count + end.count)
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
    }
    let length = hasBody ? Int(headers["content-length"] ?? "") ?? 0 : 0
    while buffer.count < length { try more() }
    let text = String(decoding: buffer.prefix(length), as: UTF8.self)
    buffer.removeFirst(length)
    return Response(status: Int(lines[0].split(separator: " ")[1]) ?? 0, headers: headers, text: text)
  }

  /// Waits until the server has closed the connection; whether nothing came before that.
  func isAtEnd() throws -> Bool {
    guard buffer.isEmpty, try Waiting.readable([socket], milliseconds: 10_000)[0] else { return false }
    do { return try socket.read(upTo: 1)?.isEmpty == true } catch { return error.code == ECONNRESET }
  }

  private func more() throws {
    guard try Waiting.readable([socket], milliseconds: 10_000)[0], let bytes = try socket.read(upTo: 65_536),
      !bytes.isEmpty
    else { throw RehearsalError("no answer from /metrics, but \(String(decoding: buffer, as: UTF8.self))") }
    buffer += bytes
  }
}

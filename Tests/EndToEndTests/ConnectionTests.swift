import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// What stands between hordelink and the facilitator: names, proxies, TLS and silence.
  @Suite struct Connection {
    // MARK: TLS

    @Test func aJobRunsOverTLSWithAnAuthorityOfOnesOwn() throws {
      let certificates = try Certificates()
      try onStage { settings in
        settings.facilitatorArguments = certificates.arguments(.right)
        settings.more["facilitator"] = "ca_file = \"\(certificates.authority)\""
      } _: { rehearsal in
        try rehearsal.runJob()
      }
    }

    @Test(arguments: [
      (Certificates.Kind.selfSigned, "is not signed by an authority in [facilitator] ca_file"),
      (.otherHost, "certificate is not for 127.0.0.1"),
      (.expired, " expired on "),
    ])
    func aWrongCertificateIsRefusedUntilARightOneIsThere(kind: Certificates.Kind, reason: String) throws {
      let certificates = try Certificates()
      try onStage(connected: false) { settings in
        settings.facilitatorArguments = certificates.arguments(kind)
        settings.more["facilitator"] = "ca_file = \"\(certificates.authority)\""
      } _: { rehearsal in
        try rehearsal.expectLog(reason, times: 2)
        try rehearsal.restartFacilitator(certificates.arguments(.right))
        try rehearsal.waitUntilConnected()
        try rehearsal.runJob()
      }
    }

    @Test func anUnknownAuthorityIsRefusedAndTheLogNamesTheSetting() throws {
      let certificates = try Certificates()
      try onStage(connected: false) { settings in
        settings.facilitatorArguments = certificates.arguments(.right)
      } _: { rehearsal in
        try rehearsal.expectLog("name it in [facilitator] ca_file", times: 2)
        #expect(!rehearsal.facilitator.events.contains { $0.name == "connected" })
      }
    }

    @Test func theWrongSchemeAndTheWrongPathAreNamed() throws {
      try onStage(connected: false) { settings in
        settings.url = { "wss" + $0.dropFirst(2) }
      } _: { rehearsal in
        try rehearsal.expectLog("does not speak TLS; check [facilitator] url")
      }
      try onStage(connected: false) { settings in
        settings.url = { $0 + "elsewhere" }
      } _: { rehearsal in
        try rehearsal.expectLog("answered HTTP 404 Not Found; check [facilitator] url")
      }
    }

    // MARK: Proxies

    @Test func aJobRunsThroughAProxyOnceThatLetsItThrough() throws {
      let certificates = try Certificates()
      let proxy = try ConnectProxy(
        credentials: "us:er:pa$$word",
        // With a body, as proxies explain themselves to people.
        answers: ["407 Proxy Authentication Required", "502 Bad Gateway"].map {
          "HTTP/1.1 \($0)\r\nContent-Length: 5\r\n\r\nsorry"
        })
      defer { proxy.close() }
      try onStage { settings in
        settings.facilitatorArguments = certificates.arguments(.right)
        settings.url = { named($0, "localhost") }
        settings.more["facilitator"] = """
          ca_file = "\(certificates.authority)"
          proxy = "http://us:er%3Apa$$word@127.0.0.1:\(proxy.port)"
          """
      } _: { rehearsal in
        try rehearsal.runJob()
        try rehearsal.expectLog("refuses to connect to localhost")
        try rehearsal.expectLog("HTTP 407 Proxy Authentication Required; check the user name and the password")
        try rehearsal.expectLog("HTTP 502 Bad Gateway")
        #expect(!rehearsal.log.contains("pa$$word"))
        #expect(proxy.targets.count == 3)
        #expect(proxy.targets.allSatisfy { $0.hasPrefix("localhost:") })
      }
    }

    /// In each certificate is the address that is connected to, which is the proxy's and proves nothing.
    @Test(arguments: [
      (Certificates.Kind.right, "facilitator.invalid"), (.wildcard, "facilitator.example"),
      (.wildcard, "a.b.facilitator.example"),
    ])
    func theEnvironmentsProxyChangesNothingAboutCertificates(kind: Certificates.Kind, host: String) throws {
      let certificates = try Certificates()
      let proxy = try ConnectProxy(credentials: "user:password")
      defer { proxy.close() }
      try onStage(connected: false) { settings in
        settings.facilitatorArguments = certificates.arguments(kind)
        settings.url = { named($0, host) }
        settings.more["facilitator"] = "ca_file = \"\(certificates.authority)\""
        settings.environment = ["HTTPS_PROXY=http://user:password@127.0.0.1:\(proxy.port)"]
      } _: { rehearsal in
        try rehearsal.expectLog("certificate is not for \(host)", times: 2)
        #expect(proxy.targets.first?.hasPrefix("\(host):") == true)
        #expect(!rehearsal.facilitator.events.contains { $0.name == "connected" })
      }
    }

    @Test func aCertificateForTheNamesBelowAnotherIsTakenForOneOfThem() throws {
      let certificates = try Certificates()
      let proxy = try ConnectProxy(credentials: "user:password")
      defer { proxy.close() }
      try onStage { settings in
        settings.facilitatorArguments = certificates.arguments(.wildcard)
        settings.url = { named($0, "ws.facilitator.example") }
        settings.more["facilitator"] = """
          ca_file = "\(certificates.authority)"
          proxy = "user:password@127.0.0.1:\(proxy.port)"
          """
      } _: { rehearsal in
        try rehearsal.runJob()
      }
    }

    @Test func aProxyThatAnswersNonsenseIsTriedAgain() throws {
      let certificates = try Certificates()
      let proxy = try ConnectProxy(credentials: "user:password", answers: nonsense)
      defer { proxy.close() }
      try onStage(connected: false) { settings in
        settings.facilitatorArguments = certificates.arguments(.right)
        settings.url = { named($0, "localhost") }
        settings.more["facilitator"] = """
          ca_file = "\(certificates.authority)"
          proxy = "user:password@127.0.0.1:\(proxy.port)"
          """
      } _: { rehearsal in
        try rehearsal.expectLog("connected to the facilitator and authenticated", milliseconds: 120_000)
        #expect(proxy.targets.count == nonsense.count + 1)
        #expect(rehearsal.log.contains("is not HTTP"))
        #expect(rehearsal.log.contains("ended the connection without an answer"))
      }
    }

    @Test func aFacilitatorThatAnswersNonsenseIsTriedAgain() throws {
      let facilitator = try ConnectProxy(credentials: "", answers: nonsense)
      defer { facilitator.close() }
      try onStage(connected: false) { settings in
        settings.url = { _ in "ws://127.0.0.1:\(facilitator.port)/ws/v0/" }
      } _: { rehearsal in
        try rehearsal.expectLog("answered HTTP 405 Method Not Allowed", milliseconds: 120_000)
        #expect(facilitator.targets.count >= nonsense.count)
      }
    }

    @Test func aProxyThatIsNotThereIsNamedInItsOwnName() throws {
      let gone = try SilentServer()
      gone.close()
      try onStage(connected: false) { settings in
        settings.url = { named("wss" + $0.dropFirst(2), "localhost") }
        settings.more["facilitator"] = "proxy = \"http://user:secret@127.0.0.1:\(gone.port)\""
      } _: { rehearsal in
        try rehearsal.expectLog("connecting to 127.0.0.1:\(gone.port) failed: 127.0.0.1: Connection refused")
        #expect(!rehearsal.log.contains("secret"))
      }
    }

    // MARK: Names and addresses

    @Test func aNameThatIsNotFoundIsLookedForAgain() throws {
      try onStage(connected: false) { settings in
        settings.url = { _ in "wss://facilitator.invalid/ws/v0/" }
      } _: { rehearsal in
        try rehearsal.expectLog("the name facilitator.invalid is not found", times: 2, milliseconds: 60_000)
        #expect(try rehearsal.report()?.uplink?.state.session == "waiting")
      }
    }

    @Test(.enabled(if: hasIPv6, "this machine has no IPv6 loopback address"))
    func aJobRunsOverIPv6() throws {
      try onStage { settings in
        settings.facilitatorArguments = ["--listen", "[::1]:0"]
      } _: { rehearsal in
        #expect(rehearsal.facilitator.events.first?.text("url").hasPrefix("ws://[::1]:") == true)
        try rehearsal.runJob()
      }
    }

    // MARK: Silence

    /// One test, so that three deadlines pass at the same time.
    @Test func aSilentFacilitatorIsGivenUpAndTriedAgain() throws {
      let servers = [try SilentServer(), try SilentServer()]
      try onStage(connected: false) { settings in
        settings.url = { _ in "ws://127.0.0.1:\(servers[0].port)/ws/v0/" }
      } _: { noUpgrade in
        try onStage(connected: false) { settings in
          settings.url = { _ in "wss://127.0.0.1:\(servers[1].port)/ws/v0/" }
        } _: { noHandshake in
          try onStage(connected: false) { settings in
            settings.facilitatorArguments = ["--delay-ms", "86400000"]
          } _: { noAnswer in
            try noUpgrade.expectLog("no answer to the WebSocket request from 127.0.0.1:", milliseconds: 40_000)
            try noHandshake.expectLog("no TLS handshake from 127.0.0.1:", milliseconds: 40_000)
            servers[0].close()
            try noUpgrade.restartFacilitator(["--listen", "127.0.0.1:\(servers[0].port)"])
            try noUpgrade.waitUntilConnected()
            try noUpgrade.runJob()
            try noAnswer.expectLog("no answer to the authentication within", milliseconds: 60_000)
            try noAnswer.facilitator.tell([("command", .string("delay")), ("milliseconds", .integer(0))])
            // Those that came during the delay have been authenticated as well, and dropped since.
            try noAnswer.expectLog("connected to the facilitator and authenticated", milliseconds: 40_000)
            try noAnswer.runJob()
          }
        }
      }
    }

    /// With the first byte of the request for the WebSocket, or of TLS's handshake (RFC 8446, section 5.1).
    @Test(arguments: [("ws", UInt8(ascii: "G")), ("wss", 22)])
    func aStopDoesNotWaitForASilentFacilitator(scheme: String, first: UInt8) throws {
      let server = try SilentServer()
      defer { server.close() }
      try onStage(connected: false) { settings in
        settings.url = { _ in "\(scheme)://127.0.0.1:\(server.port)/ws/v0/" }
      } _: { rehearsal in
        let connection = try #require(server.accept())
        #expect(try connection.read(upTo: 1) == [first])
        #expect(try rehearsal.stopSupervisor().code == 0)
        #expect(rehearsal.log.contains("uplink exited with code 0"))
      }
    }

    @Test func itComesBackWhenItIsClosedRightAfterItsAuthentication() throws {
      try onStage { settings in
        settings.facilitatorArguments = ["--close-code", "3000"]
      } _: { rehearsal in
        try rehearsal.expectLog("the facilitator closed with code 3000")
        try rehearsal.expectLog("connected to the facilitator and authenticated", times: 2)
        try rehearsal.runJob()
      }
    }
  }
}

/// What no proxy and no facilitator should answer.
private let nonsense = [
  "", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n\r\n\u{81}\u{5}hello",
]

/// The URL with another name in place of 127.0.0.1.
private func named(_ url: String, _ host: String) -> String {
  url.replacing("127.0.0.1", with: host)
}

private let hasIPv6: Bool = {
  let text = (try? Files.read("/proc/net/if_inet6", limit: 65_536)) ?? []
  return String(decoding: text, as: UTF8.self).contains("00000000000000000000000000000001 ")
}()

extension Rehearsal {
  /// Has the facilitator send a job, reports all of it, and waits until that has arrived.
  fileprivate func runJob() throws {
    let job = try startJob()
    let worker = worker(job)
    for status in reported { try worker.acknowledged(status) }
    try expectAccepted(job, [.received] + reported)
  }
}

import Glibc
import MessagePack
import Messages
import Platform
import Redis
import Rehearsal
import Stage
import Synchronization
import Testing
import WorkerClient

extension Hostile {
  /// What a Redis may do to a job's Listener, to Uplink and to a dispatcher.
  @Suite struct RedisAttacks {
    /// What a server may send flat out. Each is more than any answer has.
    static let floods: [(name: String, text: String)] = [
      ("an array of empty strings", "$0\r\n\r\n"), ("an array of numbers", ":1\r\n"), ("arrays of arrays", "*1\r\n"),
      ("a string without end", "xxxxxxxx"), ("a line without end", "xxxxxxxx"),
      ("answers that were not asked for", "+OK\r\n"),
      ("messages that are none", "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$4\r\nnone\r\n"),
      ("a message of half a gigabyte", "xxxxxxxx"),
    ]

    private static func begin(_ name: String) -> String {
      switch name {
      case "an array of empty strings", "an array of numbers": "*1000000000\r\n"
      case "a string without end": "$536870912\r\n"
      case "a line without end": "-ERR "
      case "a message of half a gigabyte": "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$500000000\r\n"
      default: ""
      }
    }

    @Test(arguments: floods.indices) func aRedisThatFloodsCostsAListenerLittle(_ index: Int) throws {
      let (name, text) = Self.floods[index]
      let redis = try HostileRedis { connection in
        try connection.subscribe()
        try connection.send(Self.begin(name))
        try connection.flood(text, upTo: 48 << 20)
        try connection.waitForEnd()
      }
      defer { redis.close() }
      try onStage { settings in
        settings.more["channel"] = "kind = \"redis\"\nredis_url = \"redis://127.0.0.1:\(redis.port)\""
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        try rehearsal.expectPeakMemoryWithinBounds("a Redis that sends \(name)")
        let lines = rehearsal.log.split(separator: "\n").count
        #expect(lines < 400, "\(lines) lines")
      }
    }

    @Test(arguments: floods.indices) func aRedisThatFloodsCostsUplinkLittle(_ index: Int) throws {
      let (name, text) = Self.floods[index]
      let results = try HostileRedis { connection in
        _ = try connection.words()
        try connection.send(Self.begin(name))
        try connection.flood(text, upTo: 256 << 20)
        try connection.waitForEnd()
      }
      defer { results.close() }
      let broker = try HostileRedis { connection in
        _ = try connection.words()
        // As the script answers: pushed.
        try connection.send("*1\r\n:1\r\n")
        try connection.waitForEnd()
      }
      defer { broker.close() }
      try onStage { settings in
        settings.more["dispatch"] = """
          kind = "celery"
          broker_url = "redis://127.0.0.1:\(broker.port)/0"
          result_url = "redis://127.0.0.1:\(results.port)/0"
          task = "t"
          queue = "q"
          """
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        for status in reported.prefix(4) { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectLog("the results of tasks cannot be read")
        try rehearsal.worker(job).acknowledged(.completed)
        try rehearsal.expectAccepted(job, [.received] + reported)
        try rehearsal.expectPeakMemoryWithinBounds("results that send \(name)")
      }
    }

    /// Sends what is no update, through a real server and before everything else that is there, until it is told to stop.
    private final class Flood: Sendable {
      private let isOver = Atomic(false)
      private let rounds = Atomic(0)

      init(_ layer: RedisLayer, of job: JobID, through redis: RedisProcess) throws {
        let socket = redis.socket
        try BackgroundThread.start { [self] in
          guard let client = try? RedisClient(socket: socket) else { return }
          while !isOver.load(ordering: .relaxed), (try? Self.send(layer, of: job, through: client)) != nil {
            rounds.add(1, ordering: .relaxed)
          }
        }
      }

      private static func send(_ layer: RedisLayer, of job: JobID, through client: RedisClient) throws {
        switch layer {
        case .core:
          let key = RedisClient.key(of: job)
          // As many as a set takes of senders that count.
          guard (try client.command("ZCARD", key).integer ?? 0) < 50_000 else { return }
          let members = (0..<100).flatMap { _ in
            [Array("0".utf8), (0..<20).map { _ in UInt8.random(in: 0 ... .max) }]
          }
          _ = try client.command(RedisCommand([Array("ZADD".utf8), Array(key.utf8)] + members))
        case .pubsub:
          let script = "for i = 1, 100 do redis.call('PUBLISH', KEYS[1], 'none') end"
          _ = try client.command("EVAL", script, "1", RedisChannelSettings.channel(job))
        }
      }

      /// How often it has sent.
      var count: Int { rounds.load(ordering: .relaxed) }

      func stop() { isOver.store(true, ordering: .relaxed) }
    }

    @Test(arguments: RedisLayer.allCases) func whoeverSendsWithoutEndWithholdsNoExit(_ layer: RedisLayer) throws {
      guard RedisProcess.isThere else { return print("skipped: \(RedisProcess.program) is not there") }
      let redis = try RedisProcess(["--client-output-buffer-limit", "pubsub", "0", "0", "0"])
      defer { redis.tearDown() }
      try onStage { settings in
        settings.more["channel"] =
          "kind = \"redis\"\nredis_layer = \"\(layer)\"\nredis_url = \"unix://\(redis.socket)\""
        settings.commandsRunUntilTold()
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        _ = try rehearsal.runningCommand(job)
        let flood = try Flood(layer, of: job, through: redis)
        defer { flood.stop() }
        try rehearsal.expectLog("a worker's message is refused", times: 50)
        let before = flood.count
        try rehearsal.endCommands()
        try rehearsal.expectAccepted(job, [.received, .hordeFailed])
        #expect(flood.count > before)
        #expect(!rehearsal.log.contains("the next attempt is in"))
        try rehearsal.expectPeakMemoryWithinBounds("a flood through Redis, \(layer)")
      }
    }

    /// The Listener has all it may hold while it connects, and has room again before the server accepts it.
    @Test func aConnectionThatComesAboutAfterAPauseIsUsedAtOnce() throws {
      let server = try SilentServer()
      defer { server.close() }
      let accepted = Mailbox<Descriptor>()
      try BackgroundThread.start {
        // That of machine specs, and the job's.
        for _ in 0..<2 {
          guard let socket = server.accept() else { return }
          try? HostileRedisConnection(socket).subscribe()
          accepted.put(socket)
        }
      }
      try onStage { settings in
        settings.more["channel"] =
          "kind = \"redis\"\nredis_url = \"redis://127.0.0.1:\(server.port)\"\nmax_frame_bytes = 65536"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        var connections: [Descriptor] = []
        while connections.count < 2, let (more, _) = accepted.takeAll() { connections += more }
        // As many as the server's backlog takes: whoever comes then is not answered.
        let waiting = try (0...SilentServer.backlog).map { _ in
          try InternetSocket.connect(to: "127.0.0.1", port: server.port)
        }
        connections.removeLast()
        try rehearsal.until("a Listener that connects") { _, _ in try Self.isConnecting(to: server.port) }
        let uplink = try rehearsal.readyChild("uplink")
        ProcessTable.signal(pid_t(uplink.pid), SIGSTOP)
        let metadata = MessagePackValue.map([
          MessagePackPair(
            .string("miner_response"),
            .map([
              MessagePackPair(.string("docker_process_stdout"), .string(String(repeating: "x", count: 50_000))),
              MessagePackPair(.string("docker_process_stderr"), .string("")),
            ]))
        ])
        let workers = try [JobStatus.accepted, .executorReady].map { status in
          let connection = FrameConnection(
            try UnixSocket.connect(to: rehearsal.workerSocket(job)), limit: 1 << 16, outgoingLimit: 1 << 20)
          try connection.send(WorkerUpdateFrame.encode(id: 1, job: job, status: status.name, metadata: metadata))
          return connection
        }
        try rehearsal.until("a Listener that has read them") { _, _ in
          for worker in workers { try worker.flush() }
          return try workers.allSatisfy { try !$0.wantsToWrite && Self.unreadBytes(sentOver: $0.socket) == 0 }
        }
        ProcessTable.signal(pid_t(uplink.pid), SIGCONT)
        try rehearsal.expectAccepted(job, [.received, .accepted, .executorReady])
        for _ in waiting { _ = server.accept() }
        let again = HostileRedisConnection(try #require(server.accept()))
        try again.subscribe()
        try again.send("*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n")
        let message = RedisClient.message(job, .completed, .null)
        try again.send(Array("$\(message.count)\r\n".utf8) + message + Array("\r\n".utf8))
        try rehearsal.expectAccepted(job, [.received, .accepted, .executorReady, .completed])
        #expect(!rehearsal.log.contains("no connection within"))
        withExtendedLifetime(connections) {}
      }
    }

    /// Whether a connection to this port of the loopback interface waits to be answered. Source: proc(5), /proc/net/tcp.
    private static func isConnecting(to port: Int) throws -> Bool {
      let address = "0100007F:" + String(port, radix: 16, uppercase: true)
      return String(decoding: try Files.read("/proc/net/tcp", limit: 16 << 20), as: UTF8.self).split(separator: "\n")
        .contains { line in
          let words = line.split(separator: " ")
          return words.count > 3 && words[2] == address && words[3] == "02"
        }
    }

    /// How much the other side has not read yet of what was sent over this socket, in bytes (unix(7), SIOCOUTQ).
    private static func unreadBytes(sentOver socket: Descriptor) throws -> Int {
      var count: Int32 = 0
      guard ioctl(socket.number, UInt(TIOCOUTQ), &count) == 0 else { throw SystemError("ioctl", "SIOCOUTQ") }
      return Int(count)
    }
  }
}

import Messages
import Platform
import Rehearsal
import Stage
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
  }
}

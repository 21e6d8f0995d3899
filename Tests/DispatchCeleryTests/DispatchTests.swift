import CeleryMessages
import Glibc
import Messages
import Platform
import Redis
import Rehearsal
import Stage
import TestSupport
import Testing

/// Runs `body` with a redis-server of its own, where there is one.
func withRedis(_ arguments: [String] = [], _ body: (RedisProcess) throws -> Void) throws {
  guard RedisProcess.isThere else {
    print("skipped: \(RedisProcess.program) is not there")
    return
  }
  let redis = try RedisProcess(arguments)
  defer { redis.tearDown() }
  try body(redis)
}

extension RedisProcess {
  var server: RedisServer { RedisServer(place: .socket(socket)) }

  /// The ids of the tasks in the queue, in the order in which workers would take them.
  var queued: [String] {
    get throws {
      let messages = try command("LRANGE", Sample.queue, "0", "-1").elements ?? []
      return try messages.reversed().map { message in
        let message = try Sample.read(try #require(message.bytes))
        return try #require(message["headers"]?["id"]?.stringValue)
      }
    }
  }
}

/// The program against a real Redis.
@Suite(.serialized) struct DispatchTests {
  @Test func aTaskIsPushedOnceHoweverOftenItIsOrdered() throws {
    try withRedis { redis in
      let order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      let first = try Dispatcher.run(order)
      #expect(first == .init(code: 0, output: "task \(Sample.id(1)) is in the queue organic_jobs\n", errors: ""))
      let again = "task \(Sample.id(1)) was put into the queue organic_jobs before\n"
      #expect(try Dispatcher.run(order) == .init(code: 0, output: again, errors: ""))
      #expect(try redis.queued == [Sample.id(1)])
      let bindings = try redis.command("SMEMBERS", "_kombu.binding.organic_jobs")
      #expect(bindings == .array([.bytes(Array("organic_jobs\u{6}\u{16}\u{6}\u{16}organic_jobs".utf8))]))
      let left = try redis.command("TTL", QueueScript.marker(of: Sample.id(1))).integer ?? -1
      #expect((1...600).contains(left))

      // Also when a worker has taken it.
      _ = try redis.command("RPOP", Sample.queue)
      #expect(try Dispatcher.run(order).output == again)
      #expect(try redis.queued == [])
      #expect(try redis.keys.sorted() == ["_kombu.binding.organic_jobs", QueueScript.marker(of: Sample.id(1))])
    }
  }

  @Test func tasksAreTakenInTheirOrder() throws {
    try withRedis { redis in
      let ids = (1...100).map(Sample.id)
      _ = try Dispatcher.run(Sample.order([(ids[4], "5")], to: redis.server))
      let result = try Dispatcher.run(Sample.order(ids.map { ($0, "1") }, to: redis.server))
      #expect(result.output == "100 tasks are in the queue organic_jobs, 1 of them since before\n")
      #expect(try redis.queued == [ids[4]] + ids[..<4] + ids[5...])
    }
  }

  /// Many get the same order at once, and most are killed at some moment.
  @Test func whoeverIsKilledATaskIsPushedOnce() throws {
    var random = SplitMix64(state: testSeed("whoeverIsKilledATaskIsPushedOnce"))
    try withRedis { redis in
      for round in 1...40 as ClosedRange<UInt64> {
        let ids = (1...5).map { Sample.id(round * 100 + $0) }
        let order = Sample.order(ids.map { ($0, "\"\(String(repeating: "x", count: 20_000))\"") }, to: redis.server)
        let dispatchers = try (0..<6).map { _ in try Dispatcher(order) }
        for dispatcher in dispatchers.dropLast() {
          _ = try dispatcher.process.wait(milliseconds: .random(in: 0...4, using: &random))
          dispatcher.process.signal(SIGKILL)
        }
        #expect(try dispatchers[5].result().code == 0)
        for dispatcher in dispatchers { _ = try dispatcher.result() }
        #expect(try redis.queued == ids, "round \(round)")
        _ = try redis.command("DEL", Sample.queue)
      }
    }
  }

  @Test func everyKindOfPlaceIsReached() throws {
    try withRedis { redis in
      _ = try redis.command("ACL", "SETUSER", "hordelink", "on", ">s3cret", "~*", "+@all")
      let places: [RedisServer.Place] = [
        .socket(redis.socket), .address("127.0.0.1", port: redis.port), .name("localhost", port: redis.port),
      ]
      for (number, place) in places.enumerated() {
        let server = RedisServer(place: place, username: "hordelink", password: "s3cret", database: 3)
        let result = try Dispatcher.run(Sample.order([(Sample.id(UInt64(number)), "1")], to: server))
        #expect(result.code == 0, "\(server): \(result.errors)")
      }
      #expect(try redis.keys == [])
      #expect(try redis.command("SWAPDB", "0", "3") == .status("OK"))
      #expect(try redis.queued == (0..<3).map(Sample.id))
    }
  }

  @Test func aWholeRequestOfTheLargestSizeIsPushed() throws {
    try withRedis { redis in
      let contents = String(repeating: "A", count: Limits.facilitatorFrameBytes - 2)
      let result = try Dispatcher.run(Sample.order([(Sample.id(1), "\"\(contents)\"")], to: redis.server))
      #expect(result.code == 0, "\(result.errors)")
      let pushed = try redis.command("LINDEX", Sample.queue, "0").bytes
      let message = try Sample.read(try #require(pushed))
      #expect(try Sample.body(message) == "[[\"\(contents)\"], {}, \(Sample.embedded)]")
    }
  }
}

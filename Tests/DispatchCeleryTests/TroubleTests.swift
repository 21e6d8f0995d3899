import CeleryMessages
import Glibc
import Messages
import Platform
import Redis
import Rehearsal
import Stage
import TestSupport
import Testing

/// What can be in the program's way, and the exit code that tells the Supervisor whether to try again.
@Suite(.serialized) struct TroubleTests {
  private let secret = "s3cret-s3cret"

  /// Runs it, and expects that it may be tried again.
  private func expectTemporary(_ order: TaskOrder, saying words: String) throws {
    let result = try Dispatcher.run(order)
    #expect(result.code == ExitCode.temporary && result.output == "")
    #expect(result.errors.contains(words) && result.errors.contains("\(order.broker)"), "\(result.errors)")
    #expect(result.errors.count { $0 == "\n" } == 1 && !result.errors.contains(secret), "\(result.errors)")
  }

  @Test func aBrokerThatIsAwayIsTriedAgain() throws {
    try withRedis { redis in
      let order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      var other = order
      other.broker.place = .address("127.0.0.1", port: redis.port)
      try redis.kill()
      try expectTemporary(order, saying: "cannot connect")
      try expectTemporary(other, saying: "Connection refused")
      other.broker.place = .name("no-such-host.invalid", port: 6379)
      try expectTemporary(other, saying: "cannot connect")
      try redis.startAgain()
      #expect(try Dispatcher.run(order).code == 0)
      #expect(try redis.queued == [Sample.id(1)])
    }
  }

  @Test func aBrokerThatHangsIsTriedAgainAndPushesOnce() throws {
    try withRedis { redis in
      let order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      redis.signal(SIGSTOP)
      try expectTemporary(order, saying: "nothing for 10 s")
      redis.signal(SIGCONT)
      // What it was sent may be carried out now.
      #expect(try Dispatcher.run(order).code == 0)
      #expect(try redis.queued == [Sample.id(1)])
    }
  }

  @Test func whoMayNotIsTold() throws {
    try withRedis { redis in
      var order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      order.broker.password = secret
      try expectTemporary(order, saying: "ERR AUTH")
      order.broker.username = "hordelink"
      try expectTemporary(order, saying: "WRONGPASS")
      _ = try redis.command("ACL", "SETUSER", "hordelink", "on", ">\(secret)", "~*", "+@all", "-lpush")
      for _ in 1...2 { try expectTemporary(order, saying: "can't run this command") }
      #expect(try redis.queued == [])
      _ = try redis.command("ACL", "SETUSER", "hordelink", "+lpush")
      #expect(try Dispatcher.run(order).code == 0)
      #expect(try redis.queued == [Sample.id(1)])
      order.broker.database = 99
      try expectTemporary(order, saying: "ERR DB index")
      _ = try redis.command("CONFIG", "SET", "requirepass", "x")
      try expectTemporary(Sample.order([(Sample.id(2), "1")], to: redis.server), saying: "NOAUTH")
    }
  }

  @Test func aPasswordThatTheBrokerRepeatsIsNotSaid() throws {
    try withRedis(["--rename-command", "AUTH", "HIDDEN"]) { redis in
      var order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      order.broker.password = secret
      try expectTemporary(order, saying: "ERR unknown command 'AUTH'")
    }
  }

  @Test func aBrokerThatTakesNoWritesIsTriedAgain() throws {
    try withRedis { redis in
      let order = Sample.order([(Sample.id(1), "1")], to: redis.server)
      for (trouble, mended, words) in [
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"], "READONLY"),
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"], "OOM"),
        (["SET", Sample.queue, "no list"], ["DEL", Sample.queue], "WRONGTYPE"),
      ] {
        _ = try redis.command(RedisCommand(trouble.map { Array($0.utf8) }))
        // Twice: a marker that the first has left is not to look like a push.
        for _ in 1...2 { try expectTemporary(order, saying: words) }
        _ = try redis.command(RedisCommand(mended.map { Array($0.utf8) }))
        #expect(try redis.queued == [])
      }
      #expect(try Dispatcher.run(order).code == 0)
      #expect(try redis.queued == [Sample.id(1)])
    }
  }

  @Test(arguments: ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n", "*1\r\n:7\r\n", "$-1\r\n", "*-1\r\n", ":1\r\n"])
  func whatIsNoRedisIsTriedAgain(answer: String) throws {
    let folder = try Rehearsal.makeFolder("broker-")
    defer { Rehearsal.removeTree(folder) }
    let listening = try UnixSocket.listen(at: folder + "/sock", mode: 0o600)
    let order = Sample.order([(Sample.id(1), "1")], to: RedisServer(place: .socket(folder + "/sock")))
    let dispatcher = try Dispatcher(order)
    #expect(try Waiting.readable([listening], milliseconds: 10_000)[0])
    do {
      let accepted = try UnixSocket.accept(listening)
      let connection = ByteConnection(try #require(accepted))
      // What is closed with something unread is reset, which takes our answer with it.
      #expect(try Waiting.readable([connection.socket], milliseconds: 10_000)[0])
      _ = try connection.read()
      try connection.send(Array(answer.utf8))
    }
    let result = try dispatcher.result()
    #expect(result.code == ExitCode.temporary && result.errors.contains(folder), "\(result)")
  }

  @Test func anOrderThatCanNeverBecomeATaskIsRefused() throws {
    var orders = [TaskOrder](repeating: Sample.order([(Sample.id(1), "{}")]), count: 6)
    orders[0].areJobRequests = true
    orders[1].moreArguments = "{}"
    orders[2].keywordArguments = "[]"
    orders[3].markerSeconds = 0
    orders[4].tasks = []
    orders[5].tasks.append(TaskOrder.Task(id: Sample.id(2), argument: [0xff]))
    for order in orders {
      let result = try Dispatcher.run(order)
      #expect(result.code == ExitCode.data && result.output == "", "\(result)")
      #expect(result.errors.hasPrefix("hordelink-dispatch-celery: ") && result.errors.count { $0 == "\n" } == 1)
    }
  }

  @Test func startedByHandItSaysSo() throws {
    let order = Sample.order([(Sample.id(1), "1")]).frame(generation: .none)
    for dispatcher in [try Dispatcher([]), try Dispatcher(order, arguments: ["--help"])] {
      let result = try dispatcher.result()
      #expect(result.code == ExitCode.usage && result.errors.contains("hordelink-supervisor"), "\(result)")
    }
  }

  @Test func inputThatIsNoOrderIsRefused() throws {
    let seed = testSeed("inputThatIsNoOrderIsRefused")
    var random = SplitMix64(state: seed)
    let order = Sample.order([(Sample.id(1), "1"), (Sample.id(2), "[2]")]).frame(generation: .none)
    var inputs: [[UInt8]] = [
      [0], [0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], Array(order.dropLast()), order + [0], order + order,
      [UInt8](repeating: 0, count: Limits.taskOrderBytes + 100_000), order.dropFirst(4) + [],
    ]
    inputs += (0..<20).map { _ in random.bytes(.random(in: 1...200, using: &random)) }
    for input in inputs {
      let result = try Dispatcher(input).result()
      #expect(result.code == ExitCode.software, "seed \(seed): \(input.prefix(300)): \(result)")
    }
    // One byte of a good order is another: it is an order all the same, or it is refused. It never crashes.
    for _ in 0..<60 {
      var input = order
      input[.random(in: input.indices, using: &random)] = .random(in: 0 ... .max, using: &random)
      let result = try Dispatcher(input).result()
      let codes = [ExitCode.software, ExitCode.data, ExitCode.temporary]
      #expect(result.code.map(codes.contains) == true, "seed \(seed): \(input): \(result)")
    }
  }
}

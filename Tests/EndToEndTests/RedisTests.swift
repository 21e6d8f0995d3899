import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

/// Runs `body` with the whole service up on a Redis of its own, where there is one.
///
/// - Parameter url: with SOCKET and PORT for the server's.
func onRedis(
  _ layer: String, arguments: [String] = [], url: String = "unix://SOCKET",
  _ body: (Rehearsal, RedisProcess) throws -> Void
) throws {
  guard RedisProcess.isThere else {
    print("skipped: \(RedisProcess.program) is not there")
    return
  }
  let redis = try RedisProcess(arguments)
  defer { redis.tearDown() }
  let url = url.replacing("SOCKET", with: redis.socket).replacing("PORT", with: "\(redis.port)")
  try onStage { settings in
    settings.more["channel"] = "kind = \"redis\"\nredis_layer = \"\(layer)\"\nredis_url = \"\(url)\""
  } _: { rehearsal in
    try body(rehearsal, redis)
  }
}

extension EndToEnd {
  /// Workers that report through a real Redis.
  @Suite struct RedisChannels {
    @Test func theCoreLayersMessagesArriveInOrderAndNoneIsLeft() throws {
      try onRedis("core") { rehearsal, redis in
        let job = try rehearsal.startJob()
        for status in reported { try redis.add(status, of: job) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        try rehearsal.until("the end of its keys") { _, _ in try redis.keys.isEmpty }
      }
    }

    @Test func thePubsubLayersMessagesArriveInOrderAndNobodyStaysSubscribed() throws {
      // By a name, which Uplink resolves.
      try onRedis("pubsub", url: "redis://localhost:PORT/0") { rehearsal, redis in
        let job = try rehearsal.startJob()
        for status in reported { #expect(try redis.publish(status, of: job) == 1) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        try rehearsal.until("the end of its subscription") { _, _ in
          try !redis.channels.contains(RedisChannelSettings.channel(job))
        }
      }
    }

    @Test func bothChannelsOfAJobAreHeard() throws {
      try onRedis("core") { rehearsal, redis in
        let job = try rehearsal.startJob()
        try redis.add(.accepted, of: job)
        try rehearsal.expectAccepted(job, [.received, .accepted])
        try rehearsal.worker(job).acknowledged(.completed)
        try rehearsal.expectAccepted(job, [.received, .accepted, .completed])
      }
    }

    @Test func whatIsNoUpdateIsSaidAndTheNextOneHeard() throws {
      try onRedis("core") { rehearsal, redis in
        let job = try rehearsal.startJob()
        try redis.add(Array("nonsense".utf8), to: "asgi" + RedisChannelSettings.channel(job))
        try redis.add(.accepted, of: job)
        try rehearsal.expectAccepted(job, [.received, .accepted])
        try rehearsal.expectLog("a worker's message is refused (malformed)")
      }
    }

    @Test func listenersKilledWhileTheyReadLoseNothingOfTheCoreLayer() throws {
      try onRedis("core") { rehearsal, redis in
        var random = SplitMix64(state: testSeed("Listeners killed over Redis"))
        for _ in 0..<10 {
          let job = try rehearsal.startJob()
          let killedAfter = Int.random(in: 0..<reported.count, using: &random)
          for (index, status) in reported.enumerated() {
            try redis.add(status, of: job)
            if index == killedAfter { try rehearsal.kill("listener", job: job) }
          }
          try rehearsal.expectAccepted(job, [.received] + reported)
        }
      }
    }

    @Test func aRedisThatIsKilledAndStartedAgainIsHeardAgain() throws {
      try onRedis("core", arguments: ["--appendonly", "yes", "--appendfsync", "always"]) { rehearsal, redis in
        let job = try rehearsal.startJob()
        try redis.add(.accepted, of: job)
        try rehearsal.expectAccepted(job, [.received, .accepted])
        try redis.kill()
        try rehearsal.expectLog("the next attempt is in")
        try redis.startAgain()
        for status in reported.dropFirst() { try redis.add(status, of: job) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    @Test func aWrongPasswordIsSaidAndKeptOutOfTheLog() throws {
      try onRedis("core", arguments: ["--requirepass", "right"], url: "unix://:wrong@SOCKET") {
        rehearsal, _ in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job, limits: [60, 60, 60, 60])
        try rehearsal.expectAccepted(job, [.received])
        try rehearsal.expectLog("it says WRONGPASS")
        #expect(!rehearsal.log.contains("unix://:wrong"))
      }
    }
  }
}

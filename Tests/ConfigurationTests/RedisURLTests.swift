import Configuration
import Testing

@Suite struct RedisURLTests {
  @Test func everyPart() throws {
    let url = try RedisURL("redis://us%40er:p%3Aw@Redis.Example:6380/3")
    #expect(url.place == .host("redis.example", port: 6380, isName: true))
    #expect(url.username == "us@er" && url.password == "p:w" && url.database == 3)
    #expect(url.description == "redis://redis.example:6380/3")
  }

  @Test func whatMayBeLeftOut() throws {
    let url = try RedisURL("redis://:pw@127.0.0.1")
    #expect(url.place == .host("127.0.0.1", port: 6379, isName: false))
    #expect(url.username == nil && url.password == "pw" && url.database == 0)
    #expect(try RedisURL("redis://[::1]:7/").description == "redis://[::1]:7/0")
  }

  @Test func aUnixSocket() throws {
    let url = try RedisURL("unix://:pw@/run/redis/redis-server.sock?db=2")
    #expect(url.place == .socket("/run/redis/redis-server.sock") && url.password == "pw" && url.database == 2)
    #expect(try RedisURL("unix:///r").description == "unix:///r?db=0")
  }

  @Test(arguments: [
    ("rediss://h", "TLS to Redis is not supported"), ("http://h", "redis:// or unix://"),
    ("h:6379", "redis:// or unix://"),
    ("redis://user@h", "password"), ("redis://h/x", "number of a database"), ("redis://h/-1", "number of a database"),
    ("redis://h?db=1", "follows a /"), ("redis://:%zz@h", "percent-encoded"), ("unix://host/r", "three slashes"),
    ("unix://r", "absolute path"), ("unix:///r?x=1", "?db=NUMBER"),
    ("unix:///" + String(repeating: "r", count: 107), "107 bytes"), ("unix:///a b", "spaces"),
  ])
  func whatIsWrong(text: String, part: String) {
    do throws(InvalidText) {
      _ = try RedisURL(text)
      Issue.record("\(text) is taken")
    } catch {
      #expect(error.description.contains(part), "\(error)")
    }
  }
}

import Decisions
import Redis
import RedisReading

/// What a Redis server says, in pieces.
func fuzzRedis(_ bytes: [UInt8]) throws(Finding) {
  let limit = 4096
  guard let reader = try? RedisReader(limit: limit) else { return }
  var rest = bytes.dropFirst()
  let piece = 1 + Int(bytes.first ?? 0)
  while !rest.isEmpty {
    do throws(RedisProtocolError) {
      try reader.feed(Array(rest.prefix(piece)))
      while let reply = try reader.next() { use(reply) }
    } catch { return try hold(!error.description.isEmpty, "no reason") }
    rest = rest.dropFirst(piece)
  }
}

/// Everything that looks into a reply.
private func use(_ reply: RedisReply) {
  _ = reply.refusal
  for element in reply.elements ?? [] { use(element) }
}

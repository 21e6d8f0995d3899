import Redis

/// The steps that a Listener has the server take with the core layer's sets.
enum RedisScripts {
  /// Puts back what an original receiver has taken and not finished. Source: channels_redis 4.2.0, core.py.
  static func takeBack(from inFlight: [UInt8], to key: [UInt8]) -> RedisCommand {
    RedisCommand(
      "EVAL",
      """
      local left = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
      for i = 1, #left, 2 do redis.call('ZADD', KEYS[1], left[i + 1], left[i]) end
      redis.call('DEL', KEYS[2])
      return #left
      """, "2"
    ).with(key).with(inFlight)
  }

  /// Gives the set another key, unless that has one already: whatever is sent from then on is not among it.
  static func setAside(_ key: [UInt8], as aside: [UInt8]) -> RedisCommand {
    RedisCommand(
      "EVAL",
      """
      if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
      return redis.call('RENAMENX', KEYS[1], KEYS[2])
      """, "2"
    ).with(key).with(aside)
  }

  /// Reads the lowest of a set, as many as are together no larger than one may be. One that is larger than that is taken
  /// out: nobody else would, and nothing behind it would be read. Answers how many of those there were, and the others.
  ///
  /// - Parameters:
  ///   - count: how many at most.
  ///   - bytes: how large one may be.
  static func lowest(of key: [UInt8], count: Int, bytes: Int) -> RedisCommand {
    RedisCommand(
      "EVAL",
      """
      local answer, bytes = {0}, 0
      for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[1])) do
        if #member > tonumber(ARGV[2]) then
          redis.call('ZREM', KEYS[1], member)
          answer[1] = answer[1] + 1
        else
          bytes = bytes + #member
          if bytes > tonumber(ARGV[2]) then break end
          answer[#answer + 1] = member
        end
      end
      return answer
      """, "1"
    ).with(key).with(Array("\(count - 1)".utf8)).with(Array("\(bytes)".utf8))
  }
}

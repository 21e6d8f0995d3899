import Messages

extension RedisServer {
  /// What is said first on each connection: who we are, and which database is meant. Holds the password.
  public var greeting: [RedisCommand] {
    var commands: [RedisCommand] = []
    if let password {
      commands.append(username.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password))
    }
    if database != 0 { commands.append(RedisCommand("SELECT", "\(database)")) }
    return commands
  }
}

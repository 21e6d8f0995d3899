/// What is fed with bytes: a parser of what others send, or a core whose events the bytes decide.
public enum FuzzTarget: String, CaseIterable, Sendable {
  /// A worker's stream: frames, MessagePack, an update or specs.
  case worker
  /// Our own frames, of every conversation.
  case frames
  case messagePack
  case json
  /// A job request, a cheat report or an answer.
  case facilitator
  /// What a Redis server says, as it is read and as it is taken by a channel and for a task's result.
  case redis
  case hotkey
  case configuration
  /// Values in the rows of the record.
  case rows
  case session
  case outbox
  case redisChannel
  case listener
  case uplink
  case supervisor

  /// Feeds it. A trap, or what is thrown, is a finding.
  ///
  /// - Throws: ``Finding``.
  public func run(_ bytes: [UInt8]) throws(Finding) {
    switch self {
    case .worker: try fuzzWorker(bytes)
    case .frames: try fuzzFrames(bytes)
    case .messagePack: try fuzzMessagePack(bytes)
    case .json: try fuzzJSON(bytes)
    case .facilitator: try fuzzFacilitator(bytes)
    case .redis: try fuzzRedis(bytes)
    case .hotkey: try fuzzHotkey(bytes)
    case .configuration: try fuzzConfiguration(bytes)
    case .rows: try fuzzRows(bytes)
    case .session: try fuzzSession(bytes)
    case .outbox: try fuzzOutbox(bytes)
    case .redisChannel: try fuzzRedisChannel(bytes)
    case .listener: try fuzzListener(bytes)
    case .uplink: try fuzzUplink(bytes)
    case .supervisor: try fuzzSupervisor(bytes)
    }
  }
}

/// Something that must not be, whatever the bytes are.
public struct Finding: Error, CustomStringConvertible {
  public var description: String

  init(_ description: String) { self.description = description }
}

/// Throws a finding where `condition` does not hold.
func hold(_ condition: Bool, _ broken: @autoclosure () -> String) throws(Finding) {
  if !condition { throw Finding(broken()) }
}

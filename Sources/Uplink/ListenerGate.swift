import Decisions
import Identity
import JSON
import Journal
import Logging
import Messages
import NIOCore

/// Lets in the Listeners that the Supervisor has started and nobody else: a connection is heard once its hello carries the
/// token for that channel and generation. It also looks at the JSON that is put into the facilitator's frames as it is.
///
/// Confined to its event loop.
final class ListenerGate {
  /// Why a connection is closed.
  enum Refusal: Error, CustomStringConvertible {
    case noToken
    case notJSON(String)

    var description: String {
      switch self {
      case .noToken:
        "a connection to uplink.sock does not say hello with a token of this service's Supervisor"
      case .notJSON(let what): "the \(what) are not one JSON object"
      }
    }
  }

  /// A connection.
  final class Visitor {
    fileprivate let close: () -> Void
    fileprivate var patience: Scheduled<Void>?
    /// The channel it was let in for.
    fileprivate var channel: Decisions.Channel?

    fileprivate init(close: @escaping () -> Void) { self.close = close }

    /// The largest frame that is read from it, in bytes.
    func frameLimit(_ settings: UplinkSettings) -> Int {
      channel == nil ? Limits.helloBytes : settings.maxFrameBytes + Limits.updateOverheadBytes
    }
  }

  /// How long a connection has for its hello.
  private static let helloTime = TimeAmount.seconds(10)
  /// How many connections may be about to say hello. A Listener says it at once, so the one that is silent for longest
  /// gives way.
  private static let strangerLimit = 256

  private let secret: ListenerSecret
  private let loop: any EventLoop
  private let logger: Logger
  private var strangers: [Visitor] = []
  /// Those of strangers are nobody's.
  private var lines: LineLimits<Decisions.Channel?>

  init(_ secret: ListenerSecret, loop: any EventLoop, logger: Logger, now: Instant) {
    self.secret = secret
    self.loop = loop
    self.logger = logger
    lines = LineLimits(LineLimit.complaints, at: now)
  }

  /// Somebody has connected.
  /// - Parameter close: closes the connection.
  func opened(close: @escaping () -> Void) -> Visitor {
    let visitor = Visitor(close: close)
    let bound = NIOLoopBound(visitor, eventLoop: loop)
    visitor.patience = loop.scheduleTask(in: Self.helloTime) { bound.value.close() }
    strangers.append(visitor)
    if strangers.count > Self.strangerLimit { strangers.removeFirst().close() }
    return visitor
  }

  /// Looks at a message before anybody hears it.
  func check(_ message: ListenerToUplink, _ generation: Generation, of visitor: Visitor) throws(Refusal) {
    switch message {
    case .hello(let job, let token):
      let channel: Decisions.Channel = job.map { .job($0) } ?? .specs
      guard secret.isToken(token, channel: channel.tokenName, generation: generation.number) else { throw .noToken }
      visitor.channel = channel
      forget(visitor)
    case .update(_, _, let metadata?):
      guard JSONText.isObject(metadata) else { throw .notJSON("metadata of an update") }
    case .specs(_, let specs):
      guard JSONText.isObject(specs.specs) else { throw .notJSON("machine specs") }
    default: break
    }
    guard visitor.channel != nil else { throw .noToken }
  }

  /// Its connection has ended, because of that if it was not its peer that closed it.
  func closed(_ visitor: Visitor, _ reason: String?, now: Instant) {
    forget(visitor)
    guard let reason else { return }
    let (passes, dropped) = lines.admit(visitor.channel, at: now)
    guard passes else { return }
    let whose = visitor.channel == nil ? "it" : "the connection of a Listener"
    for text in [LineLimit.leftOut(dropped), "\(reason); \(whose) is closed"].compactMap(\.self) {
      logger.log(LogEntry(.error, .badMessage, text, job: visitor.channel?.job))
    }
  }

  private func forget(_ visitor: Visitor) {
    visitor.patience?.cancel()
    visitor.patience = nil
    strangers.removeAll { $0 === visitor }
  }
}

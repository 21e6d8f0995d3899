import Decisions
import Glibc
import Messages
import NIOCore
import Platform

/// Looks for the addresses of names, for Listeners, which are static programs and should not (getaddrinfo(3) loads what the
/// system is configured with). Confined to its event loop; the looking is done on a thread.
final class NameResolver {
  struct Answer: Sendable {
    var addresses: [String]
    /// Why there are none.
    var problem: String
  }

  /// How long an answer is used: a server that is gone is asked for by all Listeners at once.
  private static let freshness = TimeAmount.seconds(2)
  /// Names that are known or looked for at once. Honest Listeners ask for one.
  private static let namesAtOnce = 8
  /// As many of a name's addresses are told.
  private static let addressLimit = 16
  /// RFC 1035, section 2.3.4.
  private static let longestName = 255

  private let loop: any EventLoop
  /// Who waits for a name, each once.
  private var waiting: [String: [ConnectionID: (Answer) -> Void]] = [:]
  private var known: [String: Answer] = [:]

  init(loop: any EventLoop) { self.loop = loop }

  /// Calls `answer` once, on the loop; of several for the same asker and name the last one.
  func resolve(_ name: String, for asker: ConnectionID, answer: @escaping (Answer) -> Void) {
    if let fresh = known[name] { return answer(fresh) }
    if waiting[name] != nil {
      waiting[name]?[asker] = answer
      return
    }
    guard name.utf8.count <= Self.longestName, known.count + waiting.count < Self.namesAtOnce else {
      return answer(Answer(addresses: [], problem: "it is too long, or too many names are looked for"))
    }
    waiting[name] = [asker: answer]
    let resolver = NIOLoopBound(self, eventLoop: loop)
    let loop = loop
    do {
      try BackgroundThread.start {
        let answer = Self.lookUp(name)
        loop.execute { resolver.value.found(name, answer) }
      }
    } catch {
      found(name, Answer(addresses: [], problem: "\(error)"))
    }
  }

  private func found(_ name: String, _ answer: Answer) {
    known[name] = answer
    let resolver = NIOLoopBound(self, eventLoop: loop)
    loop.scheduleTask(in: Self.freshness) { resolver.value.known[name] = nil }
    for answerTo in waiting.removeValue(forKey: name)?.values.map({ $0 }) ?? [] { answerTo(answer) }
  }

  private static func lookUp(_ name: String) -> Answer {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var first: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name, nil, &hints, &first)
    guard code == 0 else { return Answer(addresses: [], problem: String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(first) }
    var addresses: [String] = []
    var next = first
    while let entry = next, addresses.count < addressLimit {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      if getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      {
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if !addresses.contains(address) { addresses.append(address) }
      }
      next = entry.pointee.ai_next
    }
    return Answer(addresses: addresses, problem: addresses.isEmpty ? "it has none" : "")
  }
}

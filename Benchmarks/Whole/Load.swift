import Glibc
import Messages
import Platform
import Rehearsal

/// One connection on which updates are sent, and how its answers look.
struct Lane: Sendable {
  /// What answers an update.
  enum Answers: Sendable {
    /// A frame of the worker's protocol, whose last byte is the MessagePack of `true`.
    case frames
    /// `:1`, from a Redis that has published to one subscriber.
    case publications
    /// Four numbers, from a Redis that has kept it as the core layer's sender asks.
    case additions
  }

  var socket: Descriptor
  var answers: Answers
}

/// What is sent at once on the lane of that number, and how many answers it gets.
struct Portion: Sendable {
  var lane: Int
  var bytes: [UInt8]
  var updates: Int
}

/// Sends portions and waits for all answers on a thread of its own.
final class Load: @unchecked Sendable {
  /// In nanoseconds since boot; what is sent when is by the portions' order.
  struct Result: Sendable {
    var sent: [Int64] = []
    /// When each answer of a lane came, in its order.
    var answered: [[Int64]] = []
    var processorTime: Int64 = 0

    var start: Int64 { sent.first ?? 0 }
    var end: Int64 { answered.compactMap(\.last).max() ?? 0 }
  }

  private let lanes: [Lane]
  private let portions: [Portion]
  private let interval: Int64
  private let poller: Poller
  /// How much of the portions before the current ones' ends a lane's socket has not taken yet.
  private var waiting: [[UInt8]]
  private var partial: [[UInt8]]
  private var result = Result()
  private var missing: Int
  private let ended = Mailbox<Swift.Result<Result, RehearsalError>>(capacity: 1)

  /// - Parameter interval: nanoseconds from one portion to the next; 0 sends all at once.
  init(_ lanes: [Lane], _ portions: [Portion], interval: Int64 = 0) throws {
    (self.lanes, self.portions, self.interval) = (lanes, portions, interval)
    poller = try Poller()
    waiting = Array(repeating: [], count: lanes.count)
    partial = waiting
    result.answered = Array(repeating: [], count: lanes.count)
    missing = portions.reduce(0) { $0 + $1.updates }
    for (number, lane) in lanes.enumerated() {
      try poller.watch(lane.socket, token: UInt64(number), read: true, write: false)
    }
  }

  /// Begins to send.
  func start() throws {
    try BackgroundThread.start {
      do {
        try self.run()
        self.ended.put(.success(self.result))
      } catch { self.ended.put(.failure(RehearsalError("a sender: \(error)"))) }
    }
  }

  /// Waits for the last answer.
  func wait() throws -> Result {
    guard let (results, _) = ended.takeAll(), let result = results.first else {
      throw RehearsalError("a sender has ended without a word")
    }
    return try result.get()
  }

  private func run() throws {
    let before = ProcessTable.processorTime(ofThread: pthread_self()) ?? 0
    let begin = Clock.bootNanoseconds
    var deadline = begin + 120_000_000_000
    while missing > 0 {
      var now = Clock.bootNanoseconds
      while result.sent.count < portions.count, now >= begin + interval * Int64(result.sent.count) {
        result.sent.append(now)
        try send(portions[result.sent.count - 1])
        // Answers are not to wait behind a thousand writes: where all goes out at once, their times do not matter.
        if interval > 0 { now = Clock.bootNanoseconds }
      }
      let isSending = result.sent.count < portions.count
      let until = isSending ? begin + interval * Int64(result.sent.count) : deadline
      let ready = try poller.wait(timeout: Int32(clamping: max(0, (until - now + 999_999) / 1_000_000)))
      for event in ready {
        if event.writable { try flush(Int(event.token)) }
        if event.readable || event.hungUp { try receive(Int(event.token)) }
      }
      if !ready.isEmpty { deadline = Clock.bootNanoseconds + 120_000_000_000 }
      if ready.isEmpty, !isSending, Clock.bootNanoseconds >= deadline {
        throw RehearsalError("\(missing) updates have no answer, and none came for two minutes")
      }
    }
    result.processorTime = (ProcessTable.processorTime(ofThread: pthread_self()) ?? 0) - before
  }

  private func send(_ portion: Portion) throws {
    let lane = portion.lane
    if !waiting[lane].isEmpty {
      waiting[lane] += portion.bytes
      return
    }
    let count = try write(portion.bytes[...], lane)
    guard count < portion.bytes.count else { return }
    waiting[lane] = Array(portion.bytes[count...])
    try poller.watch(lanes[lane].socket, token: UInt64(lane), read: true, write: true)
  }

  private func flush(_ lane: Int) throws {
    let count = try write(waiting[lane][...], lane)
    waiting[lane].removeFirst(count)
    if waiting[lane].isEmpty {
      try poller.watch(lanes[lane].socket, token: UInt64(lane), read: true, write: false)
    }
  }

  private func write(_ bytes: ArraySlice<UInt8>, _ lane: Int) throws -> Int {
    var total = 0
    while total < bytes.count {
      let count = bytes.dropFirst(total).withUnsafeBytes {
        Glibc.send(lanes[lane].socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EAGAIN { return total }
        throw SystemError("send", "lane \(lane)")
      }
      total += count
    }
    return total
  }

  private func receive(_ lane: Int) throws {
    guard let bytes = try lanes[lane].socket.read(upTo: 65_536) else { return }
    let now = Clock.bootNanoseconds
    guard !bytes.isEmpty else { throw RehearsalError("lane \(lane) was hung up on with answers to come") }
    var rest = (partial[lane].isEmpty ? bytes : partial[lane] + bytes)[...]
    while let length = try lanes[lane].answers.length(rest) {
      rest = rest.dropFirst(length)
      result.answered[lane].append(now)
      missing -= 1
    }
    partial[lane] = Array(rest)
  }
}

extension Lane.Answers {
  /// How long the answer is that these bytes begin with; nil if it is not whole.
  func length(_ bytes: ArraySlice<UInt8>) throws -> Int? {
    switch self {
    case .frames:
      guard bytes.count > 4 else { return nil }
      let length = 4 + bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      guard bytes.count >= length else { return nil }
      guard bytes[bytes.startIndex + length - 1] == 0xc3 else {
        throw RehearsalError(
          "an update was refused: \(String(decoding: bytes.prefix(length).dropFirst(4), as: UTF8.self))")
      }
      return length
    case .publications:
      guard bytes.count >= 4 else { return nil }
      guard bytes.prefix(4).elementsEqual(":1\r\n".utf8) else {
        throw RehearsalError(
          "an update was published to none or more than one: \(String(decoding: bytes.prefix(40), as: UTF8.self))")
      }
      return 4
    case .additions:
      let lines = bytes.indices.lazy.filter { bytes[$0] == UInt8(ascii: "\n") }.prefix(4)
      guard lines.count == 4, let end = lines.last else { return nil }
      guard !bytes[...end].contains(UInt8(ascii: "-")) else {
        throw RehearsalError("an update was not kept: \(String(decoding: bytes[...end], as: UTF8.self))")
      }
      return end + 1 - bytes.startIndex
    }
  }
}

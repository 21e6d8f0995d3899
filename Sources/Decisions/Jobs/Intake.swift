import DequeModule
import Messages

/// Messages from the facilitator that nobody has looked at yet, in their order. Whoever fills it stops reading from the
/// facilitator while it is full; what one read brings comes on top.
public struct Intake<Item: Sendable>: Sendable {
  private var waiting = Deque<(item: Item, bytes: Int)>()
  private var bytes = 0
  /// No more is to be read until half of it has been looked at.
  public private(set) var isFull = false

  /// An empty one.
  public init() {}

  /// Whether nothing waits.
  public var isEmpty: Bool { waiting.isEmpty }

  /// Takes something that costs that many bytes.
  public mutating func put(_ item: Item, bytes size: Int) {
    waiting.append((item, size))
    bytes += size
    if waiting.count >= IntakeBounds.items || bytes >= IntakeBounds.bytes { isFull = true }
  }

  /// The message that has waited longest; nil when none waits.
  public mutating func next() -> Item? {
    guard let first = waiting.popFirst() else { return nil }
    bytes -= first.bytes
    if waiting.count <= IntakeBounds.items / 2, bytes <= IntakeBounds.bytes / 2 { isFull = false }
    return first.item
  }
}

/// How much of what the facilitator sends is held between its socket and the record. Source: decision 0018.
public enum IntakeBounds {
  /// Messages that may wait to be looked at before reading pauses.
  static let items = 256
  static let bytes = 512 << 10
  /// The socket's own buffer. An answer waits behind everything that was sent before it.
  public static let socketBytes = 256 << 10
  /// How long one turn of the loop looks at what has come, before the sockets of others have theirs.
  public static let turn = Duration.milliseconds(2)
  /// How many requests, and how many bytes of them, may be on their way through the record. The one that goes beyond
  /// the bytes is the last.
  static let requests = 64
  static let requestBytes = 4 << 20
  /// How many rejections may wait for room in the window.
  static let rejections = 1024
  /// How many refused texts are known again.
  public static let refusedTexts = 4096
}

/// Requests that are on their way through the record.
public struct RequestsUnderWay: Sendable {
  private var sizes = Deque<Int>()
  private var bytes = 0

  /// None.
  public init() {}

  /// How many there are.
  public var count: Int { sizes.count }

  /// One has set out.
  public mutating func begin(bytes size: Int) {
    sizes.append(size)
    bytes += size
  }

  /// The one that set out first has arrived: the record does one thing after the other.
  public mutating func end() { bytes -= sizes.popFirst() ?? 0 }

  /// Looks whether these and those are more than may be.
  public func check(_ bounds: inout BoundCheck, with others: RequestsUnderWay) {
    let all = sizes + others.sizes
    bounds.count(bytes + others.bytes, is: all.reduce(0, +), of: "bytes of requests on their way")
    bounds.hold(all.count <= IntakeBounds.requests, "\(all.count) requests are on their way through the record")
    bounds.hold(
      bytes + others.bytes - (all.max() ?? 0) < IntakeBounds.requestBytes,
      "\(bytes + others.bytes) bytes of requests are on their way through the record")
  }

  /// Whether these and those are as many as may be.
  public func isFull(with others: RequestsUnderWay) -> Bool {
    count + others.count >= IntakeBounds.requests || bytes + others.bytes >= IntakeBounds.requestBytes
  }
}

/// Hashes of the texts that were refused last, so that the same one again costs neither a look at its signature nor
/// an answer.
public struct RefusedTexts: Sendable {
  private var hashes: Set<[UInt8]> = []
  private var order = Deque<[UInt8]>()

  /// None.
  public init() {}

  /// Whether none is known, so that no hash need be made.
  public var isEmpty: Bool { hashes.isEmpty }

  /// Whether a text of that hash was refused.
  public func contains(_ hash: [UInt8]) -> Bool { hashes.contains(hash) }

  /// Remembers one, and forgets the oldest when there are too many.
  public mutating func insert(_ hash: [UInt8]) {
    guard hashes.insert(hash).inserted else { return }
    order.append(hash)
    if order.count > IntakeBounds.refusedTexts, let oldest = order.popFirst() { hashes.remove(oldest) }
  }
}

/// Requests on their way from the record to their jobs' commands. What is on the way is in the memory of Uplink and of the
/// Supervisor, so that there may not be much of it at once.
struct BodiesOnTheWay: Sendable {
  /// How many bytes may be; one request may be larger.
  static let most = 4 << 20

  private var wanted: Set<JobID> = []
  private var onTheWay: [JobID: Int] = [:]
  private var bytes = 0
  private var waiting = Deque<(job: JobID, bytes: Int)>()

  /// Whether a job's request is on the way, or waits for room there.
  func isWanted(_ job: JobID) -> Bool { wanted.contains(job) }

  /// A job's request is wanted, unless it is on the way already.
  mutating func want(_ job: JobID, bytes size: Int) {
    if wanted.insert(job).inserted { waiting.append((job, size)) }
  }

  /// The next one for which there is room.
  mutating func next() -> JobID? {
    // Nobody may want it any more, and it may have been wanted twice since.
    while let first = waiting.first, !wanted.contains(first.job) || onTheWay[first.job] != nil { waiting.removeFirst() }
    guard let first = waiting.first, onTheWay.isEmpty || bytes + first.bytes <= Self.most else { return nil }
    waiting.removeFirst()
    onTheWay[first.job] = first.bytes
    bytes += first.bytes
    return first.job
  }

  /// A job's command has its request, or nobody wants it any more.
  mutating func arrived(_ job: JobID) {
    wanted.remove(job)
    if let size = onTheWay.removeValue(forKey: job) { bytes -= size }
  }
}

extension Intake: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    bounds.count(bytes, is: waiting.reduce(0) { $0 + $1.bytes }, of: "bytes that nobody has looked at")
    // One read's messages come on top, and the first ones of each connection that is made meanwhile.
    bounds.hold(waiting.count <= 2 * IntakeBounds.items, "\(waiting.count) messages wait to be looked at")
    bounds.hold(bytes <= 2 * IntakeBounds.bytes, "\(bytes) bytes of messages wait to be looked at")
  }
}

extension BodiesOnTheWay: Bounded {
  func check(_ bounds: inout BoundCheck) {
    bounds.count(bytes, is: onTheWay.values.reduce(0, +), of: "bytes of requests on the way to commands")
    bounds.hold(onTheWay.count <= 1 || bytes <= Self.most, "\(bytes) bytes of requests are on the way to commands")
  }
}

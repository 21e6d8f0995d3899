import DequeModule
import Messages

/// One direction of a socket: what is written arrives in its order, each thing after a time of its own, and the end
/// after all of it. What its writer has written before it died arrives as well.
final class Pipe<Message> {
  private unowned let world: World
  /// What the receiver makes of what is sent; nil: the same.
  private let codec: ((Message) -> Message)?
  /// Written and not read; nil is the end.
  private var transit = Deque<Message?>()
  private var ended = false
  /// Nobody reads any more.
  private(set) var isClosed = false
  /// Reads; nil while nobody has accepted the connection.
  private var receive: ((Message?) -> Void)?
  var isPaused = false {
    didSet { if oldValue, !isPaused { wake() } }
  }

  init(_ world: World, _ codec: ((Message) -> Message)? = nil) {
    self.world = world
    self.codec = world.hasBytes ? codec : nil
  }

  func send(_ message: Message?) {
    guard !ended, !isClosed else { return }
    if message == nil { ended = true }
    transit.append(codec.flatMap { message.map($0) } ?? message)
    world.after(world.latency()) { self.deliver() }
  }

  func attach(_ receive: @escaping (Message?) -> Void) {
    self.receive = receive
    wake()
  }

  func close() {
    isClosed = true
    receive = nil
    transit = []
  }

  /// What was on its way is lost, as when a cable is cut.
  func lose() { transit = ended ? [nil] : [] }

  /// Reads all that has been written so far.
  func drain() { for _ in 0..<transit.count { deliver() } }

  private func wake() {
    for _ in 0..<transit.count { world.after(world.latency()) { self.deliver() } }
  }

  private func deliver() {
    guard let receive, !isPaused, let message = transit.popFirst() else { return }
    receive(message)
  }
}

/// A socket between one that has connected and one that has accepted.
final class Line<Up, Down> {
  /// From who has connected.
  let up: Pipe<Up>
  let down: Pipe<Down>
  /// Of the child that has connected.
  let generation: Generation

  init(
    _ world: World, generation: Generation = .none, up: ((Up) -> Up)? = nil, down: ((Down) -> Down)? = nil
  ) {
    self.generation = generation
    self.up = Pipe(world, up)
    self.down = Pipe(world, down)
  }

  func closeByClient() {
    down.close()
    up.send(nil)
  }

  func closeByServer() {
    up.close()
    down.send(nil)
  }
}

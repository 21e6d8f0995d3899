import Decisions
import Messages

/// Takes in what the facilitator sends and reads no further than the record keeps up, as Uplink's Reception does.
final class SimulatedReception {
  typealias Message = SimulatedFacilitator.FromFacilitator?

  private unowned let world: World
  private unowned let uplink: SimulatedUplink
  /// The one that is read from.
  var connection: SimulatedFacilitator.Connection? { didSet { isReading = true } }
  private var isReading = true
  private var intake = Intake<(message: Message, connection: UInt64)>()
  private var lookIsDue = false
  /// Requests that are looked up in the record.
  private var lookingUp = RequestsUnderWay()

  init(_ world: World, _ uplink: SimulatedUplink) {
    self.world = world
    self.uplink = uplink
  }

  func take(_ message: Message, _ number: UInt64) {
    if intake.isEmpty, case .answer(.success) = message { return uplink.received(message, number) }
    intake.put((message, number), bytes: size(of: message))
    readOrRest()
    lookSoon()
  }

  private func size(of message: Message) -> Int {
    switch message {
    case .job(let request): request.bytes
    case .cheated(let cheat): cheat.body.count
    default: 64
    }
  }

  /// Has looked at what has come once other things have had their turn.
  func lookSoon() {
    check()
    guard uplink.runs, !intake.isEmpty, !lookIsDue, !recordIsBehind, !uplink.turnIsDue else { return }
    lookIsDue = true
    world.after(100_000) { [weak self] in self?.look() }
  }

  private func look() {
    lookIsDue = false
    // It comes first, and looks here again.
    guard !uplink.turnIsDue else { return }
    while uplink.runs, !recordIsBehind, let (message, number) = intake.next() {
      switch message {
      case .job(let request):
        lookingUp.begin(bytes: request.bytes)
        uplink.ask(.lookUp(request))
      case .cheated(let cheat):
        guard !cheat.isForged else { continue }
        lookingUp.begin(bytes: cheat.body.count)
        uplink.ask(.lookUpCheat(cheat))
      default: uplink.received(message, number)
      }
    }
    readOrRest()
    lookSoon()
  }

  /// The record has answered the oldest question about a request.
  func lookedUp() { lookingUp.end() }

  private var recordIsBehind: Bool { lookingUp.isFull(with: uplink.requestsBeingStored) }

  private func readOrRest() {
    guard isReading == intake.isFull else { return }
    isReading = !intake.isFull
    if world.mutation != .readsWithoutEnd { connection?.line.down.isPaused = !isReading }
  }

  private func check() {
    world.check(intake, of: uplink)
    var bounds = BoundCheck()
    lookingUp.check(&bounds, with: uplink.requestsBeingStored)
    if let broken = bounds.broken { world.fail("\(uplink) is beyond its bounds: \(broken)") }
  }
}

import Decisions
import Messages

/// What reports machine specs of some miners again and again, on their socket.
final class SimulatedSpecsReporter {
  private unowned let world: World
  private var line: WorkerLine?
  private var unanswered: MachineSpecs?
  private var version = 0
  /// The turn that is planned; an earlier one no longer counts.
  private var planned = 0
  /// By miner: the newest that there is an acknowledgement for.
  private(set) var acknowledged: [String: Int] = [:]

  init(_ world: World) {
    self.world = world
    plan(after: world.latency())
  }

  /// One turn at a time: what is sent twice would be answered twice, and the second answer be taken for that of the next.
  private func plan(after time: Int64) {
    planned += 1
    world.after(time) { [weak self, planned] in
      if self?.planned == planned { self?.turn() }
    }
  }

  /// Sends the next; or the last again, whose answer was lost.
  private func turn() {
    if unanswered == nil {
      guard !world.isCalm else { return }
      version += 1
      let miner = "miner \(Int.random(in: 1...3, using: &world.random))"
      unanswered = MachineSpecs(minerHotkey: miner, batchID: "\(version)", specs: Array("{}".utf8))
    }
    guard let specs = unanswered, let line = line ?? connect() else { return again() }
    line.up.send(.specs(specs))
  }

  private func connect() -> WorkerLine? {
    guard let ingress = world.specsIngress, ingress.isOpen else { return nil }
    let line = WorkerLine(world, up: { [unowned world] in world.framed($0, of: nil) })
    self.line = line
    line.down.attach { [weak self, weak line] answer in
      guard let self, let line, self.line === line else { return }
      if let answer { return answered(answer) }
      line.closeByClient()
      self.line = nil
      again()
    }
    ingress.connect(line)
    return line
  }

  private func answered(_ answer: WorkerAnswer) {
    if case .stored = answer, let specs = unanswered {
      world.note("version \(specs.batchID) of \(specs.minerHotkey) is acknowledged")
      acknowledged[specs.minerHotkey] = Int(specs.batchID)
    }
    unanswered = nil
    // Seconds, or at once.
    plan(after: world.chance(3) ? 0 : .random(in: 1...5, using: &world.random) * 1_000_000_000)
  }

  private func again() { plan(after: 1_000_000_000) }
}

// What must be true of machine specs once the world has been calm for an hour.
extension World {
  /// The newest that was acknowledged of each miner, or a newer one, is what the facilitator heard last.
  func checkSpecs() {
    if !record.specs.isEmpty { fail("specs of \(record.specs.count) miners still wait") }
    guard let specsReporter, !givesUpSpecs else { return }
    for (miner, version) in specsReporter.acknowledged.sorted(by: { $0.key < $1.key }) {
      let heard = facilitator.specs[miner] ?? 0
      if heard < version {
        fail("acknowledged of \(miner): version \(version); the facilitator has version \(heard)")
      }
    }
  }
}

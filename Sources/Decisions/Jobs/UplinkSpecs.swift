import Messages

// Machine specs on their way to the facilitator.
extension UplinkCore {
  mutating func specsReported(_ listener: ListenerID, _ number: SequenceNumber, _ reported: MachineSpecs) {
    guard !room.diskIsFull, specs.hasRoom(for: reported) else {
      holdSpecs(listener)
      return
    }
    let entry = SpecsEntry(number: nextNumber, specs: reported)
    nextNumber += 1
    specs.put(entry)
    commit([.putSpecs(entry)], then: .specs(listener, number))
  }

  /// Sends specs behind the updates, when none of those can go.
  mutating func pumpSpecs(at now: Instant) {
    specs.timeReached(now)
    guard session.isReady, !outbox.hasSendable, !outbox.isExclusive else { return }
    while let next = specs.next(at: now, mayProbe: outbox.inFlight == 0) { actions.append(.sendSpecs(next)) }
    if specs.needsPing {
      specs.pinged(nextPing)
      session.pinged(at: now)
      ping()
    }
  }

  mutating func ping() {
    actions.append(.ping(nextPing))
    nextPing += 1
  }

  mutating func ponged(_ number: UInt64) {
    session.ponged()
    let arrived = specs.ponged(number)
    figures.specsDelivered += arrived.count
    drop(arrived)
  }

  /// The facilitator has taken an update: it is not ill, and specs that end connections are to blame for that.
  mutating func judgeSpecs() {
    let givenUp = specs.updateTaken()
    guard !givenUp.isEmpty else { return }
    log(
      .error, .updateDead,
      "machine specs of \(givenUp.count) miners are given up on: the facilitator took updates, and the connection was lost "
        + "with them alone on their way, \(SpecsQueue.attempts) times over")
    drop(givenUp)
  }

  private mutating func drop(_ numbers: [UInt64]) {
    guard !numbers.isEmpty else { return }
    commit(numbers.map { .dropSpecs($0) }, then: .nothing)
  }
}

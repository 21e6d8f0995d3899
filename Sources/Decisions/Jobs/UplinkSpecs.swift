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
  mutating func pumpSpecs() {
    guard session.isReady, !outbox.hasSendable, !outbox.isExclusive else { return }
    while let next = specs.next() { actions.append(.sendSpecs(next)) }
    if specs.needsPing {
      specs.pinged(nextPing)
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

  mutating func specsLost(disagreeing: Bool) {
    let givenUp = specs.connectionLost(disagreeing: disagreeing)
    if !givenUp.isEmpty {
      log(
        .error, .updateDead,
        "\(givenUp.count) machine specs are given up on: the facilitator did not understand what was sent with them")
    }
    drop(givenUp)
  }

  private mutating func drop(_ numbers: [UInt64]) {
    guard !numbers.isEmpty else { return }
    commit(numbers.map { .dropSpecs($0) }, then: .nothing)
  }
}

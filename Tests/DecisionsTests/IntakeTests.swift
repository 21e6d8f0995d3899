import Messages
import Testing

@testable import Decisions

@Suite struct IntakeTests {
  @Test func itIsFullByItemsUntilHalfIsLookedAt() {
    var intake = Intake<Int>()
    for number in 0..<IntakeBounds.items {
      #expect(!intake.isFull)
      intake.put(number, bytes: 0)
    }
    #expect(intake.isFull)
    for number in 0..<(IntakeBounds.items / 2) {
      #expect(intake.isFull)
      #expect(intake.next() == number)
    }
    #expect(!intake.isFull && !intake.isEmpty)
  }

  @Test func itIsFullByBytesUntilHalfIsLookedAt() {
    var intake = Intake<Int>()
    intake.put(1, bytes: IntakeBounds.bytes - 1)
    #expect(!intake.isFull)
    intake.put(2, bytes: 1)
    #expect(intake.isFull)
    #expect(intake.next() == 1 && !intake.isFull)
    #expect(intake.next() == 2 && intake.next() == nil && intake.isEmpty)
  }

  @Test func theRecordIsBehindByRequestsOrByBytesTogether() {
    var looked = RequestsUnderWay()
    var stored = RequestsUnderWay()
    for number in 1..<IntakeBounds.requests {
      if number.isMultiple(of: 2) { looked.begin(bytes: 1) } else { stored.begin(bytes: 1) }
      #expect(!looked.isFull(with: stored))
    }
    looked.begin(bytes: 0)
    #expect(looked.isFull(with: stored))
    looked.end()
    #expect(!looked.isFull(with: stored))
    stored.begin(bytes: IntakeBounds.requestBytes)
    looked = RequestsUnderWay()
    #expect(looked.isFull(with: stored))
    for _ in 0..<IntakeBounds.requests { stored.end() }
    #expect(stored.count == 0 && !looked.isFull(with: stored))
  }

  @Test func theOldestRefusedTextsAreForgotten() {
    var texts = RefusedTexts()
    func hash(_ number: Int) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }
    for number in 0...IntakeBounds.refusedTexts {
      texts.insert(hash(number))
      texts.insert(hash(number))
    }
    #expect(!texts.contains(hash(0)) && texts.contains(hash(1)) && texts.contains(hash(IntakeBounds.refusedTexts)))
  }
}

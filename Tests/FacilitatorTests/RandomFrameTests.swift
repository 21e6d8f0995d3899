import Facilitator
import TestSupport
import Testing

@Suite struct RandomFrameTests {
  /// Whatever arrives is taken for something, and what it is taken for can be asked everything.
  private func exercise(_ frame: [UInt8]) {
    switch FacilitatorMessage.classify(frame) {
    case .response(let response): _ = response.frame
    case .jobRequest(let request, _):
      _ = (request.model.text(.python), request.signature?.fingerprint, try? request.verifySignature())
    case .jobCheated(let report, _): _ = (report.hashedPayload, try? report.verifySignature())
    case .unsupported(let reason), .unreadableAnswer(let reason): #expect(!reason.isEmpty)
    }
    _ = try? AuthenticationRequest(frame: frame).isVerified
  }

  @Test func arbitraryAndMutatedFramesAreHandled() {
    let seed = testSeed("RandomFrameTests")
    var random = SplitMix64(state: seed)
    let frames = (vectorEntries("signed.json") + vectorEntries("classify.json") + vectorEntries("auth.json"))
      .compactMap { ($0["wire"] ?? $0["raw"] ?? $0["json"]).map { Array($0.utf8) } }
    for _ in 0..<2000 {
      exercise((0..<Int.random(in: 0...64, using: &random)).map { _ in .random(in: 0...255, using: &random) })
      guard var frame = frames.randomElement(using: &random) else { continue }
      for _ in 0..<Int.random(in: 1...3, using: &random) where !frame.isEmpty {
        let place = Int.random(in: 0..<frame.count, using: &random)
        switch Int.random(in: 0...3, using: &random) {
        case 0: frame[place] = .random(in: 0...255, using: &random)
        case 1: frame.remove(at: place)
        case 2: frame.removeSubrange(place...)
        default: frame.insert(Array("\"{}[]:,\\u0-e".utf8).randomElement(using: &random) ?? 0, at: place)
        }
      }
      exercise(frame)
    }
  }
}

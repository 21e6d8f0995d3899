import Testing

@testable import Identity

@Suite("Keccak, STROBE and Merlin")
struct TranscriptTests {
  /// The state after one permutation of zeros, from the Keccak team's KeccakF-1600-IntermediateValues.txt.
  @Test("Keccak-f[1600] of the zero state")
  func permutation() {
    var lanes = [UInt64](repeating: 0, count: Keccak.laneCount)
    lanes.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { Keccak.permute(base) }
    }
    #expect(lanes[0] == 0xF125_8F79_40E1_DDE7)
    #expect(lanes[1] == 0x84D5_CCF9_33C0_478A)
    #expect(lanes[24] == 0xEAF1_FF7B_5CEC_A249)
  }

  private func challenge(_ transcript: inout Transcript, count: Int = 32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBufferPointer { transcript.challenge("challenge", into: $0) }
    return bytes
  }

  private func witness(
    _ transcript: borrowing Transcript, secret: [UInt8], randomness: [UInt8]? = nil
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes.withUnsafeMutableBufferPointer { output in
      secret.withUnsafeBufferPointer { secret in
        if let randomness {
          randomness.withUnsafeBufferPointer {
            transcript.witness("witness", secrets: [secret], randomness: $0, into: output)
          }
        } else {
          transcript.witness("witness", secrets: [secret], into: output)
        }
      }
    }
    return bytes
  }

  /// The simple test of the merlin crate, "equivalence_simple".
  @Test("Merlin's published vector")
  func merlin() {
    var transcript = Transcript("test protocol")
    transcript.append("some label", Array("some data".utf8))
    #expect(
      Hex.encode(challenge(&transcript)) == "d5a21972d0d5fe320c0d263fac7fffb8145aa640af6e9bca177c03c7efcf0615"
    )
  }

  @Test("A message longer than a block changes the challenge wherever it changes")
  func longMessages() {
    var seen: Set<[UInt8]> = []
    for changed in 0..<500 {
      var message = [UInt8](repeating: 7, count: 500)
      message[changed] = 8
      var transcript = Transcript("test protocol")
      transcript.append("message", message)
      seen.insert(challenge(&transcript, count: 200))
    }
    #expect(seen.count == 500)
  }

  @Test("Where one message ends and the next begins is part of the transcript")
  func boundaries() {
    var first = Transcript("test protocol")
    first.append("a", [1, 2])
    first.append("a", [3])
    var second = Transcript("test protocol")
    second.append("a", [1])
    second.append("a", [2, 3])
    #expect(challenge(&first) != challenge(&second))
  }

  @Test("Witness bytes are fresh each time and leave the transcript as it was")
  func witnesses() {
    var transcript = Transcript("test protocol")
    var untouched = Transcript("test protocol")
    #expect(witness(transcript, secret: [1]) != witness(transcript, secret: [1]))
    #expect(challenge(&transcript) == challenge(&untouched))
  }

  @Test("Witness bytes depend on the transcript, the secret and the randomness")
  func witnessSources() {
    let transcript = Transcript("test protocol")
    let other = Transcript("another protocol")
    let bytes = witness(transcript, secret: [1], randomness: [1])
    #expect(witness(transcript, secret: [1], randomness: [1]) == bytes)
    #expect(witness(transcript, secret: [2], randomness: [1]) != bytes)
    #expect(witness(transcript, secret: [1], randomness: [2]) != bytes)
    #expect(witness(other, secret: [1], randomness: [1]) != bytes)
  }
}

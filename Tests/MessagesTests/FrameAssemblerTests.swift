import MessagePack
import TestSupport
import Testing

@testable import Messages

@Suite struct FrameAssemblerTests {
  private func framed(_ body: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
  }

  private func refusal(_ assembler: inout FrameAssembler) -> FrameError? {
    do throws(FrameError) {
      _ = try assembler.next()
      return nil
    } catch { return error }
  }

  @Test func bytesOneAtATime() throws {
    var assembler = FrameAssembler(limit: 100)
    let bodies: [[UInt8]] = [[1, 2, 3], [], [4], [UInt8](repeating: 5, count: 100)]
    var got: [[UInt8]] = []
    for byte in bodies.flatMap(framed) {
      assembler.append([byte])
      while let body = try assembler.next() { got.append(Array(body)) }
    }
    #expect(got == bodies)
    #expect(assembler.pendingBytes == 0)
  }

  @Test func severalFramesAtOnceAndAPieceOfTheNext() throws {
    var assembler = FrameAssembler(limit: 100)
    assembler.append(framed([1]) + framed([2, 2]) + framed([3, 3, 3]).dropLast())
    #expect(try assembler.next() == [1])
    #expect(try assembler.next() == [2, 2])
    #expect(try assembler.next() == nil)
    #expect(assembler.pendingBytes == 6)
    assembler.append([3])
    #expect(try assembler.next() == [3, 3, 3])
    #expect(try assembler.next() == nil)
  }

  /// Whoever stops in between keeps no more than what is left: many connections may stop behind a large frame.
  @Test(arguments: [1, 5000, 60_000]) func aLargeFrameIsGivenBackThoughOthersWait(left: Int) throws {
    var assembler = FrameAssembler(limit: 1 << 20)
    assembler.append(framed([UInt8](repeating: 7, count: 1 << 20)))
    let others = [UInt8]([[UInt8]](repeating: framed([1]), count: left / 5 + 1).joined())
    assembler.append(others)
    #expect(try assembler.next()?.count == 1 << 20)
    assembler.giveBack()
    #expect(assembler.pendingBytes == others.count)
    #expect(assembler.capacity <= max(1 << 13, 2 * others.count))
    #expect(try assembler.next().map(Array.init) == [1])
  }

  @Test func theLimitIsExact() throws {
    var assembler = FrameAssembler(limit: 3)
    assembler.append(framed([1, 2, 3]))
    #expect(try assembler.next() == [1, 2, 3])
    assembler.append(framed([1, 2, 3, 4]))
    #expect(refusal(&assembler) == .tooLarge(declared: 4, limit: 3))
    #expect(refusal(&assembler) == .tooLarge(declared: 4, limit: 3))
  }

  @Test func aLengthOfFourBillionIsRefusedByItsHeaderAlone() {
    var assembler = FrameAssembler(limit: 1 << 20)
    assembler.append([0xff, 0xff, 0xff])
    #expect(refusal(&assembler) == nil)
    assembler.append([0xff])
    #expect(refusal(&assembler) == .tooLarge(declared: 0xffff_ffff, limit: 1 << 20))
    #expect(assembler.pendingBytes == 4)
  }

  /// A refused frame is passed over wherever the stream is cut, and kept nowhere.
  @Test(arguments: [4, 5, 50, 103, 104, 105, 110]) func aRefusedFrameIsPassedOver(_ cut: Int) throws {
    let stream = framed([UInt8](repeating: 9, count: 100)) + framed([7]) + framed([8])
    var assembler = FrameAssembler(limit: 10)
    assembler.append(stream[..<cut])
    #expect(refusal(&assembler) == .tooLarge(declared: 100, limit: 10))
    assembler.skip(declared: 100)
    var got: [[UInt8]] = []
    while let body = try assembler.next() { got.append(Array(body)) }
    for byte in stream[cut...] {
      assembler.append([byte])
      while let body = try assembler.next() { got.append(Array(body)) }
      #expect(assembler.pendingBytes < 6)
    }
    #expect(got == [[7], [8]])
  }

  @Test func anyCutOfTheStreamGivesTheSameFrames() throws {
    let seed = testSeed("FrameAssembler cuts")
    var random = SplitMix64(state: seed)
    for round in 0..<200 {
      let limit = 1000
      var stream: [UInt8] = []
      var expected: [[UInt8]] = []
      for _ in 0..<Int.random(in: 0...40, using: &random) {
        let count = Int.random(in: 0...(Bool.random(using: &random) ? 10 : 2 * limit), using: &random)
        let body = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        stream += framed(body)
        if count <= limit { expected.append(body) }
      }
      var assembler = FrameAssembler(limit: limit)
      var got: [[UInt8]] = []
      var rest = stream[...]
      while !rest.isEmpty {
        let count = Int.random(in: 1...(Bool.random(using: &random) ? 3 : 3000), using: &random)
        assembler.append(rest.prefix(count))
        rest = rest.dropFirst(count)
        // Not asked after every append: it must not matter.
        guard rest.isEmpty || Bool.random(using: &random) else { continue }
        reading: while true {
          do throws(FrameError) {
            guard let body = try assembler.next() else { break reading }
            got.append(Array(body))
          } catch {
            guard case .tooLarge(let declared, limit: limit) = error else { throw error }
            assembler.skip(declared: declared)
          }
        }
      }
      #expect(got == expected, "seed \(seed), round \(round)")
      #expect(assembler.pendingBytes == 0, "seed \(seed), round \(round)")
    }
  }

  @Test func aFramesLengthStandsBeforeIt() {
    var encoder = MessagePackEncoder()
    encoder.binary([UInt8](repeating: 0, count: 300))
    #expect(encoder.framedBytes.prefix(7) == [0, 0, 1, 47, 0xc5, 1, 44])
    #expect(encoder.framedBytes.count == 307)
  }
}

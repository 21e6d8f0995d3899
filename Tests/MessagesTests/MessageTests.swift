import MessagePack
import TestSupport
import Testing

@testable import Messages

/// What every frame begins with.
private let version = MessagePackValue.int(Int64(frameVersion))

@Suite struct MessageTests {
  private struct RoundTrip: ForEachConversation {
    func check<M: Message>(_ samples: [M]) throws {
      var assembler = FrameAssembler(limit: 1 << 20)
      for (index, sample) in samples.enumerated() {
        assembler.append(sample.frame(generation: Generation(UInt64(index) << 40)))
      }
      for (index, sample) in samples.enumerated() {
        let body = try #require(try assembler.next())
        let (message, generation) = try M.read(body)
        #expect(message == sample)
        #expect(generation == Generation(UInt64(index) << 40))
      }
      #expect(try assembler.next() == nil)
      #expect(assembler.pendingBytes == 0)
    }
  }

  @Test func everyMessageComesBackAsItWas() throws { try RoundTrip().checkAll() }

  /// The samples have each kind, the kinds count up from 1, and whatever is no kind is refused: a case that is
  /// added without a sample shows as a kind that is known here and has none.
  private struct Kinds: ForEachConversation {
    func check<M: Message>(_ samples: [M]) throws {
      let kinds = Set(samples.map(\.kind))
      #expect(kinds == Set(1...UInt8(kinds.count)), "\(M.conversation)")
      for kind in UInt8.min ... .max where !kinds.contains(kind) {
        let error = refusal(M.self, body([version, .int(Int64(kind)), .int(0)]))
        #expect(error == .unknownKind(kind, conversation: M.conversation))
      }
      for (index, one) in samples.enumerated() {
        // Two cases under one number would come back as one of them.
        for other in samples[(index + 1)...] {
          #expect(one.frame(generation: .none) != other.frame(generation: .none))
        }
      }
    }
  }

  @Test func kindsAreUniqueAndContiguousFromOne() throws { try Kinds().checkAll() }

  @Test func conversationsHaveNamesOfTheirOwn() throws {
    let names = [
      SupervisorToListener.conversation, ListenerToSupervisor.conversation, ListenerToUplink.conversation,
      UplinkToListener.conversation, SupervisorToUplink.conversation, UplinkToSupervisor.conversation,
      ControlToSupervisor.conversation, SupervisorToControl.conversation, TaskOrder.conversation,
    ]
    #expect(Set(names).count == names.count)
  }

  @Test func aFrameIsWhatTheProtocolSays() {
    #expect(
      SupervisorToListener.ping(5).frame(generation: Generation(300))
        == [0, 0, 0, 7, 0x94, 5, 2, 0xcd, 1, 0x2c, 5])
    #expect(ListenerToSupervisor.ready.frame(generation: .none) == [0, 0, 0, 4, 0x93, 5, 1, 0])
  }

  /// The wire's numbers, which a record on disk or another release relies on.
  @Test func numbersOnTheWireAreFixed() {
    #expect(JobStatus.allCases.map(\.rawValue) == Array(0...11))
    #expect([JobPhase.accepted, .dispatching, .ended, .closed].map(\.rawValue) == [0, 1, 2, 3])
    #expect(StopStep.allCases.map(\.rawValue) == [1, 2, 3])
    #expect([CommandKnowledge.started, .neverStarted, .unknown].map(\.rawValue) == [1, 2, 3])
    #expect(frameVersion == 5)
  }

  private struct WrongFields: ForEachConversation {
    func check<M: Message>(_ samples: [M]) throws {
      for sample in samples {
        let head: [MessagePackValue] = [version, .int(Int64(sample.kind)), .int(9)]
        let fields = sample.fields
        #expect(refusal(M.self, body(head + fields)) == nil)
        // One too many, one too few.
        #expect(refusal(M.self, body(head + fields + [.null])) == .extraFields(1, kind: sample.kind))
        for count in fields.indices {
          let error = refusal(M.self, body(head + fields[..<count]))
          guard case .field(let name, kind: sample.kind) = error, !name.isEmpty else {
            Issue.record("\(sample) with \(count) fields: \(String(describing: error))")
            continue
          }
        }
        // A value of a kind that no field has, at every place at every depth.
        for fields in replacements(of: fields) {
          let error = refusal(M.self, body(head + fields))
          guard case .field(let name, kind: sample.kind) = error, !name.isEmpty else {
            Issue.record("\(sample) as \(fields): \(String(describing: error))")
            continue
          }
        }
      }
    }

    private func replacements(of fields: [MessagePackValue]) -> [[MessagePackValue]] {
      var results: [[MessagePackValue]] = []
      for (index, field) in fields.enumerated() {
        var changed = fields
        changed[index] = .float(1.5)
        results.append(changed)
        guard case .array(let nested) = field else { continue }
        for inner in replacements(of: nested) {
          changed[index] = .array(inner)
          results.append(changed)
        }
      }
      return results
    }
  }

  @Test func missingExtraAndWrongFieldsAreNamed() throws { try WrongFields().checkAll() }

  @Test func theFieldThatIsWrongIsTheOneNamed() {
    let job = MessagePackValue.string(firstJob.description)
    let exit = MessagePackValue.array([.int(1), .null, .string("not bytes")])
    #expect(
      refusal(SupervisorToListener.self, body([version, .int(2), .int(0)])) == .field("number", kind: 2))
    #expect(
      refusal(SupervisorToListener.self, body([version, .int(3), .int(0), exit])) == .field("stderr", kind: 3)
    )
    #expect(
      refusal(SupervisorToUplink.self, body([version, .int(6), .int(0), job, .int(1)]))
        == .field("reason", kind: 6))
    #expect(
      refusal(SupervisorToUplink.self, body([version, .int(6), .int(0), .string("x"), .int(1)]))
        == .field("job", kind: 6))
    #expect(
      refusal(ListenerToUplink.self, body([version, .int(2), .int(0), .int(1), .int(12), .null]))
        == .field("status", kind: 2))
    #expect(
      refusal(ListenerToUplink.self, body([version, .int(2), .int(0), .int(-1), .int(1), .null]))
        == .field("sequence", kind: 2))
    #expect(
      refusal(UplinkToListener.self, body([version, .int(4), .int(0), .int(1), .string("odd"), .string("")]))
        == .field("code", kind: 4))
  }

  @Test func numbersBeyondTheirRangeAreRefused() {
    let job = MessagePackValue.string(firstJob.description)
    for raw: Int64 in [-1, 0, 4, 255, 256, 257, .max, .min] {
      #expect(
        refusal(SupervisorToUplink.self, body([version, .int(7), .int(0), .int(raw)]))
          == .field("step", kind: 7))
    }
    for pid: Int64 in [Int64(Int32.max) + 1, Int64(Int32.min) - 1] {
      let record = MessagePackValue.array([.int(pid), .int(0), .string("")])
      #expect(
        refusal(SupervisorToUplink.self, body([version, .int(5), .int(0), job, record]))
          == .field("pid", kind: 5))
    }
    #expect(
      refusal(UplinkToSupervisor.self, body([version, .int(3), .int(0), .array([job, .int(4), .null])]))
        == .field("phase", kind: 3))
  }

  private struct WrongHead: ForEachConversation {
    func check<M: Message>(_ samples: [M]) throws {
      let kind = samples[0].kind
      let fields = samples[0].fields
      for other: Int64 in [0, 1, .max] {
        let error = refusal(M.self, body([.int(other), .int(Int64(kind)), .int(0)] + fields))
        #expect(error == .version(UInt64(other)))
      }
      let notFrames: [MessagePackValue] = [
        .null, .int(1), .string("frame"), .array([]), .array([version, .int(1)]),
        .map([MessagePackPair(.int(1), .int(1))]), .array([.string("1"), .int(1), .int(0)]),
        .array([version, .int(256), .int(0)]), .array([version, .int(-1), .int(0)]),
        .array([version, .int(1), .int(-1)]), .array([version, .int(1), .null]),
      ]
      for value in notFrames {
        var encoder = MessagePackEncoder()
        encoder.value(value)
        #expect(refusal(M.self, encoder.bytes[...]) == .notAFrame(bytes: encoder.bytes.count))
      }
      #expect(refusal(M.self, []) == .notMessagePack(.truncated(offset: 0), bytes: 0))
      #expect(refusal(M.self, [0xc1]) == .notMessagePack(.reserved(offset: 0), bytes: 1))
      #expect(refusal(M.self, [0x90, 0x90]) == .notMessagePack(.trailing(bytes: 1), bytes: 2))
    }
  }

  @Test func whatIsNoFrameOfThisVersionIsRefused() throws { try WrongHead().checkAll() }

  @Test func everyErrorSaysWhatItIsAbout() {
    let errors: [FrameError] = [
      .tooLarge(declared: 5, limit: 4), .notMessagePack(.notUTF8, bytes: 3), .notAFrame(bytes: 2),
      .version(7),
      .unknownKind(9, conversation: "a to b"), .field("pid", kind: 5), .extraFields(2, kind: 6),
    ]
    for (error, word) in zip(errors, ["5", "UTF-8", "2", "7", "a to b", "pid", "6"]) {
      #expect(error.description.contains(word))
    }
  }

  private struct Noise: ForEachConversation {
    let seed: UInt64

    func check<M: Message>(_ samples: [M]) throws {
      var random = SplitMix64(state: seed)
      for _ in 0..<3000 {
        var bytes: [UInt8]
        switch Int.random(in: 0...2, using: &random) {
        case 0:
          bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in .random(in: 0...255, using: &random)
          }
        case 1:
          let fields = (0..<Int.random(in: 0...4, using: &random)).map { _ in value(2, &random) }
          bytes = Array(
            body([version, .int(.random(in: 0...13, using: &random)), value(0, &random)] + fields))
        default:
          let sample = samples[.random(in: samples.indices, using: &random)]
          bytes = Array(sample.frame(generation: .none).dropFirst(4).prefix(4096))
          for _ in 0..<Int.random(in: 1...3, using: &random) {
            bytes[.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
          }
        }
        // What is taken can be said again.
        if let (message, generation) = try? M.read(bytes[...]) {
          let again = try M.read(message.frame(generation: generation).dropFirst(4))
          #expect(again.message == message && again.generation == generation, "seed \(seed)")
        }
      }
    }

    private func value(_ depth: Int, _ random: inout SplitMix64) -> MessagePackValue {
      switch Int.random(in: 0...(depth > 0 ? 8 : 6), using: &random) {
      case 0: return .null
      case 1: return .bool(.random(using: &random))
      case 2: return .int(.random(in: -3...13, using: &random))
      case 3: return .int(Int64(bitPattern: random.next()))
      case 4:
        return .string([firstJob.description, "", "wrong_job", "x"].randomElement(using: &random) ?? "")
      case 5: return .binary([1, 2, 3])
      case 6: return .uint(.max)
      default:
        return .array((0..<Int.random(in: 0...9, using: &random)).map { _ in value(depth - 1, &random) })
      }
    }
  }

  @Test func arbitraryBytesAreReadOrRefused() throws {
    try Noise(seed: testSeed("Messages noise")).checkAll()
  }
}

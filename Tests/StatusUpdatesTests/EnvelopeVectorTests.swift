import JSON
import MessagePack
import Messages
import StatusUpdates
import TestSupport
import Testing

/// Tests/Vectors/envelopes.json, each entry a test.
@Suite struct EnvelopeVectorTests {
  static let job = JobID("11111111-2222-4333-8444-555555555555")

  @Test func everyEntryIsRead() { #expect(EnvelopeVector.load().count == 34) }

  @Test(arguments: EnvelopeVector.load()) func vector(_ vector: EnvelopeVector) throws {
    let outcome = outcome(of: vector.message)
    switch vector.result {
    case .frame(let frame, let terminal):
      switch frame.range(of: #""uuid":"11111111-2222-4333-8444-555555555555""#) {
      case nil:
        // A foreign uuid, and one that is none, the original relays and ours refuses.
        guard case .refused(.wrongJob) = outcome else {
          Issue.record("\(vector.name): \(outcome)")
          return
        }
      case _?:
        let withMetadata = frame.replacing(
          #/("status":"(completed|streaming_ready)","metadata":)null}/#
        ) { $0.output.1 + Self.fiveNulls + "}" }
        #expect(outcome == .update(frame: withMetadata, terminal: terminal))
      }
    case .malformed(let path, let type):
      #expect(outcome == .refused(.invalid(SchemaViolation(path: path, type: type))))
    case .raised(let error):
      switch outcome {
      case .update: Issue.record("\(vector.name): \(outcome), the original raises \(error)")
      case .notMessagePack, .refused(.invalid): break
      case .refused(.wrongJob): Issue.record("\(vector.name): refused for its uuid alone")
      }
    }
  }

  static let fiveNulls =
    #"{"miner_response":null,"job_rejection_details":null,"job_failure_details":null,"#
    + #""horde_failure_details":null,"streaming_details":null}"#
}

enum Outcome: Equatable {
  case update(frame: String, terminal: Bool)
  case refused(InvalidUpdate)
  case notMessagePack
}

/// What becomes of a message on the channel of the vectors' job.
func outcome(of message: [UInt8]) -> Outcome {
  var outcome = Outcome.notMessagePack
  try? MessagePackView.decode(message[...]) { message in
    do throws(InvalidUpdate) {
      let update = try StatusUpdateEnvelope.validate(message, expecting: EnvelopeVectorTests.job)
      let frame = StatusUpdateFrame.encode(
        job: update.job, status: update.status, metadataJSON: update.metadataJSON)
      outcome = .update(frame: String(decoding: frame, as: UTF8.self), terminal: update.status.isTerminal)
    } catch { outcome = .refused(error) }
  }
  return outcome
}

struct EnvelopeVector: Sendable, CustomTestStringConvertible {
  enum Result: Sendable {
    case frame(String, terminal: Bool)
    case malformed(path: [String], type: String)
    case raised(String)
  }

  var name: String
  var message: [UInt8]
  var result: Result
  var testDescription: String { name }

  /// The entries that can be read; `everyEntryIsRead` says whether that is all of them.
  static func load() -> [EnvelopeVector] {
    vectorEntries("envelopes.json").compactMap { entry in
      guard let name = entry["name"], let hex = entry["msgpack_hex"], let answer = entry.value["result"],
        let result = Result(answer)
      else { return nil }
      return EnvelopeVector(name: name, message: bytes(hex: hex), result: result)
    }
  }
}

extension EnvelopeVector.Result {
  init?(_ answer: JSONValue) {
    if let error = answer.stringValue ?? answer["send_raises"]?.stringValue {
      self = .raised(error)
    } else if let frame = answer["ws_frame"]?.stringValue, case .bool(let terminal) = answer["terminal"] {
      self = .frame(frame, terminal: terminal)
    } else if case .array(let faults) = answer["malformed"], let fault = faults.first,
      case .array(let path) = fault["loc"], let type = fault["type"]?.stringValue
    {
      self = .malformed(path: path.compactMap(\.stringValue), type: type)
    } else {
      return nil
    }
  }
}

func bytes(hex: String) -> [UInt8] {
  let digits = Array(hex)
  return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
    UInt8(String(digits[$0...($0 + 1)]), radix: 16)
  }
}

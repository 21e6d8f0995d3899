import Configuration
import Decisions
import Facilitator
import JSON
import MessagePack
import Messages
import StatusUpdates

/// A worker's stream: its first byte says which channel it is, the second in which pieces it comes.
func fuzzWorker(_ bytes: [UInt8]) throws(Finding) {
  let limit = 4096
  var choices = Choices(bytes)
  let job = choices.bool() ? JobID(high: 0x4000, low: 0x8000 << 48) : nil
  let piece = 1 + Int(choices.byte())
  var assembler = FrameAssembler(limit: limit)
  var rest = bytes.dropFirst(2)
  var isStream = true
  while isStream, !rest.isEmpty {
    assembler.append(rest.prefix(piece))
    rest = rest.dropFirst(piece)
    try hold(assembler.pendingBytes <= limit + 4 + piece, "\(assembler.pendingBytes) bytes wait for their frame")
    while let body = nextBody(&assembler, &isStream) { try check(WorkerRequest(body, job: job, limit: limit), limit) }
  }
}

/// The next frame's body, past those that are too large, as a Listener reads it; nil where none is whole.
/// - Parameter isStream: false from a length on that is no worker's.
private func nextBody(_ assembler: inout FrameAssembler, _ isStream: inout Bool) -> ArraySlice<UInt8>? {
  while true {
    do throws(FrameError) { return try assembler.next() } catch {
      guard case .tooLarge(let declared, let limit) = error, declared <= 4 * limit else {
        isStream = false
        return nil
      }
      assembler.skip(declared: declared)
    }
  }
}

/// What is passed on is JSON that can be spliced into a message, and is not larger than it may be.
private func check(_ request: WorkerRequest, _ limit: Int) throws(Finding) {
  let json: [UInt8]
  switch request.content {
  case .update(_, let metadata): json = metadata ?? Array("null".utf8)
  case .specs(let specs): json = specs.specs
  case .wrong(_, let text, _): return try hold(!text.isEmpty, "no reason")
  }
  try hold(json.count <= limit, "\(json.count) bytes of JSON")
  try hold((try? JSONValue.parse(json, limits: JSONLimits(bytes: limit))) != nil, "metadata that is not JSON")
}

/// Our own frames: the first byte says of which conversation.
func fuzzFrames(_ bytes: [UInt8]) throws(Finding) {
  var body = bytes.dropFirst()
  // The corpus outlives a new version: 4 stands for the one of today.
  if body.count > 1, body[2] == 4 { body[2] = UInt8(truncatingIfNeeded: frameVersion) }
  switch bytes.first.map({ $0 % 9 }) {
  case 0: try roundTrip(SupervisorToUplink.self, body)
  case 1: try roundTrip(UplinkToSupervisor.self, body)
  case 2: try roundTrip(SupervisorToListener.self, body)
  case 3: try roundTrip(ListenerToSupervisor.self, body)
  case 4: try roundTrip(ListenerToUplink.self, body)
  case 5: try roundTrip(UplinkToListener.self, body)
  case 6: try roundTrip(ControlToSupervisor.self, body)
  case 7: try roundTrip(SupervisorToControl.self, body)
  case 8: try roundTrip(TaskOrder.self, body)
  default: break
  }
}

/// A message that can be read is written as one that is read as the same.
private func roundTrip<M: Message>(_: M.Type, _ body: ArraySlice<UInt8>) throws(Finding) {
  guard let (message, generation) = try? M.read(body) else { return }
  let frame = message.frame(generation: generation)
  guard let again = try? M.read(frame.dropFirst(4)) else { throw Finding("written as what cannot be read: \(message)") }
  try hold(again.message == message && again.generation == generation, "read again as \(again.message), not \(message)")
}

func fuzzMessagePack(_ bytes: [UInt8]) throws(Finding) {
  guard let value = try? MessagePackValue.decode(bytes[...]) else { return }
  var encoder = MessagePackEncoder()
  encoder.value(value)
  let written = encoder.bytes
  guard let again = try? MessagePackValue.decode(written[...]) else {
    throw Finding("written as what is not MessagePack")
  }
  var second = MessagePackEncoder()
  second.value(again)
  // Compared as bytes: NaN is not equal to itself.
  try hold(second.bytes == written, "written differently the second time")
}

func fuzzJSON(_ bytes: [UInt8]) throws(Finding) {
  guard let value = try? JSONValue.parse(bytes, limits: JSONLimits(bytes: 1 << 16), nonFinite: true) else { return }
  let written = value.text(.compact)
  guard let again = try? JSONValue.parse(written, limits: JSONLimits(bytes: 1 << 20), nonFinite: true) else {
    throw Finding("written as what is not JSON")
  }
  try hold(again.text(.compact) == written, "written differently the second time")
}

func fuzzFacilitator(_ bytes: [UInt8]) throws(Finding) {
  switch FacilitatorMessage.classify(bytes) {
  case .response(let response):
    guard case .response(response) = FacilitatorMessage.classify(response.frame) else {
      throw Finding("a response that is written as none")
    }
  case .jobRequest(let request, let raw):
    try hold(raw == bytes, "not as it was received")
    try hold((0...JobTimeLimits.longest).contains(request.limits.execution), "a limit that is none")
    _ = request.hashedPayload
    _ = request.signedPayload
    _ = request.signature?.fingerprint
  case .jobCheated(let report, let raw):
    try hold(raw == bytes, "not as it was received")
    _ = report.hashedPayload
  case .unreadableAnswer(let reason), .unsupported(let reason): try hold(!reason.isEmpty, "no reason")
  }
  _ = try? AuthenticationRequest(frame: bytes)
}

func fuzzConfiguration(_ bytes: [UInt8]) throws(Finding) {
  let environment = ["CREDENTIALS_DIRECTORY": "/run/credentials/x", "HTTPS_PROXY": "http://p:1"]
  do throws(ConfigurationError) {
    _ = try Configuration.parse(bytes, file: "/f", environment: environment)
  } catch {
    try hold(!error.problems.isEmpty, "refused for no reason")
    // A line that the file does not have sends a person looking.
    let lines = 1 + bytes.count { $0 == UInt8(ascii: "\n") }
    for problem in error.problems {
      try hold(
        problem.line.map { (1...lines).contains($0) } ?? true, "line \(problem.line ?? 0) of \(lines): \(problem)")
    }
  }
}

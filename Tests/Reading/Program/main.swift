// hordelink-read-requests: what hordelink makes of texts from a facilitator, for tests that read the same texts with other
// programs. Standard input is frames, each a 4-byte big-endian length and a text; for each of them a line of JSON on
// standard output says whether the text is accepted, and with which model.

import Facilitator
import Glibc
import JSON
import Messages
import Platform

private func verdict(_ text: [UInt8]) -> JSONValue {
  func read(_ kind: String, _ request: some SignedRequest, _ model: JSONValue) -> JSONValue {
    do throws(VerificationError) { try request.verifyReading() } catch { return refused("\(error)") }
    return .object([JSONMember("accepted", .string(kind)), JSONMember("model", model)])
  }
  func refused(_ why: String) -> JSONValue { .object([JSONMember("refused", .string(why))]) }
  switch FacilitatorMessage.classify(text) {
  case .jobRequest(let request, raw: _): return read("job", request, request.model)
  case .jobCheated(let report, raw: _): return read("cheat", report, report.model)
  case .unsupported(let reason), .unreadableAnswer(let reason): return refused(reason)
  case .response: return refused("a response")
  }
}

let input = Descriptor(owning: STDIN_FILENO)
var assembler = FrameAssembler(limit: FacilitatorMessage.byteLimit)
do {
  while let bytes = try input.read(upTo: 65_536), !bytes.isEmpty {
    assembler.append(bytes)
    while let text = try assembler.next() {
      print(String(decoding: verdict(Array(text)).text(.python), as: UTF8.self))
    }
  }
} catch {
  let why = Array("hordelink-read-requests: \(error)\n".utf8)
  write(STDERR_FILENO, why, why.count)
  exit(1)
}

import Foundation
import JSON
import MessagePack
import Messages
import Platform
import Rehearsal
import Stage
import TestSupport
import Testing
import WorkerClient

extension EndToEnd {
  /// What the facilitator gets is, byte for byte, what the original client would have sent.
  @Suite struct FacilitatorProtocol {
    private static let vectorUUID = "11111111-2222-4333-8444-555555555555"

    /// Each envelope of the vectors through the whole system, on a job of its own.
    @Test func everyUpdateArrivesByteForByteAsTheOriginalSendsIt() throws {
      try onStage { rehearsal in
        var compared = 0
        for vector in vectorEntries("envelopes.json") {
          guard let expected = vector.value["result"]?["ws_frame"]?.stringValue,
            expected.contains(Self.vectorUUID), let hex = vector["msgpack_hex"]
          else { continue }
          let job = try rehearsal.startJob()
          let bytes = try bytes(hex: hex)
          let message = replacing(Array(Self.vectorUUID.utf8), in: bytes, with: Array(job.description.utf8))
          let frame = withUnsafeBytes(of: UInt32(message.count).bigEndian) { Array($0) } + message
          let answers = try Wire.exchange(rehearsal.workerSocket(job), [frame])
          #expect(answers.map { $0?["ok"] } == [.bool(true)], "\(vector.testDescription)")
          let event = try rehearsal.facilitator.wait(milliseconds: 10_000) { event in
            // The facilitator has `sent` of every job from the start.
            ["accepted", "duplicate"].contains(event.name) && event.text("uuid") == job.description
              && event.text("status") != "received"
          }
          #expect(
            event?.text("frame") == expected.replacing(Self.vectorUUID, with: job.description),
            "\(vector.testDescription)")
          compared += 1
        }
        #expect(compared >= 20)
        let received = rehearsal.facilitator.events.first { $0.name == "accepted" }
        #expect(
          received?.text("frame")
            == #"{"message_type":"V0JobStatusUpdate","uuid":"\#(received?.text("uuid") ?? "")","status":"received","#
            + #""metadata":null}"#)
      }
    }

    /// The facilitator would drop the connection over these two with null metadata.
    @Test(arguments: [JobStatus.completed, .streamingReady])
    func whatTheFacilitatorCannotTakeWithNullMetadataGetsAnObjectOfNulls(status: JobStatus) throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(status)
        try rehearsal.expectAccepted(job, [.received, status])
        #expect(
          try rehearsal.metadata(job, status).text(.compact)
            == Array(
              (#"{"miner_response":null,"job_rejection_details":null,"job_failure_details":null,"#
                + #""horde_failure_details":null,"streaming_details":null}"#).utf8))
        #expect(rehearsal.facilitator.events.count { $0.name == "authenticated" } == 1)
      }
    }

    @Test func aKnownSignatureUnderANewUUIDIsAReplay() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        try replay(rehearsal, job)
        // Also when the job is over, and another Uplink looks.
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        let before = rehearsal.facilitator.events.count
        let killed = try rehearsal.kill("uplink")
        _ = try rehearsal.readyChild("uplink", after: killed.generation)
        try rehearsal.waitUntilConnected(from: before)
        try replay(rehearsal, job)
      }
    }

    private func replay(_ rehearsal: Rehearsal, _ job: JobID) throws {
      let sent = try #require(
        rehearsal.facilitator.events.first { $0.name == "job_sent" && $0.text("uuid") == job.description })
      let other = JobID.random()
      let text = sent.text("frame").replacing(job.description, with: other.description)
      try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(text))])
      try rehearsal.expectAccepted(other, [.rejected])
      let details = try rehearsal.metadata(other, .rejected)["job_rejection_details"]
      #expect(details?["reason"]?.stringValue == "invalid_signature")
    }

    @Test func aUUIDThatIsNotCanonicalIsIgnored() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let sent = try #require(rehearsal.facilitator.events.first { $0.name == "job_sent" })
        for uuid in ["../../etc/passwd", job.description.uppercased(), "", "{\(job)}"] {
          let text = sent.text("frame").replacing(job.description, with: uuid)
          try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(text))])
        }
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(rehearsal.log.components(separatedBy: "is not a canonical UUID is ignored").count == 5)
      }
    }

    @Test func withoutVerificationJobsOfAnybodyRunAndThatIsSaid() throws {
      try onStage { settings in
        settings.more["jobs"] = "verify_signatures = false"
        settings.facilitatorArguments = ["--signer", "//Mallory"]
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted])
        #expect(rehearsal.log.contains("verify_signatures = false"))
      }
    }

    @Test func aSignerWhoIsNotTrustedIsRejected() throws {
      try onStage { settings in
        settings.facilitatorArguments = ["--signer", "//Mallory"]
      } _: { rehearsal in
        let job = JobID.random()
        try rehearsal.facilitator.sendJob(job)
        try rehearsal.expectAccepted(job, [.rejected])
      }
    }

    @Test func moreJobsThanMayBeOpenAreRejectedAsBusy() throws {
      try onStage { settings in
        settings.more["jobs"] = "max_open = 1"
      } _: { rehearsal in
        let job = try rehearsal.startJob()
        let other = JobID.random()
        try rehearsal.facilitator.sendJob(other)
        try rehearsal.expectAccepted(other, [.rejected])
        let details = try rehearsal.metadata(other, .rejected)["job_rejection_details"]
        #expect(details?["reason"]?.stringValue == "busy")
        for status in reported { try rehearsal.worker(job).acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    private func bytes(hex: String) throws -> [UInt8] {
      let digits = Array(hex.utf8)
      return try stride(from: 0, to: digits.count - 1, by: 2).map { index in
        try #require(UInt8(String(decoding: digits[index..<(index + 2)], as: UTF8.self), radix: 16))
      }
    }

    private func replacing(_ part: [UInt8], in bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
      var result = bytes
      for start in bytes.indices where bytes[start...].starts(with: part) {
        result.replaceSubrange(start..<(start + part.count), with: other)
      }
      return result
    }
  }
}

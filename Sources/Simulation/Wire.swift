import Decisions
import Facilitator
import Identity
import JSON
import MessagePack
import Messages
import StatusUpdates

// The bytes between processes, in worlds that have them: whoever receives hears what the real decoder makes of what the real
// encoder has written.
extension World {
  /// A message between processes of ours.
  func framed<Content: Messages.Message>(_ message: Content) -> Content {
    guard hasBytes else { return message }
    let frame = message.frame(generation: Generation(1))
    guard let body = body(of: frame, limit: Limits.controlFrameBytes), let (read, _) = try? Content.read(body) else {
      fail("\(Content.conversation): what one writes the other cannot read: \(message)")
      return message
    }
    if mutation == .metadataLostInFrame, case .update(let number, let status, _)? = read as? ListenerToUplink {
      return ListenerToUplink.update(number, status, metadata: nil) as? Content ?? read
    }
    return read
  }

  /// What is in a frame that comes in two pieces.
  private func body(of frame: [UInt8], limit: Int) -> ArraySlice<UInt8>? {
    var assembler = FrameAssembler(limit: limit)
    let cut = frame.count / 2
    assembler.append(frame[..<cut])
    guard (try? assembler.next()) == ArraySlice<UInt8>?.none else { return nil }
    assembler.append(frame[cut...])
    return (try? assembler.next()) ?? nil
  }

  // MARK: Workers

  /// A worker's message as its job's Listener reads it; of machine specs when `job` is nil.
  func framed(_ content: WorkerRequest.Content, of job: JobID?) -> WorkerRequest.Content {
    guard hasBytes else { return content }
    let limit = settings.maxFrameBytes
    guard let body = body(of: Self.frame(content, of: job), limit: limit) else {
      fail("a worker's frame is not read: \(content)")
      return content
    }
    return WorkerRequest(body, job: job, limit: limit).content
  }

  static func frame(_ content: WorkerRequest.Content, of job: JobID?) -> [UInt8] {
    switch content {
    case .update(let status, let metadata):
      let value = metadata.flatMap { try? JSONValue.parse($0, limits: JSONLimits(bytes: $0.count)) }
      return WorkerUpdateFrame.encode(
        id: 1, job: job ?? JobID(high: 0, low: 0), status: status.name, metadata: value.map { MessagePackValue($0) })
    case .specs(let specs):
      var encoder = MessagePackEncoder()
      encoder.value(
        MessagePackValue(
          .object([
            JSONMember("type", .string("machine.specs")), JSONMember("batch_id", .string(specs.batchID)),
            JSONMember("miner_hotkey", .string(specs.minerHotkey)), JSONMember("specs", .object([])),
          ])))
      return encoder.framedBytes
    case .wrong: return []
    }
  }

  /// A worker's report as it goes through Redis.
  func report(_ status: JobStatus, of job: JobID) -> [UInt8] {
    guard hasBytes else { return [status.rawValue] }
    return Array(Self.frame(.update(status, metadata: metadata(of: status, job)), of: job).dropFirst(4))
  }

  /// What a Listener reads of that.
  func reported(_ message: [UInt8], of job: JobID) -> WorkerRequest.Content? {
    if hasBytes { return WorkerRequest(message[...], job: job, limit: settings.maxFrameBytes).content }
    return message.first.flatMap(JobStatus.init(rawValue:)).map { .update($0, metadata: nil) }
  }

  /// What a worker says with a status; nothing where there are no bytes.
  func metadata(of status: JobStatus, _ job: JobID) -> [UInt8]? {
    guard hasBytes else { return nil }
    return JSONValue.object([
      JSONMember(
        "miner_response",
        .object([
          JSONMember("docker_process_stderr", .string("")),
          JSONMember("docker_process_stdout", .string(Self.word(status, job))),
        ]))
    ]).text(.compact)
  }

  static func word(_ status: JobStatus, _ job: JobID) -> String { "\(job) is \(status.name)" }

  // MARK: The facilitator

  /// What the facilitator reads of what Uplink sends.
  func written(_ message: SimulatedFacilitator.ToFacilitator) -> SimulatedFacilitator.ToFacilitator {
    guard hasBytes else { return message }
    func parse(_ text: [UInt8]) -> JSONValue {
      do { return try JSONValue.parse(text, limits: JSONLimits(bytes: text.count)) } catch {
        fail("what Uplink sends is no JSON: \(error)")
        return .null
      }
    }
    switch message {
    case .authenticate, .ping: return message
    case .update(let job, let status, let metadata, let number):
      do {
        let text = StatusUpdateFrame.encode(job: job, status: status, metadataJSON: metadata)
        let read = try StatusUpdateFrame.decode(parse(text))
        return .update(read.job, read.status, metadata: read.metadataJSON, number)
      } catch {
        fail("the facilitator cannot read \(status.name) of \(job): \(error)")
        return message
      }
    case .specs(let specs):
      let read = parse(specs.frame(validatorHotkey: "validator"))
      return .specs(
        MachineSpecs(
          minerHotkey: read["miner_hotkey"]?.stringValue ?? "", batchID: read["batch_id"]?.stringValue ?? "",
          specs: read["specs"]?.text(.compact) ?? []))
    }
  }

  /// What Uplink reads of what the facilitator sends.
  func written(_ message: SimulatedFacilitator.FromFacilitator) -> SimulatedFacilitator.FromFacilitator {
    guard hasBytes else { return message }
    let text: [UInt8]
    switch message {
    case .opened, .pong: return message
    case .answer(.success): text = Response(status: .success).frame
    case .answer(.errors(let errors)):
      text = Response(status: .error, errors: errors.map { .init(message: $0.message, type: $0.type) }).frame
    case .garbage: text = Array(#"{"status":"well"}"#.utf8)
    case .job(let request): text = request.body
    case .cheated(let cheat): text = cheat.body
    }
    switch FacilitatorMessage.classify(text) {
    case .response(let response):
      let errors = response.errors.map { FacilitatorError(type: $0.type, message: $0.message) }
      return .answer(response.status == .success ? .success : .errors(errors))
    case .unreadableAnswer: return .garbage
    case .jobRequest(let read, let raw): return .job(verified(read, raw))
    case .jobCheated(let read, let raw):
      let isForged = !isVerified(read)
      return .cheated(.init(hash: read.signature?.fingerprint ?? [], body: raw, isForged: isForged))
    case .unsupported:
      fail("Uplink does not understand \(String(decoding: text, as: UTF8.self))")
      return message
    }
  }

  private func isVerified(_ read: some SignedRequest) -> Bool {
    do throws(VerificationError) { try read.verify(trusted: Signing.trusted) } catch { return false }
    return true
  }

  /// By which a cheat report is known to Uplink.
  func hash(of cheat: SimulatedFacilitator.Cheat) -> [UInt8] {
    guard hasBytes, case .jobCheated(let read, _) = FacilitatorMessage.classify(cheat.body) else { return cheat.hash }
    return read.signature?.fingerprint ?? []
  }

  private func verified(_ read: JobRequest, _ raw: [UInt8]) -> SimulatedFacilitator.JobRequest {
    let seconds = read.limits.download + read.limits.execution + read.limits.upload
    let isForged = !isVerified(read)
    guard let job = read.job else {
      fail("a request has no uuid")
      return .init(job: JobID(high: 0, low: 0), hash: [], limitSeconds: 0, isForged: true)
    }
    return .init(
      job: job, hash: isForged ? [] : read.signature?.fingerprint ?? [], limitSeconds: Int(seconds), isForged: isForged,
      body: raw)
  }
}

/// The keys of the facilitator, and of a stranger.
enum Signing {
  private static let keys = try? (
    ours: Hotkey(SecretKey.development("//facilitator")), stranger: Hotkey(SecretKey.development("//stranger"))
  )
  static let trusted = TrustedSigners(keys.map { [$0.ours.publicKey] } ?? [])

  /// A request with a signature that holds, or that of a stranger.
  ///
  /// - Parameter limitSeconds: of all its parts together.
  static func request(_ job: JobID, limitSeconds: Int, timestamp: UInt64, isForged: Bool) -> [UInt8] {
    var signed = SignedJob(job: job, dockerImage: "image")
    signed.downloadLimit = 0
    signed.executionLimit = Int64(limitSeconds)
    signed.uploadLimit = 0
    guard let keys else { return [] }
    return (try? signed.request(signedBy: isForged ? keys.stranger : keys.ours, timestamp: timestamp)) ?? []
  }

  static func cheatReport(_ job: JobID, timestamp: UInt64, isForged: Bool) -> [UInt8] {
    func text(_ signature: JSONValue) -> [UInt8] {
      JSONValue.object([
        JSONMember("signature", signature), JSONMember("message_type", .string("V0JobCheated")),
        JSONMember("job_uuid", .string(job.description)), JSONMember("trusted_job_uuid", .string(job.description)),
        JSONMember("details", .object([])),
      ]).text(.python)
    }
    guard let keys, case .jobCheated(let report, _) = FacilitatorMessage.classify(text(.null)) else { return [] }
    let key = isForged ? keys.stranger : keys.ours
    guard let signature = try? key.sign(report.digest(timestamp: timestamp)) else { return [] }
    return text(
      .object([
        JSONMember("signature_type", .string("bittensor")), JSONMember("signatory", .string(key.publicKey.ss58)),
        JSONMember("timestamp_ns", .integer(timestamp)),
        JSONMember("signature", .string(Base64.encode(signature.bytes))),
        JSONMember("signature_scope", .string("SignedFields")),
      ]))
  }

  /// The same request for another job: the uuid is not signed.
  static func request(_ body: [UInt8], of job: JobID, as other: JobID) -> [UInt8] {
    let (old, new) = (Array(job.description.utf8), Array(other.description.utf8))
    // Where there are no bytes it is no text.
    guard body.first == UInt8(ascii: "{"),
      let place = body.prefix(1024).indices.first(where: { body[$0...].starts(with: old) })
    else { return body }
    return Array(body[..<place]) + new + Array(body[(place + old.count)...])
  }
}

extension MessagePackValue {
  /// As Python's msgpack packs it.
  init(_ value: JSONValue) {
    switch value {
    case .null: self = .null
    case .bool(let bool): self = .bool(bool)
    case .number(let text): self = Int64(text).map { .int($0) } ?? .float(Double(text) ?? 0)
    case .string(let text): self = .string(text)
    case .array(let values): self = .array(values.map { MessagePackValue($0) })
    case .object(let members):
      self = .map(members.map { MessagePackPair(.string($0.name), MessagePackValue($0.value)) })
    }
  }
}

extension Line where Up: Messages.Message, Down: Messages.Message {
  /// A socket between processes of ours.
  convenience init(between world: World, generation: Generation = .none) {
    self.init(
      world, generation: generation, up: { [unowned world] in world.framed($0) },
      down: { [unowned world] in world.framed($0) })
  }
}

import MessagePack
import Messages
import StatusUpdates

extension WorkerRequest {
  /// A worker's own id of a request, in bytes: it is kept until the answer.
  private static let longestID = 1024

  /// A frame may have a value for as many bytes of the largest frame: decoded, a value takes 24 bytes.
  private static let bytesPerValue = 8
  /// A frame may have as many values, however small the largest frame is.
  private static let leastValues = 1024

  /// What a frame's body asks for.
  ///
  /// - Parameters:
  ///   - job: nil for the channel of machine specs.
  ///   - limit: the largest frame, in bytes, which what is passed on must not be larger than either.
  public init(_ body: ArraySlice<UInt8>, job: JobID?, limit: Int) {
    var request = WorkerRequest(id: nil, content: .update(.unknown, metadata: nil))
    do {
      let limits = MessagePackLimits(values: max(Self.leastValues, limit / Self.bytesPerValue))
      try MessagePackView.decode(body, limits: limits) { request = WorkerRequest($0, job: job, limit: limit) }
    } catch {
      request = WorkerRequest(.malformed, "the frame is not MessagePack: \(error)")
    }
    self = request
  }

  private init(_ code: WorkerErrorCode, _ problem: String) {
    self.init(id: nil, content: .wrong(code, problem, closes: false))
  }

  private init(_ message: MessagePackView, job: JobID?, limit: Int) {
    guard let pairs = message.pairs else {
      self.init(.malformed, "the frame's value is not a map")
      return
    }
    let id = pairs.last { $0.key.isString("id") }.map { MessagePackValue($0.value) }
    guard id.map(Self.isShort) ?? true else {
      self.init(.invalid, "id: it is longer than \(Self.longestID) bytes; shorten it")
      return
    }
    self.init(id: id, content: Content(message, job: job, limit: limit))
  }

  private static func isShort(_ id: MessagePackValue) -> Bool {
    switch id {
    case .null, .bool, .int, .uint, .float: return true
    case .string, .binary, .ext, .array, .map:
      var encoder = MessagePackEncoder()
      encoder.value(id)
      return encoder.bytes.count <= longestID
    }
  }
}

extension WorkerRequest.Content {
  fileprivate init(_ message: MessagePackView, job: JobID?, limit: Int) {
    // In JSON, as the facilitator gets it, some bytes become six.
    func bounded(_ content: Self, _ count: Int) -> Self {
      guard count > limit else { return content }
      return .wrong(.tooLarge, "as JSON this has \(count) bytes; max_frame_bytes is \(limit)", closes: false)
    }
    do throws(InvalidUpdate) {
      if let job {
        let update = try StatusUpdateEnvelope.validate(message, expecting: job)
        self = bounded(.update(update.status, metadata: update.metadataJSON), update.metadataJSON?.count ?? 0)
      } else {
        let specs = try MachineSpecs(MessagePackValue(message))
        self = bounded(.specs(specs), specs.specs.count + specs.batchID.utf8.count + specs.minerHotkey.utf8.count)
      }
    } catch {
      self = .wrong(WorkerErrorCode(rawValue: error.code) ?? .invalid, error.description, closes: false)
    }
  }
}

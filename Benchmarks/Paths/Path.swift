import Decisions
import Facilitator
import Messages
import StatusUpdates

/// A step of an update's way, or all of it in one process.
struct Path {
  var name: String
  /// Makes what it needs, and returns what does it for the round of that number.
  var prepare: () throws -> (Int) throws -> Void

  static var all: [Path] {
    [
      uplink("decode") {
        let frames = Sample.statuses.indices.map(Sample.listenerFrames)
        var assemblers = (0..<Sample.batch).map { _ in FrameAssembler(limit: 1 << 20) }
        return { batch in
          for (index, frame) in frames[batch % frames.count].enumerated() {
            assemblers[index].append(frame)
            guard let body = try assemblers[index].next() else { throw PathError("a frame is not whole") }
            guard case (.update, _) = try ListenerToUplink.read(body) else { throw PathError("a frame is no update") }
          }
        }
      },
      uplink("decide") {
        let rig = try UplinkRig(.decisions)
        return { try rig.run($0) }
      },
      uplink("store") {
        let rig = try StoreRig(filled: false)
        return { try rig.insert($0) }
      },
      uplink("acknowledge") {
        { _ in
          for number in 0..<UInt64(Sample.batch) {
            let frame = UplinkToListener.stored(SequenceNumber(number)).frame(generation: Generation(1))
            guard frame.count > 4 else { throw PathError("an acknowledgement is empty") }
          }
        }
      },
      uplink("encode") {
        let metadata = Sample.statuses.map(Sample.metadata)
        return { batch in
          for (job, status) in Sample.updates(batch) {
            let text = StatusUpdateFrame.encode(
              job: Sample.job(job), status: status, metadataJSON: metadata[batch % metadata.count])
            guard text.count > 64 else { throw PathError("an update is empty") }
          }
        }
      },
      uplink("answer") {
        { _ in
          for _ in 0..<Sample.batch { try UplinkRig.takeAnswer() }
        }
      },
      uplink("retire") {
        let rig = try StoreRig(filled: true)
        return { try rig.retire($0) }
      },
      uplink("whole") {
        let rig = try UplinkRig(.everything)
        return { try rig.run($0) }
      },
      listener("decode", .decode),
      listener("decide", .decide),
      listener("encode", .encode),
      listener("whole", .everything),
    ]
  }

  /// - Parameter prepare: returns what does it for the batch of a number.
  private static func uplink(_ name: String, _ prepare: @escaping () throws -> (Int) throws -> Void) -> Path {
    Path(name: "uplink-\(name)") {
      let run = try prepare()
      return { round in
        let first = round * Sample.statuses.count
        for batch in first..<(first + Sample.statuses.count) { try run(batch) }
      }
    }
  }

  private static func listener(_ name: String, _ part: ListenerRig.Part) -> Path {
    Path(name: "listener-\(name)") {
      let rig = ListenerRig(part)
      return { _ in
        // As many jobs as are in a batch, each with all it reports.
        for _ in 0..<Sample.batch { try rig.run() }
      }
    }
  }
}

/// What a broken benchmark says instead of a figure.
struct PathError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

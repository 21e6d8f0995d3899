import Decisions
import MessagePack
import Messages
import TestSupport
import Testing

/// A frame may hold any number: it is refused by its field's name, or taken and decided about. It ends nobody.
@Suite struct NumberTests {
  /// Hands what can be read to the program that it is for.
  private final class Programs {
    private let settings = Samples.settings[0]
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var uplink: UplinkCore
    private var supervisor: SupervisorCore
    private var listener: ListenerCore

    init(seed: UInt64) {
      let moment = Moment(boot: now, wall: WallTime(milliseconds: 1_000_000_000))
      let stored = StoredState(
        jobs: [], nextUpdate: UpdateID(1), queued: 0, dead: 0, bytes: 0, isRestored: false, specs: [], cheats: [],
        forHook: 0, bytesForHook: 0)
      uplink = UplinkCore(settings: settings, stored: stored, bootID: "boot", seed: seed, at: moment)
      _ = uplink.start(at: moment)
      supervisor = SupervisorCore(
        settings: SupervisorCore.Settings(uplink: settings, uplinkSocket: "/u", stopGrace: .seconds(1)), seed: seed,
        at: now)
      _ = supervisor.handle(.timeReached, at: now)
      listener = ListenerCore(settings: ListenerSettings(job: firstJob, uplinkSocket: "/u", maxFrameBytes: 1024))
      _ = listener.start()
    }

    func take(_ message: some Message, _ generation: Generation) {
      now = now + .milliseconds(700)
      let moment = Moment(boot: now, wall: WallTime(milliseconds: 1_000_000_000 + now.nanoseconds / 1_000_000))
      switch message {
      case let message as SupervisorToUplink: _ = uplink.handle(.fromSupervisor(message), at: moment)
      case let message as ListenerToUplink:
        _ = uplink.handle(.fromListener(UplinkCore.ListenerID(1), message, generation), at: moment)
      case let message as UplinkToSupervisor: _ = supervisor.handle(.fromUplink(message, generation), at: now)
      case let message as ListenerToSupervisor:
        _ = supervisor.handle(.fromListener(.job(firstJob), message, generation), at: now)
      case let message as UplinkToListener: _ = listener.handle(.fromUplink(message), at: now)
      case let message as SupervisorToListener: _ = listener.handle(.fromSupervisor(message), at: now)
      default: break
      }
      _ = uplink.handle(.timeReached, at: moment)
      _ = supervisor.handle(.timeReached, at: now)
      _ = listener.handle(.timeReached, at: now)
    }
  }

  private struct AnyNumbers: ForEachConversation {
    let programs: Programs
    let rounds: Int
    let random: Box

    func check<M: Message>(_ samples: [M]) throws {
      for sample in samples {
        for _ in 0..<rounds {
          let number = UInt64.random(in: 0...3, using: &random.random)
          let elements: [MessagePackValue] = [
            .int(Int64(frameVersion)), .int(Int64(sample.kind)), .int(Int64(number)),
          ]
          let fields = sample.fields.map { random.changed($0) }
          guard refusal(M.self, body(elements + fields)) == nil else { continue }
          let (message, generation) = try M.read(body(elements + fields))
          let (again, _) = try M.read(body(elements + message.fields))
          #expect(again == message)
          programs.take(message, generation)
        }
      }
    }
  }

  /// The source of the test's numbers.
  private final class Box {
    var random: SplitMix64
    init(_ seed: UInt64) { random = SplitMix64(state: seed) }

    /// The value with some of the numbers in it replaced.
    func changed(_ value: MessagePackValue) -> MessagePackValue {
      switch value {
      case .int, .uint:
        switch Int.random(in: 0..<8, using: &random) {
        case 0: .uint([UInt64.max, .max - 1, 1 << 63].randomElement(using: &random) ?? 0)
        case 1: .int(Int64(bitPattern: random.next()))
        case 2...4: .int([Int64.min, .min + 1, -1, 0, 1, .max - 1, .max].randomElement(using: &random) ?? 0)
        default: value
        }
      case .array(let values): .array(values.map { changed($0) })
      default: value
      }
    }
  }

  @Test func anyNumberInAnyField() throws {
    let seed = testSeed("any number in any field")
    for round in 0..<20 {
      let test = AnyNumbers(programs: Programs(seed: seed), rounds: 20, random: Box(seed &+ UInt64(round)))
      try test.checkAll()
    }
  }
}

import Decisions
import DequeModule
import NIOCore

/// How much Uplink holds of what Listeners send: parts of frames, and what is not committed yet. Beyond `limit` they are
/// not read from, all but the one whose frame began first as long as nothing else can make room. What they have sent waits
/// in their sockets, and they with it. Confined to its event loop.
final class ListenerIntake {
  /// In bytes. What is held besides may be several times as much: a frame is copied on its way into the record.
  static let limit = 8 << 20

  private struct Source {
    let channel: any NIOCore.Channel
    /// Bytes of a frame that is not whole.
    var part = 0
    /// In which order the parts began.
    var began: UInt64 = 0
    var isRead = true
  }

  private var sources: [ConnectionID: Source] = [:]
  private var parts = 0
  /// What each commit that was asked for brings, in their order, and all of them together.
  private var commits = Deque<Int>()
  private var uncommitted = 0
  private var lastBegan: UInt64 = 0
  private var isFull = false
  private var foremost: ConnectionID?

  func opened(_ id: ConnectionID, _ channel: any NIOCore.Channel) {
    sources[id] = Source(channel: channel)
    if isFull { read(id, false) }
  }

  func closed(_ id: ConnectionID) {
    parts -= sources.removeValue(forKey: id)?.part ?? 0
    if foremost == id { foremost = nil }
    if isFull { balance() }
  }

  /// So many bytes of a frame of that Listener's wait for the rest of it.
  func holds(_ id: ConnectionID, _ part: Int) {
    guard let index = sources.index(forKey: id), part != sources.values[index].part else { return }
    let before = sources.values[index].part
    // One that is shorter than before is another.
    if part > 0, before == 0 || part < before {
      lastBegan += 1
      sources.values[index].began = lastBegan
    }
    sources.values[index].part = part
    parts += part - before
    if isFull || parts + uncommitted >= Self.limit { balance() }
  }

  /// A commit was asked for that brings so many bytes.
  func asked(_ bytes: Int) {
    commits.append(bytes)
    uncommitted += bytes
    if !isFull, parts + uncommitted >= Self.limit { balance() }
  }

  /// The oldest commit that was asked for is done.
  func committed() {
    uncommitted -= commits.popFirst() ?? 0
    if isFull { balance() }
  }

  private func balance() {
    let held = parts + uncommitted
    if !isFull, held >= Self.limit {
      isFull = true
      for id in sources.keys { read(id, false) }
    } else if isFull, held < Self.limit / 2 {
      isFull = false
      foremost = nil
      for id in sources.keys { read(id, true) }
    }
    guard isFull else { return }
    // What is being committed makes room by itself.
    let first =
      uncommitted > 0 ? nil : sources.filter { $0.value.part > 0 }.min { $0.value.began < $1.value.began }?.key
    guard first != foremost else { return }
    if let foremost { read(foremost, false) }
    if let first { read(first, true) }
    foremost = first
  }

  private func read(_ id: ConnectionID, _ isRead: Bool) {
    guard let index = sources.index(forKey: id), sources.values[index].isRead != isRead else { return }
    sources.values[index].isRead = isRead
    // It fails for a channel that is closed.
    try? sources.values[index].channel.syncOptions?.setOption(ChannelOptions.autoRead, value: isRead)
  }
}

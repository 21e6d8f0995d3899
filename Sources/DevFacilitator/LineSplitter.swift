/// Cuts what is read from a stream into lines.
struct LineSplitter {
  /// The longest line in bytes: a frame that is too long for a validator, with its escapes, fits in.
  static let byteLimit = 128 << 20

  enum Line: Equatable {
    /// Without its end, never empty.
    case whole([UInt8])
    /// Longer than the limit, and thrown away.
    case tooLong
  }

  private let limit: Int
  private var pending: [UInt8] = []
  private var isTooLong = false

  init(limit: Int = Self.byteLimit) { self.limit = limit }

  /// The lines that end within `bytes`.
  mutating func append(_ bytes: [UInt8]) -> [Line] {
    var lines: [Line] = []
    var rest = bytes[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      keep(rest[..<end])
      if let line = finish() { lines.append(line) }
      rest = rest[(end + 1)...]
    }
    keep(rest)
    return lines
  }

  /// The line that the stream's end has cut off, nil when there is none.
  mutating func finish() -> Line? {
    defer {
      pending = []
      isTooLong = false
    }
    return isTooLong ? .tooLong : pending.isEmpty ? nil : .whole(pending)
  }

  private mutating func keep(_ bytes: ArraySlice<UInt8>) {
    isTooLong = isTooLong || bytes.count > limit - pending.count
    if isTooLong { pending = [] } else { pending += bytes }
  }
}

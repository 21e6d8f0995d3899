import Glibc
import Platform
import Rehearsal

/// What the processes of a run did to the files of the record, in order, and between that what workers were told.
struct Recording {
  /// One thing that was done.
  enum Entry {
    case opened(handle: UInt64, name: String, isNew: Bool)
    case written(handle: UInt64, offset: Int, bytes: ArraySlice<UInt8>)
    case truncated(handle: UInt64, size: Int)
    case synced(handle: UInt64)
    case syncFailed(handle: UInt64)
    case directorySynced
    /// Nothing of the directory's changes is on the disk, and they are still to be written: a journal that cannot be
    /// written stops a file system, it forgets nothing.
    case directorySyncFailed
    case renamed(from: String, to: String)
    case unlinked(String)
    /// An update that its worker, or the facilitator, knows to be on record.
    case acknowledged(String)
  }

  enum Problem: Error {
    case cut(at: Int)
    case unknown(letter: UInt8, at: Int)
  }

  let entries: [Entry]

  /// Reads what Recorder/recorder.c has written.
  init(_ path: String) throws {
    let bytes = try Files.read(path, limit: 1 << 30)
    var entries: [Entry] = []
    var place = 0
    while place < bytes.count {
      guard bytes.count - place >= 40 else { throw Problem.cut(at: place) }
      let head = bytes.withUnsafeBytes { all in
        (0..<5).map { all.loadUnaligned(fromByteOffset: place + 8 * $0, as: UInt64.self) }
      }
      let (handle, offset) = (head[1], Int(head[2]))
      let path = place + 40..<place + 40 + Int(head[3])
      let data = path.upperBound..<path.upperBound + Int(head[4])
      guard data.upperBound <= bytes.count else { throw Problem.cut(at: place) }
      let (name, more) = (String(decoding: bytes[path], as: UTF8.self), bytes[data])
      switch UInt8(truncatingIfNeeded: head[0]) {
      case UInt8(ascii: "o"): entries.append(.opened(handle: handle, name: name, isNew: offset != 0))
      case UInt8(ascii: "w"): entries.append(.written(handle: handle, offset: offset, bytes: more))
      case UInt8(ascii: "t"): entries.append(.truncated(handle: handle, size: offset))
      case UInt8(ascii: "s"): entries.append(.synced(handle: handle))
      case UInt8(ascii: "e"): entries.append(.syncFailed(handle: handle))
      case UInt8(ascii: "d"): entries.append(.directorySynced)
      case UInt8(ascii: "f"): entries.append(.directorySyncFailed)
      case UInt8(ascii: "r"): entries.append(.renamed(from: name, to: String(decoding: more, as: UTF8.self)))
      case UInt8(ascii: "u"): entries.append(.unlinked(name))
      case UInt8(ascii: "m"): entries.append(.acknowledged(name))
      case let letter: throw Problem.unknown(letter: letter, at: place)
      }
      place = data.upperBound
    }
    self.entries = entries
  }

  /// Appends to a recording that somebody has been told so.
  static func mark(_ text: String, in path: String) throws {
    let head: [UInt64] = [UInt64(UInt8(ascii: "m")), 0, 0, UInt64(text.utf8.count), 0]
    let bytes = head.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } } + text.utf8
    let number = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw SystemError("open", path) }
    let file = Descriptor(owning: number)
    guard write(file.number, bytes, bytes.count) == bytes.count else { throw SystemError("write", path) }
  }
}

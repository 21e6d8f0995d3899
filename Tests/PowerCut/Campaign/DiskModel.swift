import Decisions

/// What is on a disk, and what a power cut may leave of what is not.
///
/// A sync puts on the disk what was written to the file since the last; without one, each sector may have any state that it
/// had in memory since then. A sync that fails leaves some of it on the disk, and forgets the rest: a later sync writes
/// only what is written later (fsyncgate). The names in the directory are put on the disk by a sync of the directory.
struct DiskModel {
  /// What a power cut does to what was not synced.
  enum Cut: CaseIterable {
    /// All of it is lost.
    case nothingKept
    /// Everything was written just in time.
    case everythingKept
    /// What was done first is kept, for the files and the directory alike.
    case prefixKept
    /// Each page of 4 KiB is as it was at some moment.
    case pages
    /// Each sector of 512 bytes is: pages are torn.
    case sectors
    /// Each sector is old or new.
    case oldAndNew
  }

  private enum Change {
    case written(offset: Int, bytes: ArraySlice<UInt8>)
    case truncated(Int)
  }

  private struct File {
    var onDisk: [UInt8] = []
    var changes: [Change] = []
    /// As processes see it.
    var size = 0
  }

  private enum Renaming {
    case made(String, Int)
    case renamed(from: String, to: String, Int)
    case removed(String)
  }

  private var files: [File] = []
  private var handles: [UInt64: Int] = [:]
  private var namesOnDisk: [String: Int] = [:]
  private var names: [String: Int] = [:]
  private var renamings: [Renaming] = []

  /// Takes in the next of what was done.
  mutating func take(_ entry: Recording.Entry, _ dice: inout Dice) {
    switch entry {
    case .opened(let handle, let name, let isNew):
      if isNew || names[name] == nil {
        names[name] = files.count
        renamings.append(.made(name, files.count))
        files.append(File())
      }
      handles[handle] = names[name]
    case .written(let handle, let offset, let bytes):
      guard let file = handles[handle] else { return }
      files[file].changes.append(.written(offset: offset, bytes: bytes))
      files[file].size = max(files[file].size, offset + bytes.count)
    case .truncated(let handle, let size):
      guard let file = handles[handle] else { return }
      files[file].changes.append(.truncated(size))
      files[file].size = size
    case .synced(let handle):
      guard let file = handles[handle] else { return }
      files[file].onDisk = Self.content(of: files[file], .everythingKept, kept: 1, &dice)
      // Of a sync that failed, the size is written by one that does not: it is no page.
      Self.resize(&files[file].onDisk, to: files[file].size)
      files[file].changes = []
    case .syncFailed(let handle):
      guard let file = handles[handle] else { return }
      let cut: Cut = Bool.random(using: &dice) ? .nothingKept : .pages
      files[file].onDisk = Self.content(of: files[file], cut, kept: 0, &dice)
      files[file].changes = []
    case .directorySynced:
      namesOnDisk = names
      renamings = []
    case .renamed(let from, let to):
      guard let file = names.removeValue(forKey: from) else { return }
      names[to] = file
      renamings.append(.renamed(from: from, to: to, file))
    case .unlinked(let name):
      names[name] = nil
      renamings.append(.removed(name))
    case .directorySyncFailed, .acknowledged: break
    }
  }

  /// Whether something may be lost now.
  var isPending: Bool { !renamings.isEmpty || files.contains { !$0.changes.isEmpty } }

  /// The files as they may be after a power cut now, by their names.
  func afterCut(_ cut: Cut, _ dice: inout Dice) -> [String: [UInt8]] {
    let kept = Double.random(in: 0...1, using: &dice)
    var left = namesOnDisk
    for (index, renaming) in renamings.enumerated() {
      let isKept =
        switch cut {
        case .nothingKept: false
        case .everythingKept: true
        case .prefixKept: Double(index) < kept * Double(renamings.count + 1)
        case .pages, .sectors, .oldAndNew: Bool.random(using: &dice)
        }
      guard isKept else { continue }
      switch renaming {
      case .made(let name, let file): left[name] = file
      case .renamed(let from, let to, let file):
        left[from] = nil
        left[to] = file
      case .removed(let name): left[name] = nil
      }
    }
    // In the order of their names, so that the same seed gives the same disk.
    var content: [String: [UInt8]] = [:]
    for (name, file) in left.sorted(by: { $0.key < $1.key }) {
      content[name] = Self.content(of: files[file], cut, kept: kept, &dice)
    }
    return content
  }

  private static func content(of file: File, _ cut: Cut, kept: Double, _ dice: inout Dice) -> [UInt8] {
    let changes = file.changes
    guard !changes.isEmpty, cut != .nothingKept else { return file.onDisk }
    let prefix = cut == .everythingKept ? changes.count : min(changes.count, Int(kept * Double(changes.count + 1)))
    if cut == .everythingKept || cut == .prefixKept {
      var content = file.onDisk
      for change in changes.prefix(prefix) { apply(change, to: &content) }
      return content
    }
    return piecewise(file.onDisk, changes, cut, &dice)
  }

  private static func apply(_ change: Change, to content: inout [UInt8]) {
    switch change {
    case .truncated(let size): resize(&content, to: size)
    case .written(let offset, let bytes):
      if content.count < offset + bytes.count { resize(&content, to: offset + bytes.count) }
      copy(bytes, to: offset, in: &content)
    }
  }

  /// Each piece of the file has the state that it had after some number of the changes, and its size too.
  private static func piecewise(
    _ onDisk: [UInt8], _ changes: [Change], _ cut: Cut, _ dice: inout Dice
  ) -> [UInt8] {
    let piece = cut == .pages ? 4096 : 512
    var size = onDisk.count
    /// From which place on at least so many changes have been made: those up to a truncation that is in the size.
    var truncated: (from: Int, changes: Int) = (.max, 0)
    for (index, change) in changes.prefix(Int.random(in: 0...changes.count, using: &dice)).enumerated() {
      switch change {
      case .written(let offset, let bytes): size = max(size, offset + bytes.count)
      case .truncated(let to):
        size = to
        truncated = (min(to, truncated.from), index + 1)
      }
    }
    var content = onDisk
    var states: [Int: Int] = [:]
    for (index, change) in changes.enumerated() {
      guard case .written(let offset, let bytes) = change else {
        if case .truncated(let to) = change, index < truncated.changes, to < content.count { resize(&content, to: to) }
        continue
      }
      var place = offset
      while place < offset + bytes.count {
        let end = min((place / piece + 1) * piece, offset + bytes.count)
        let drawn =
          cut == .oldAndNew
          ? (Bool.random(using: &dice) ? changes.count : 0) : Int.random(in: 0...changes.count, using: &dice)
        var state = states[place / piece] ?? drawn
        if place >= truncated.from { state = max(state, truncated.changes) }
        states[place / piece] = state
        if index < state {
          if content.count < end { resize(&content, to: end) }
          copy(bytes[(bytes.startIndex + place - offset)..<(bytes.startIndex + end - offset)], to: place, in: &content)
        }
        place = end
      }
    }
    resize(&content, to: size)
    return content
  }

  private static func copy(_ bytes: ArraySlice<UInt8>, to offset: Int, in content: inout [UInt8]) {
    bytes.withUnsafeBytes { from in
      content.withUnsafeMutableBytes { to in
        UnsafeMutableRawBufferPointer(rebasing: to[offset..<offset + from.count]).copyMemory(from: from)
      }
    }
  }

  /// Copied as they are, which an unoptimised build does quickly.
  private static let zeros = [UInt8](repeating: 0, count: 1 << 16)

  private static func resize(_ content: inout [UInt8], to size: Int) {
    if size < content.count {
      content.removeLast(content.count - size)
    } else {
      while content.count < size { content += zeros.prefix(size - content.count) }
    }
  }
}

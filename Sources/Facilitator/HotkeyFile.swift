import Identity

/// A Bittensor hotkey file: JSON with the key's parts, most of them optional. Source: PROTOCOL.md, Keys.
public enum HotkeyFile {
  /// The largest file that is looked at, in bytes. A real one has about 500.
  public static let sizeLimit = 65_536

  /// The key in a hotkey file, whose text is nowhere else in this process and is wiped afterwards.
  ///
  /// Fields of other names are passed over, and null counts as absent.
  /// - Parameter read: writes the file into memory of `sizeLimit` bytes and returns how many it has.
  /// - Throws: `IdentityError` for an encrypted file or one whose key cannot be used, `Unusable` for one that is not JSON
  ///   of that shape, and what `read` throws. None of ours carries a secret.
  public static func hotkey(_ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Hotkey {
    try Sodium.withSecretMemory(count: sizeLimit) { memory in
      let count = try read(UnsafeMutableRawBufferPointer(memory))
      let contents = UnsafeMutableBufferPointer(rebasing: memory[..<count])
      if let form = EncryptedKeyfile(contents: contents) { throw IdentityError.fileEncrypted(form) }
      return try Hotkey(HotkeyFileReader.fields(in: contents))
    }
  }

  /// What to tell the operator when others than the file's owner and group may read, write or run it, with the command
  /// that mends it; nil when they may not.
  ///
  /// - Parameter mode: the file's permission bits, as `Files.mode` has them; the bits of its type do no harm.
  public static func warning(path: String, mode: UInt32) -> String? {
    guard mode & 0o007 != 0 else { return nil }
    let plain = path.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      // Digits, and `-`, `.`, `/` before them.
      case UInt8(ascii: "-")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
      default: false
      }
    }
    var quoted = path
    if !plain {
      quoted = "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
    return "the hotkey file \(path) is open to every user of this machine; run: chmod o-rwx \(quoted)"
  }

  /// Not JSON, or JSON that is no hotkey file.
  public enum Unusable: Error, Hashable, CustomStringConvertible {
    /// `offset` is that of the first byte that does not fit, or of a string that is not UTF-8, counted from 0.
    case notJSON(offset: Int)
    case fieldTwice(String)
    case notAnObject
    case notAString(field: String)

    public var description: String {
      switch self {
      case .notJSON(let offset): "the file is not JSON at byte \(offset); give a Bittensor hotkey file"
      case .fieldTwice(let field): "the field \(field) is there twice; take out the one that is not the validator's"
      case .notAnObject: "the file's JSON is not an object; give a Bittensor hotkey file"
      case .notAString(let field): "the field \(field) is not a string; give a Bittensor hotkey file"
      }
    }
  }
}

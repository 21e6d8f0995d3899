import Identity
import JSON

/// A Bittensor hotkey file: JSON with the key's parts, most of them optional. Source: PROTOCOL.md, Keys.
public enum HotkeyFile {
  /// The largest file that is looked at, in bytes. A real one has about 500.
  public static let sizeLimit = 65_536

  /// The key in a hotkey file.
  ///
  /// Fields of other names are passed over, and null counts as absent.
  /// - Throws: `IdentityError` for an encrypted file or one whose key cannot be used, `JSONError` for a file that is
  ///   not JSON, `Unusable` for JSON of another shape. None of them carries a secret.
  public static func hotkey(in contents: [UInt8]) throws -> Hotkey {
    if let form = EncryptedKeyfile(contents: contents) { throw IdentityError.fileEncrypted(form) }
    let value = try JSONValue.parse(contents, limits: JSONLimits(bytes: sizeLimit))
    guard case .object = value else { throw Unusable.notAnObject }
    func text(_ name: String) throws(Unusable) -> String? {
      switch value[name] {
      case nil, .null: return nil
      case .string(let text): return text
      default: throw .notAString(field: name)
      }
    }
    var fields = HotkeyFields()
    fields.accountId = try text("accountId")
    fields.publicKey = try text("publicKey")
    fields.privateKey = try text("privateKey")
    fields.secretPhrase = try text("secretPhrase")
    fields.secretSeed = try text("secretSeed")
    fields.ss58Address = try text("ss58Address")
    return try Hotkey(fields)
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

  /// JSON that is no hotkey file.
  public enum Unusable: Error, Hashable, CustomStringConvertible {
    case notAnObject
    case notAString(field: String)

    public var description: String {
      switch self {
      case .notAnObject: "the file's JSON is not an object; give a Bittensor hotkey file"
      case .notAString(let field): "the field \(field) is not a string; give a Bittensor hotkey file"
      }
    }
  }
}

import Platform

/// The place of a value in the document, written as a dotted path: `jobs.trusted_signers[2]`.
///
/// A key that is not a bare key (TOML 1.0.0, "Keys") is written in quotes, with control characters escaped,
/// so that a path is unambiguous and safe to print. Keys are cut at `longestKey` characters: no key of ours
/// comes near that, and a hostile file cannot make paths long.
struct SettingPath {
  static let longestKey = 64

  /// The path; empty for the document itself.
  private(set) var text = ""
  /// How many keys and indices it has.
  private(set) var depth = 0

  /// The path of `key` inside the table at this path.
  func appending(_ key: String) -> SettingPath {
    let name = isBareKey(key) ? String(key.prefix(Self.longestKey)) : printable(key)
    return SettingPath(text: text.isEmpty ? name : "\(text).\(name)", depth: depth + 1)
  }

  /// The path of the element at `index` of the array at this path.
  func element(_ index: Int) -> SettingPath {
    SettingPath(text: "\(text)[\(index)]", depth: depth + 1)
  }

  private func isBareKey(_ key: String) -> Bool {
    !key.isEmpty && key.utf8.allSatisfy(isBareKeyByte)
  }
}

/// Whether a byte may stand in a bare key (TOML 1.0.0, "Keys").
func isBareKeyByte(_ byte: UInt8) -> Bool {
  isASCIIAlphanumeric(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
}

func isASCIIAlphanumeric(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
  default: isASCIIDigit(byte)
  }
}

func isASCIIDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// A text from the file in quotes, cut at 64 characters, with whatever could upset a terminal escaped.
func printable(_ text: String) -> String {
  let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
  return "\"\(Terminal.printable(escaped, limit: SettingPath.longestKey))\""
}

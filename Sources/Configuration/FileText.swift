import Platform

/// The bytes of the file at `path`. Throws a sentence that follows the file's name.
func readFile(_ path: String, atMost limit: Int) throws(InvalidText) -> [UInt8] {
  guard !path.utf8.contains(0) else { throw InvalidText("cannot be opened: its name contains NUL") }
  do {
    return try Files.read(path, limit: limit)
  } catch {
    if error.code == Files.tooLarge {
      throw InvalidText("is longer than the \(limit) bytes that a configuration may have: shorten it")
    }
    throw InvalidText("cannot \(error.call) the configuration: \(error.reason): name a readable file with --config")
  }
}

/// The document as text; throws the line of the first byte that no TOML document may contain.
func validatedText(_ bytes: [UInt8]) throws(LineScanner.Refusal) -> String {
  // No byte of a character beyond ASCII looks like the end of a line, so lines can be judged one by one.
  for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    .enumerated()
  {
    let content = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
    guard String(validating: content, as: UTF8.self) != nil else {
      throw LineScanner.Refusal(
        line: index + 1, message: "not TOML: this line is not UTF-8: save the file as UTF-8")
    }
    guard !content.contains(where: { $0 < 0x20 && $0 != UInt8(ascii: "\t") || $0 == 0x7F }) else {
      throw LineScanner.Refusal(
        line: index + 1, message: "not TOML: this line contains a control character: remove it")
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}

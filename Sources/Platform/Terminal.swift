import Glibc

/// What is written for people to read.
public enum Terminal {
  /// Writes one line to standard error. One that cannot be written leaves nowhere to say so.
  public static func complain(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
  }

  /// The text with what could upset a terminal escaped: much of what is shown was said by other machines.
  ///
  /// - Parameter limit: how many scalars of it are shown; the rest is an ellipsis.
  public static func printable(_ text: String, limit: Int = .max) -> String {
    if text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return text }
    var result = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == limit { return result + "…" }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

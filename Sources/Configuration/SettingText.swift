import JSON

// Checks on single strings. Each returns the value to keep, or throws the second half of a sentence that
// begins with the setting's name.

/// Any text at all.
func anyText(_ text: String) throws(InvalidText) -> String {
  text
}

/// Any text but the empty one.
func nonEmpty(_ text: String) throws(InvalidText) -> String {
  guard !text.isEmpty else { throw InvalidText("must not be empty") }
  return text
}

/// The text of a JSON array.
func jsonArray(_ text: String) throws(InvalidText) -> String {
  guard case .array = try? JSONValue.parse(Array(text.utf8), limits: jsonLimits) else {
    throw InvalidText("must be a JSON array in quotes, as in '[1, \"two\"]'")
  }
  return text
}

/// The text of a JSON object.
func jsonObject(_ text: String) throws(InvalidText) -> String {
  guard case .object = try? JSONValue.parse(Array(text.utf8), limits: jsonLimits) else {
    throw InvalidText("must be a JSON object in quotes, as in '{\"route\": \"fast\"}'")
  }
  return text
}

/// It goes into every task.
private let jsonLimits = JSONLimits(bytes: 65_536)

/// An absolute path of at most 4,095 bytes (PATH_MAX without its NUL), without slashes at its end.
func absolutePath(_ text: String) throws(InvalidText) -> String {
  guard text.utf8.first == UInt8(ascii: "/") else {
    throw InvalidText(
      "must be an absolute path, beginning with /: a relative one depends on who starts it")
  }
  guard text.utf8.count <= 4095 else { throw InvalidText("must not be longer than 4095 bytes") }
  var path = text[...]
  while path.utf8.count > 1, path.hasSuffix("/") { path = path.dropLast() }
  return String(path)
}

/// An absolute path under which a job's socket still fits a socket address.
func runtimePath(_ text: String) throws(InvalidText) -> String {
  let path = try absolutePath(text)
  // sun_path has 108 bytes, one of them for NUL (unix(7)); a job's UUID has 36 (RFC 9562, section 4).
  let excess = path.utf8.count + "/jobs/".utf8.count + 36 + "/worker.sock".utf8.count - 107
  guard excess <= 0 else {
    throw InvalidText(
      "is \(excess) \(excess == 1 ? "byte" : "bytes") too long: "
        + "with /jobs/UUID/worker.sock after it, it must fit the 107 bytes of a socket's address")
  }
  return path
}

/// A variable that a command may be given.
func passableVariable(_ text: String) throws(InvalidText) -> String {
  guard !text.isEmpty, !text.contains("="), !text.utf8.contains(0) else {
    throw InvalidText("must be the name of a variable, without = and a value")
  }
  switch text {
  case "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY",
    _ where text.hasPrefix("LISTEN_"):
    throw InvalidText(
      "names a variable that belongs to the service and never reaches a command: remove it")
  case "HORDELINK_JOB_UUID", "HORDELINK_SOCKET":
    throw InvalidText(
      "names a variable that every command is given anyway, with its own value: remove it")
  default: return text
  }
}

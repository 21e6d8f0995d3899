/// Finds the line of every key of a TOML document, which TOMLKit does not tell, and keeps from TOMLKit what
/// it cannot be trusted with.
///
/// It follows the lexical rules of TOML 1.0.0: tables, arrays of tables, dotted and quoted keys, the four
/// kinds of string, arrays and inline tables over several lines, comments. The parser remains the judge of
/// numbers, duplicates and much else. Refused here is what would not survive the parser or come out of it
/// changed:
/// - NUL, at which TOMLKit silently cuts strings and keys, and deep nesting, which toml++, the parser behind
///   TOMLKit, follows by recursion;
/// - a missing key or value, a broken date, and a character beyond ASCII outside of strings or where a
///   backslash wants an escape or the next line: there toml++ fails assertions or its behaviour is undefined.
///   Dates are refused altogether, since no setting is one.
///
/// Up to the first mistake in a document both read it alike, and the parser goes no further.
struct LineScanner {
  /// How many keys and indices a path may have. Settings need three.
  static let deepest = 8

  /// Why the document must not be handed to the parser.
  struct Refusal: Error, Equatable {
    var line: Int
    var message: String
  }

  /// The line, counted from 1, of every key, table and array element, by its path (see `SettingPath`). A
  /// table that is only implied has the line that first implies it.
  private(set) var lines: [String: Int] = [:]
  /// Set when scanning stopped for good.
  private(set) var refusal: Refusal?

  private let text: [UInt8]
  private var position = 0
  private var line = 1
  /// How many tables each array of tables has so far.
  private var tableCounts: [String: Int] = [:]

  /// Scans the whole of `text`, a document in UTF-8.
  init(_ text: [UInt8]) {
    self.text = text
    if text.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    var table = SettingPath()
    while true {
      skipTrivia()
      guard let byte = peek() else { return }
      if byte == UInt8(ascii: "[") {
        table = scanHeader()
      } else {
        scanKeyValue(in: table)
      }
      skipBlanks()
      if let byte = peek(), !"#\r\n".utf8.contains(byte) {
        refuse("not TOML: only a comment may follow here: begin a new line, or put a text in quotes")
      }
      skipLine()
    }
  }

  // MARK: Statements

  /// `[a.b]` or `[[a.b]]`; the path of the table that the following keys belong to.
  private mutating func scanHeader() -> SettingPath {
    take()
    let isArray = peek() == UInt8(ascii: "[")
    if isArray { take() }
    let keys = readKey()
    for _ in 0..<(isArray ? 2 : 1) { expect("]", "to close a table's header") }
    var path = SettingPath()
    for key in keys.dropLast() {
      path = path.appending(key)
      record(path, isImplied: true)
      if let count = tableCounts[path.text] { path = path.element(count - 1) }
    }
    guard let last = keys.last else { return path }
    path = path.appending(last)
    record(path, isImplied: isArray)
    guard isArray else { return path }
    let index = tableCounts[path.text, default: 0]
    tableCounts[path.text] = index + 1
    path = path.element(index)
    record(path)
    return path
  }

  /// `a.b = value`
  private mutating func scanKeyValue(in table: SettingPath) {
    let keys = readKey()
    var path = table
    for (index, key) in keys.enumerated() {
      path = path.appending(key)
      record(path, isImplied: index < keys.count - 1)
    }
    expect("=", "and a value after a name")
    skipBlanks()
    scanValue(at: path)
  }

  private mutating func record(_ path: SettingPath, isImplied: Bool = false) {
    guard path.depth <= Self.deepest else { return refuseDepth() }
    if !isImplied || lines[path.text] == nil { lines[path.text] = line }
  }

  // MARK: Values

  /// Every level of nesting adds to the depth of the path, which bounds the recursion.
  private mutating func scanValue(at path: SettingPath) {
    guard path.depth <= Self.deepest else { return refuseDepth() }
    switch peek() {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): readString()
    case UInt8(ascii: "["): scanArray(at: path)
    case UInt8(ascii: "{"): scanInlineTable(at: path)
    default: scanPlainValue(at: path)
    }
  }

  /// A number, true or false.
  private mutating func scanPlainValue(at path: SettingPath) {
    let start = position
    while let byte = peek(), isBareKeyByte(byte) || "+.:".utf8.contains(byte) {
      let isSign = byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
      let beginsPart = position == start || "eE".utf8.contains(text[position - 1])
      if byte == UInt8(ascii: ":") || isSign && !beginsPart {
        return refuse(
          "\(path.text) is a date or time, which no setting is: correct it, or put a text in quotes"
        )
      }
      take()
    }
    if position == start {
      refuse("not TOML: \(path.text) has no value, or one that must be put in quotes")
    }
  }

  private mutating func scanArray(at path: SettingPath) {
    take()
    for index in 0... {
      skipTrivia()
      if peek() == nil || peek() == UInt8(ascii: "]") { break }
      record(path.element(index))
      scanValue(at: path.element(index))
      skipTrivia()
      guard peek() == UInt8(ascii: ",") else { break }
      take()
    }
    expect("]", "or a comma after a value of the array \(path.text)")
  }

  private mutating func scanInlineTable(at path: SettingPath) {
    take()
    skipTrivia()
    while peek() != UInt8(ascii: "}") {
      skipTrivia()
      scanKeyValue(in: path)
      skipTrivia()
      guard peek() == UInt8(ascii: ",") else { break }
      take()
    }
    expect("}", "or a comma after a value of the table \(path.text)")
  }

  // MARK: Keys and strings

  /// The parts of a dotted key.
  private mutating func readKey() -> [String] {
    var parts: [String] = []
    while true {
      skipBlanks()
      if peek() == UInt8(ascii: "\"") || peek() == UInt8(ascii: "'") {
        parts.append(String(decoding: readString(), as: UTF8.self))
      } else {
        let start = position
        skip(isBareKeyByte)
        parts.append(String(decoding: text[start..<position], as: UTF8.self))
        if position == start {
          refuse(
            "not TOML: a name is missing here, or has characters for which it must be put in quotes"
          )
        }
      }
      if parts.count > Self.deepest { refuseDepth() }
      skipBlanks()
      guard peek() == UInt8(ascii: ".") else { return parts }
      take()
    }
  }

  /// Reads a string of any of the four kinds; what it stands for, in UTF-8.
  @discardableResult
  private mutating func readString() -> [UInt8] {
    guard let quote = peek() else { return [] }
    var value: [UInt8] = []
    let firstLine = line
    let isMultiline = peek(1) == quote && peek(2) == quote
    take(isMultiline ? 3 : 1)
    while let byte = peek() {
      if byte == quote {
        guard isMultiline else {
          take()
          return value
        }
        if peek(1) == quote && peek(2) == quote {
          take(3)
          // One or two quotes may stand right before the three that end the string.
          for _ in 0..<2 where peek() == quote { take() }
          return value
        }
      } else if byte == UInt8(ascii: "\n") && !isMultiline {
        break
      } else if byte == UInt8(ascii: "\\") && quote == UInt8(ascii: "\"") {
        take()
        readEscape(isMultiline: isMultiline, into: &value)
        continue
      }
      value.append(byte)
      take()
    }
    refuse("not TOML: the string that begins here has no end", at: firstLine)
    return value
  }

  /// What follows a backslash in a basic string.
  private mutating func readEscape(isMultiline: Bool, into value: inout [UInt8]) {
    guard let byte = peek() else { return }
    if isMultiline, isSpace(byte) {
      // A backslash at the end of a line: it, the end of the line and the blanks after it stand for nothing.
      skip(isSpace)
      if let next = peek(), next >= 0x80 {
        refuse(
          "a character beyond ASCII may not come first after a backslash that ends a line: join the lines"
        )
      }
      return
    }
    take()
    switch byte {
    case UInt8(ascii: "b"): value.append(0x08)
    case UInt8(ascii: "t"): value.append(0x09)
    case UInt8(ascii: "n"): value.append(0x0A)
    case UInt8(ascii: "f"): value.append(0x0C)
    case UInt8(ascii: "r"): value.append(0x0D)
    case UInt8(ascii: "u"): readScalar(digits: 4, into: &value)
    case UInt8(ascii: "U"): readScalar(digits: 8, into: &value)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): value.append(byte)
    default:
      refuse(
        #"not TOML: \ must begin an escape: write \\ for a backslash, or put the text in 'single quotes'"#
      )
    }
  }

  private mutating func readScalar(digits: Int, into value: inout [UInt8]) {
    var code: UInt32 = 0
    for _ in 0..<digits {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        return
      }
      code = code << 4 | UInt32(digit)
      take()
    }
    if code == 0 {
      refuse("an escape stands for the character NUL, which no setting may contain: remove it")
    } else if let scalar = Unicode.Scalar(code) {
      value.append(contentsOf: Character(scalar).utf8)
    }
  }

  // MARK: Bytes

  private func peek(_ distance: Int = 0) -> UInt8? {
    position + distance < text.count ? text[position + distance] : nil
  }

  /// Every byte is passed here, and so every line counted here.
  private mutating func take(_ count: Int = 1) {
    for _ in 0..<count where position < text.count {
      if text[position] == UInt8(ascii: "\n") { line += 1 }
      position += 1
    }
  }

  private mutating func skip(_ condition: (UInt8) -> Bool) {
    while let byte = peek(), condition(byte) { take() }
  }

  private mutating func skipBlanks() {
    skip { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
  }

  /// Skips the rest of the line, and its end.
  private mutating func skipLine() {
    skip { $0 != UInt8(ascii: "\n") }
    take()
  }

  /// Skips blanks, ends of lines and comments.
  private mutating func skipTrivia() {
    while let byte = peek() {
      if byte == UInt8(ascii: "#") {
        skipLine()
      } else if isSpace(byte) {
        take()
      } else {
        return
      }
    }
  }

  private func isSpace(_ byte: UInt8) -> Bool {
    " \t\r\n".utf8.contains(byte)
  }

  private mutating func refuseDepth() {
    refuse("this is nested more than \(Self.deepest) deep, and no setting is: remove it")
  }

  /// Takes `character`, after blanks, or refuses the document for want of it.
  private mutating func expect(_ character: Unicode.Scalar, _ purpose: String) {
    skipBlanks()
    guard let byte = peek(), byte == UInt8(ascii: character) else {
      return refuse("not TOML: here must be a \(character), \(purpose)")
    }
    take()
  }

  /// Stops scanning. The first refusal counts: those that follow from it come later.
  private mutating func refuse(_ message: String, at place: Int? = nil) {
    if refusal == nil { refusal = Refusal(line: place ?? line, message: message) }
    position = text.count
  }
}

import TOMLKit

/// Reads the settings of one table, each with its type, default and limits, and reports what is wrong with
/// them.
///
/// To read a key is to declare it: `finish` reports the keys that were never asked for.
struct Section {
  private let path: SettingPath
  private let table: TOMLTable?
  private let log: ProblemLog
  private var known: [String] = []
  /// False when something other than a table has the section's name: its settings are then not missed.
  let isReadable: Bool

  /// The document itself.
  init(root: TOMLTable, log: ProblemLog) {
    self.init(path: SettingPath(), table: root, log: log, isReadable: true)
  }

  private init(path: SettingPath, table: TOMLTable?, log: ProblemLog, isReadable: Bool) {
    self.path = path
    self.table = table
    self.log = log
    self.isReadable = isReadable
  }

  /// The table `key` of this one; empty when it is missing.
  mutating func section(_ key: String) -> Section {
    let inner = path.appending(key)
    guard let value = value(key) else {
      return Section(path: inner, table: nil, log: log, isReadable: true)
    }
    let table = value.table
    if table == nil {
      report(key, "must be a table, written [\(inner.text)], not \(typeName(value))")
    }
    return Section(path: inner, table: table, log: log, isReadable: table != nil)
  }

  /// A whole number in `range`.
  mutating func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int) -> Int {
    guard let value = value(key) else { return fallback }
    let wanted = "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
    guard let number = value.int else {
      report(key, "\(wanted), not \(typeName(value))")
      return fallback
    }
    guard range.contains(number) else {
      report(key, "\(wanted), not \(number)")
      return fallback
    }
    return number
  }

  /// True or false.
  mutating func flag(_ key: String, default fallback: Bool) -> Bool {
    guard let value = value(key) else { return fallback }
    guard let flag = value.bool else {
      report(key, "must be true or false, without quotes, not \(typeName(value))")
      return fallback
    }
    return flag
  }

  /// One of the words that `Choice` has; nil when it is something else.
  mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ key: String, default fallback: Choice
  ) -> Choice? {
    guard let value = value(key) else { return fallback }
    let wanted = "must be " + Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
    guard let text = value.string else {
      report(key, "\(wanted), not \(typeName(value))")
      return nil
    }
    guard let choice = Choice(rawValue: text) else {
      report(key, "\(wanted), not \(printable(text))")
      return nil
    }
    return choice
  }

  /// What `parse` makes of a string; nil when the key is missing or wrong. Errors do not repeat the string.
  mutating func parsed<Value>(
    _ key: String, _ parse: (String) throws(InvalidText) -> Value
  ) -> Value? {
    guard let value = value(key) else { return nil }
    guard let text = value.string else {
      report(key, "must be a string in quotes, not \(typeName(value))")
      return nil
    }
    return parsed(text, at: key, parse)
  }

  /// What `parse` makes of each string in an array; nil when the key is missing or anything in it is wrong.
  /// An element that is wrong is reported under its index.
  mutating func list<Value>(
    _ key: String, _ parse: (String) throws(InvalidText) -> Value
  ) -> [Value]? {
    guard let value = value(key) else { return nil }
    guard let array = value.array else {
      report(key, "must be an array of strings, written [\"...\"], not \(typeName(value))")
      return nil
    }
    let elements: [Value] = array.enumerated().compactMap { index, element in
      guard let text = element.string else {
        report("\(key)[\(index)]", "must be a string in quotes, not \(typeName(element))")
        return nil
      }
      return parsed(text, at: "\(key)[\(index)]", parse)
    }
    return elements.count == array.count ? elements : nil
  }

  /// Whether the file sets `key`, rightly or wrongly.
  func has(_ key: String) -> Bool {
    table?[key] != nil
  }

  /// Whether the file sets `key` to an array without elements.
  func isEmptyArray(_ key: String) -> Bool {
    table?[key]?.array?.isEmpty ?? false
  }

  /// Reports a problem with `key` of this table; `message` begins after the key's name.
  func report(_ key: String, _ message: String) {
    let place = path.text.isEmpty ? key : "\(path.text).\(key)"
    log.report(place, "\(place) \(message)")
  }

  /// Reports each key of the table that none of the calls before asked for.
  func finish() {
    guard let table else { return }
    let place = path.text.isEmpty ? "the top level" : "[\(path.text)]"
    for key in table.keys where !known.contains(key) {
      let unknown = path.appending(key).text
      log.report(
        unknown,
        "\(unknown) is not a setting: correct or remove it; \(place) has \(known.joined(separator: ", "))"
      )
    }
  }

  private mutating func value(_ key: String) -> (any TOMLValueConvertible)? {
    known.append(key)
    return table?[key]
  }

  private func parsed<Value>(
    _ text: String, at key: String, _ parse: (String) throws(InvalidText) -> Value
  ) -> Value? {
    do throws(InvalidText) {
      return try parse(text)
    } catch {
      report(key, error.description)
      return nil
    }
  }

  private func typeName(_ value: any TOMLValueConvertible) -> String {
    switch value.type {
    case .table: "a table"
    case .array: "an array"
    case .string: "a string"
    case .int: "a whole number"
    case .double: "a number with a fraction"
    case .bool: "true or false"
    case .date, .time, .dateTime: "a date or time"
    }
  }
}

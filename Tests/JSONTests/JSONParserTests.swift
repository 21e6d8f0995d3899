import JSON
import TestSupport
import Testing

func parse(_ text: String, depth: Int = 128, values: Int = 1000, nonFinite: Bool = false) throws -> JSONValue {
  try JSONValue.parse(
    Array(text.utf8), limits: JSONLimits(bytes: 1 << 20, depth: depth, values: values), nonFinite: nonFinite)
}

func text(_ value: JSONValue, _ style: JSONStyle = .compact) -> String {
  String(decoding: value.text(style), as: UTF8.self)
}

@Suite struct JSONParserTests {
  /// What is read, and the compact text it is written as.
  @Test(arguments: [
    ("null", "null"), (" [ true , false ] ", "[true,false]"), ("\t\r\n{ \"a\" : 1 }\n", #"{"a":1}"#),
    ("[]", "[]"), ("{}", "{}"), ("[[],{}]", "[[],{}]"), ("\"\"", "\"\""),
    (#"{"b":1,"a":2,"b":3}"#, #"{"b":1,"a":2,"b":3}"#),
    ("[-0,0.10,1E5,1e-7,18446744073709551616]", "[-0,0.10,1E5,1e-7,18446744073709551616]"),
    (#""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\u0000""#, #""\"\\/\b\f\n\r\tAé😀\u0000""#),
    ("\"\u{7f}\u{2028}\u{feff}\"", "\"\u{7f}\u{2028}\u{feff}\""),
  ]) func reads(_ json: String, _ written: String) throws {
    #expect(try text(parse(json)) == written)
  }

  @Test(
    arguments: [
      ("", .unexpectedEnd, 0), ("  ", .unexpectedEnd, 2), ("nul", .unexpectedEnd, 3),
      ("nulL", .unexpectedByte(0x4c), 3), ("[1,]", .unexpectedByte(0x5d), 3),
      ("[1 2]", .unexpectedByte(0x32), 3),
      ("{\"a\" 1}", .unexpectedByte(0x31), 5), ("{a:1}", .unexpectedByte(0x61), 1),
      ("{\"a\":1,}", .unexpectedByte(0x7d), 7),
      ("{\"a\"", .unexpectedEnd, 4), ("'a'", .unexpectedByte(0x27), 0),
      ("\u{feff}1", .unexpectedByte(0xef), 0),
      ("1 2", .trailingBytes, 2), ("{}{}", .trailingBytes, 2), ("1\u{b}", .trailingBytes, 1),
      ("01", .badNumber, 1), ("1.", .unexpectedEnd, 2), ("1.e", .badNumber, 2), ("-", .unexpectedEnd, 1),
      ("-a", .badNumber, 1), ("1e+", .unexpectedEnd, 3), ("+1", .unexpectedByte(0x2b), 0),
      (".5", .unexpectedByte(0x2e), 0),
      ("NaN", .unexpectedByte(0x4e), 0), ("-Infinity", .badNumber, 1), ("\"a", .unexpectedEnd, 2),
      ("\"\n\"", .controlCharacter, 1), ("\"\\x\"", .badEscape, 1), ("\"\\u00g0\"", .badEscape, 5),
      ("\"\\u00\"", .badEscape, 5), ("\"\\ud800\"", .loneSurrogate, 1), ("\"\\udc00\"", .loneSurrogate, 1),
      ("\"\\ud83d\\n\"", .loneSurrogate, 1), ("\"\\ud83d\\u0041\"", .loneSurrogate, 1),
    ] as [(String, JSONError.Reason, Int)])
  func refuses(_ json: String, _ reason: JSONError.Reason, _ offset: Int) {
    #expect(throws: JSONError(offset: offset, reason: reason)) { try parse(json) }
  }

  @Test(
    arguments: [[0x22, 0xff, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xc0, 0x80, 0x22]] as [[UInt8]])
  func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
    #expect(throws: JSONError(offset: 0, reason: .notUTF8)) {
      try JSONValue.parse(bytes, limits: JSONLimits(bytes: 100))
    }
  }

  @Test func nonFiniteNumbersAreReadOnRequest() throws {
    let value = try parse("[NaN,Infinity,-Infinity]", nonFinite: true)
    #expect(text(value) == "[null,null,null]")
    #expect(text(value, .python) == "[NaN, Infinity, -Infinity]")
    #expect(throws: JSONError.self) { try parse("-NaN", nonFinite: true) }
  }

  @Test func limitsHold() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[{\"a\":", count: depth / 2) + "1" + String(repeating: "}]", count: depth / 2)
    }
    _ = try parse(nested(128))
    #expect(throws: JSONError(offset: 6 * 64, reason: .tooDeep(limit: 128))) { try parse(nested(130)) }
    #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 1 << 19)) }

    _ = try parse("[1,2,3]", values: 4)
    #expect(throws: JSONError(offset: 5, reason: .tooManyValues(limit: 3))) {
      try parse("[1,2,3]", values: 3)
    }

    #expect(throws: JSONError(offset: 3, reason: .tooLarge(limit: 3))) {
      try JSONValue.parse(Array("1234".utf8), limits: JSONLimits(bytes: 3))
    }

    _ = try parse(String(repeating: "9", count: JSONLimits.numberBytes))
    #expect(throws: JSONError(offset: 1, reason: .numberTooLong)) {
      try parse("[" + String(repeating: "9", count: JSONLimits.numberBytes + 1))
    }
  }

  @Test func lookupTakesTheLast() throws {
    let value = try parse(#"{"a":1,"e\u0301":2,"a":3,"\u00e9":4}"#)
    #expect(text(value["a"] ?? .null) == "3")
    #expect(text(value["\u{e9}"] ?? .null) == "4")
    #expect(text(value["e\u{301}"] ?? .null) == "2")
    #expect(value["b"] == nil)
    #expect(try parse("[]")["a"] == nil)
  }

  @Test func arbitraryBytesNeverCrash() throws {
    let seed = testSeed("JSONParserTests")
    var random = SplitMix64(state: seed)
    let alphabet = Array("{}[]\":,\\u0dD8e-+.1 nulltruefalseNaNInfinity\u{e9}".utf8) + [0xff, 0x00]
    for _ in 0..<20000 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
        alphabet.randomElement(using: &random) ?? 0
      }
      let limits = JSONLimits(bytes: 40)
      guard let value = try? JSONValue.parse(bytes, limits: limits) else { continue }
      // What was read is written as something that reads the same.
      let written = value.text(.compact)
      #expect(try JSONValue.parse(written, limits: JSONLimits(bytes: 400)).text(.compact) == written)
    }
  }
}

import JSON
import Testing

@Suite struct JSONWriterTests {
  @Test func stringsEscapeWhatTheOriginalEscapes() {
    let value = JSONValue.string("\"\\/\u{8}\u{9}\u{a}\u{c}\u{d}\u{b}\u{1f}\u{7f}\u{80}é\u{2028}😀")
    #expect(text(value) == "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u000b\\u001f\u{7f}\u{80}é\u{2028}😀\"")
    #expect(
      text(value, .python)
        == #""\"\\/\b\t\n\f\r\u000b\u001f\u007f\u0080\u00e9\u2028\ud83d\ude00""#)
  }

  /// Eight bytes are looked at together: it must not matter where among them one is.
  @Test func aByteIsEscapedWhereverItStands() {
    func inner(_ text: String) -> String {
      String(String(decoding: JSONValue.string(text).text(.compact), as: UTF8.self).dropFirst().dropLast())
    }
    for byte in UInt8(0)..<0x80 {
      let character = String(Unicode.Scalar(byte))
      for place in 0..<20 {
        let (before, after) = (String(repeating: "ä", count: place), String(repeating: "b", count: 19 - place))
        #expect(inner(before + character + after) == before + inner(character) + after)
      }
    }
  }

  @Test func pythonSeparatesAndSortsByCodePoint() throws {
    let value = try parse(#"{"b":[1,2],"\ud83d\ude00":{},"a":[],"\uffff":{"z":1,"y":2}}"#)
    #expect(
      text(value, .python) == #"{"b": [1, 2], "\ud83d\ude00": {}, "a": [], "\uffff": {"z": 1, "y": 2}}"#)
    #expect(
      text(value, .pythonSorted)
        == #"{"a": [], "b": [1, 2], "\uffff": {"y": 2, "z": 1}, "\ud83d\ude00": {}}"#)
  }

  @Test(arguments: [
    ("-0", "0"), ("-0.0", "-0.0"), ("1E5", "100000.0"), ("1e400", "Infinity"), ("-1e400", "-Infinity"),
    ("0.00001", "1e-05"), ("12345678901234567890.0", "1.2345678901234567e+19"),
    ("18446744073709551616", "18446744073709551616"),
  ]) func pythonWritesItsOwnNumbers(_ json: String, _ python: String) throws {
    #expect(try text(parse(json), .python) == python)
    #expect(try text(parse(json)) == json)
  }

  /// Answers of pydantic 2.10.6 and Python 3.11.
  @Test(
    arguments: [
      (0, "0.0", "0.0"), (-0.0, "-0.0", "-0.0"), (1, "1.0", "1.0"), (100, "100.0", "100.0"),
      (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
      (1e15, "1000000000000000.0", "1000000000000000.0"),
      (1e16, "1e16", "1e+16"), (1.5e16, "1.5e16", "1.5e+16"),
      (1.2345678901234568e17, "1.2345678901234568e17", "1.2345678901234568e+17"),
      (0.001, "0.001", "0.001"), (1e-4, "0.0001", "0.0001"), (1.5e-5, "0.000015", "1.5e-05"),
      (1.5e-6, "1.5e-6", "1.5e-06"),
      (.leastNonzeroMagnitude, "5e-324", "5e-324"),
      (.greatestFiniteMagnitude, "1.7976931348623157e308", "1.7976931348623157e+308"),
      (-1.5, "-1.5", "-1.5"), (.nan, "NaN", "NaN"), (.infinity, "Infinity", "Infinity"),
      (-.infinity, "-Infinity", "-Infinity"),
    ] as [(Double, String, String)]) func floats(_ value: Double, _ compact: String, _ python: String)
  {
    #expect(FloatText.compact(value) == compact)
    #expect(FloatText.python(value) == python)
  }
}

@Suite struct Base64Tests {
  @Test func comesBack() {
    for count in 0..<70 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 157) }
      let text = Base64.encode(bytes)
      #expect(text.utf8.count == (count + 2) / 3 * 4)
      #expect(Base64.decodeLaxly(text.utf8) == bytes)
    }
    #expect(Base64.encode(Array("foobar".utf8)) == "Zm9vYmFy")
    #expect(Base64.encode(Array("fooba".utf8)) == "Zm9vYmE=")
    #expect(Base64.encode(Array("foob".utf8)) == "Zm9vYg==")
  }

  /// Answers of Python 3.11.
  @Test(
    arguments: [
      ("", []), ("!Zg==*", [0x66]), ("Z\ng=\u{e9}=", [0x66]), ("Zg==Zg==", [0x66]), ("=Zg==", [0x66]),
      ("Zh==", [0x66]), ("Zm9v=", [0x66, 0x6f, 0x6f]), ("Zg", nil), ("Zg=", nil), ("Z", nil), ("Zm9vZ", nil),
      ("Z===", nil), ("Zg=a", nil), ("-_-_", []),
    ] as [(String, [UInt8]?)]) func laxly(_ text: String, _ bytes: [UInt8]?)
  {
    #expect(Base64.decodeLaxly(text.utf8) == bytes)
  }
}

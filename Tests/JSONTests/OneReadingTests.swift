import JSON
import TestSupport
import Testing

@Suite struct OneReadingTests {
  private func value(_ text: String) throws -> JSONValue {
    try JSONValue.parse(Array(text.utf8), limits: JSONLimits(bytes: 1 << 20), nonFinite: true)
  }

  @Test(arguments: [
    (#"{"a":1,"a":1}"#, ["a"]), (#"{"a":1,"b":{"c":[0,{"d":1,"e":2,"d":3}]}}"#, ["b", "c", "1", "d"]),
    (#"{"a":1,"\u0061":2}"#, ["a"]), (#"[[],[{"é":1,"\u00e9":1}]]"#, ["1", "0", "é"]),
    (#"{"😀":1,"\ud83d\ude00":1}"#, ["😀"]), (#"{"":1,"":2}"#, [""]), (#"{"\/":1,"/":2}"#, ["/"]),
  ]) func findsANameThatIsThereTwice(_ text: String, _ path: [String]) throws {
    #expect(try value(text).duplicateName?.path == path)
  }

  @Test(arguments: [
    #"{"a":{"a":{"a":1}},"b":{"a":1}}"#, #"[{"a":1},{"a":1}]"#, #"{"a":1,"A":2}"#, #"{"é":1,"e\u0301":2}"#, "1", "{}",
    #"{"a\u0000":1,"a":2}"#,
  ]) func namesThatDifferAreNone(_ text: String) throws { #expect(try value(text).duplicateName == nil) }

  @Test(arguments: [2, 8, 9, 5000]) func findsItAmongMany(_ count: Int) throws {
    let names = (0..<count).map { "\"n\($0)\":0" }
    #expect(try value("{\(names.joined(separator: ","))}").duplicateName == nil)
    let twice = (names + ["\"n\(count / 2)\":0"]).joined(separator: ",")
    #expect(try value("{\(twice)}").duplicateName?.path == ["n\(count / 2)"])
  }

  private static let model = Schema.model(
    Schema.Model([
      .standard("flag", .boolean, .bool(true)), .standard("number", .integer, .integer(0)), .optional("text", .string),
      .standard("map", .map(.string), .object([])),
      .optional("inner", .model(Schema.Model([.required("a", .array(.integer))]))), .optional("free", .json),
    ]))

  @Test(
    arguments: [
      ("{}", nil), (#"{"number":-7,"flag":false,"text":null}"#, nil),
      (#"{"inner":{"a":[1,2]},"map":{"b":"","a":""}}"#, nil),
      (#"{"free":{"x":[1.0,NaN,1e400,null,{"y":"z"}]}}"#, nil),
      (#"{"flag":"false"}"#, ["flag"]), (#"{"flag":0}"#, ["flag"]), (#"{"number":1.0}"#, ["number"]),
      (#"{"number":-0}"#, ["number"]), (#"{"number":"7"}"#, ["number"]), (#"{"number":true}"#, ["number"]),
      (#"{"number":1e2}"#, ["number"]), (#"{"inner":{"a":[1],"b":2}}"#, ["inner", "b"]),
      (#"{"inner":{"a":[1,2.0]}}"#, ["inner", "a", "1"]), (#"{"inner":{"a":[1],"A":[2]}}"#, ["inner", "A"]),
      (#"{"more":1}"#, ["more"]),
    ] as [(String, [String]?)]) func tellsWhereATextSaysOtherwiseThanItsModel(_ text: String, _ path: [String]?) throws
  {
    let value = try value(text)
    #expect(value.difference(from: try Self.model.validate(value))?.path == path)
  }

  @Test func aPathOfManyNamesIsCut() throws {
    let deep = String(repeating: #"{"name":"#, count: 100) + #"{"x":1,"x":2}"# + String(repeating: "}", count: 100)
    let description = try #require(try value(deep).duplicateName).description
    #expect(description.utf8.count < 200 && description.hasSuffix("name.x: the name is there twice"))
  }
}

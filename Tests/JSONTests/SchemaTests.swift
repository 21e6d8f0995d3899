import JSON
import Testing

/// The answers are those of pydantic 2.10.6 in its lax mode.
@Suite struct SchemaTests {
  private func validate(_ schema: Schema, _ json: String) -> String {
    do { return try text(schema.validate(parse(json, nonFinite: true))) } catch { return "\(error)" }
  }

  @Test(arguments: [
    ("1", "1"), ("-0", "0"), ("true", "1"), ("false", "0"), ("1.0", "1"), ("-3e2", "-300"),
    ("1.5", "the value: int_from_float"), ("-0.5", "the value: int_from_float"),
    ("1e19", "the value: int_parsing_size"), ("NaN", "the value: finite_number"),
    ("null", "the value: int_type"), ("[]", "the value: int_type"),
    (#"" +12 ""#, "12"), (#""-007""#, "-7"), (#""-0""#, "0"), (#""1_000.00""#, "1000"), (#""\u00a01""#, "1"),
    (#""999999999999999999999""#, "999999999999999999999"), (#""""#, "the value: int_parsing"),
    (#""1.""#, "the value: int_parsing"), (#""+-1""#, "the value: int_parsing"),
    (#""1__0""#, "the value: int_parsing"),
    (#""_1""#, "the value: int_parsing"), (#""1_""#, "the value: int_parsing"),
    (#""1e3""#, "the value: int_parsing"),
    (#"".0""#, "the value: int_parsing"), (#""٣""#, "the value: int_parsing"),
    (#""1.0_0""#, "the value: int_parsing"),
  ]) func integer(_ json: String, _ outcome: String) { #expect(validate(.integer, json) == outcome) }

  @Test(arguments: [
    ("true", "true"), ("0", "false"), ("1.0", "true"), (#""YES""#, "true"), (#""off""#, "false"),
    ("2", "the value: bool_parsing"), (#"" on""#, "the value: bool_parsing"),
    ("null", "the value: bool_type"),
  ]) func boolean(_ json: String, _ outcome: String) { #expect(validate(.boolean, json) == outcome) }

  @Test(
    arguments: [
      (.string, "1", "the value: string_type"), (.literal("a"), "\"a\"", "\"a\""),
      (.literal("a"), "\"b\"", "the value: literal_error"),
      (.choice(["a"], otherwise: nil), "\"b\"", "the value: enum"),
      (.choice(["a"], otherwise: "u"), "[1]", "\"u\""), (.array(.string), "[\"a\",1]", "1: string_type"),
      (.array(.string), "{}", "the value: list_type"),
      (.map(.integer), #"{"a":"1","b":2,"a":3}"#, #"{"a":3,"b":2}"#),
      (.map(.integer), #"{"a":"x","a":3}"#, "a: int_parsing"), (.map(.string), "[]", "the value: dict_type"),
      (.nullable(.string), "null", "null"), (.either(.string, .array(.string)), "[\"a\"]", "[\"a\"]"),
      (.either(.string, .array(.string)), "[1]", "0: string_type"), (.base64, "\"!Zh==\"", "\"Zg==\""),
      (.base64, "\"Zg\"", "the value: value_error"), (.base64, "1", "the value: bytes_type"),
      (.json, #"{"a":[1.50,{"b":null,"b":-0}]}"#, #"{"a":[1.50,{"b":0}]}"#),
    ] as [(Schema, String, String)]) func kinds(_ schema: Schema, _ json: String, _ outcome: String)
  {
    #expect(validate(schema, json) == outcome)
  }

  private func model(_ extra: Schema.Model.Extra) -> Schema {
    .model(
      Schema.Model(
        [.required("a", .string), .optional("b", .integer), .standard("c", .boolean, .bool(true))],
        extra: extra))
  }

  @Test(
    arguments: [
      (.ignored, #"{"x":1,"a":"s"}"#, #"{"a":"s","b":null,"c":true}"#),
      (.refused, #"{"x":1,"a":"s"}"#, "x: extra_forbidden"), (.refused, #"{"x":1}"#, "a: missing"),
      (.kept, #"{"y":[2],"c":"no","x":1,"b":"5","a":"s","y":3}"#, #"{"a":"s","b":5,"c":false,"y":3,"x":1}"#),
      (.kept, #"{"a":1,"a":"s","b":null}"#, #"{"a":"s","b":null,"c":true}"#),
      (.kept, "[]", "the value: model_type"),
      (.kept, #"{"a":"s","c":null}"#, "c: bool_type"),
    ] as [(Schema.Model.Extra, String, String)])
  func models(_ extra: Schema.Model.Extra, _ json: String, _ outcome: String) {
    #expect(validate(model(extra), json) == outcome)
  }

  @Test func namesAreToldApartByTheirBytes() {
    let schema = Schema.model(Schema.Model([.required("\u{e9}", .integer)], extra: .kept))
    #expect(validate(schema, #"{"e\u0301":1}"#) == "\u{e9}: missing")
    #expect(
      validate(schema, #"{"e\u0301":1,"\u00e9":2}"#).utf8.elementsEqual("{\"\u{e9}\":2,\"e\u{301}\":1}".utf8))
  }

  @Test func tagsChooseTheModel() {
    let schema = Schema.tagged(
      by: "t", ["a": Schema.Model([.required("t", .literal("a")), .required("x", .string)])])
    #expect(validate(schema, #"{"x":"1","t":"a"}"#) == #"{"t":"a","x":"1"}"#)
    #expect(validate(schema, #"{"t":"a"}"#) == "x: missing")
    #expect(validate(schema, #"{"t":"b"}"#) == "the value: union_tag_invalid")
    #expect(validate(schema, "{}") == "the value: union_tag_not_found")
    #expect(validate(schema, "1") == "the value: model_type")
  }
}

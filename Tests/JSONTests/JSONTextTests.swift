import JSON
import TestSupport
import Testing

/// Text that is passed on as it is must be what the parser takes for an object: it looks at the same texts.
@Suite struct JSONTextTests {
  @Test(arguments: [
    "{}", " {\"a\" : [ 1 , -0.5e+7 , true , null , \"é\\ud83d\\ude00\" ] } \n", "{\"\":{\"\":{}}}",
  ]) func objects(_ text: String) { #expect(JSONText.isObject(Array(text.utf8))) }

  @Test(arguments: [
    "", "null", "[]", "\"a\"", "{", "}", "{}{}", "{},", "null,\"uuid\":\"V\",\"status\":\"completed\"",
    "{},\"uuid\":\"V\",\"status\":\"completed\"", "{\"a\":1}}", "{\"a\":01}", "{\"a\":\"\u{1}\"}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":NaN}", "{a:1}", "{\"a\":1,}", "{\"a\"}",
  ]) func others(_ text: String) { #expect(!JSONText.isObject(Array(text.utf8))) }

  @Test func theDepthIsBounded() {
    func nested(_ depth: Int) -> [UInt8] {
      Array("{\"a\":".utf8) + [UInt8](repeating: UInt8(ascii: "["), count: depth)
        + [UInt8](repeating: UInt8(ascii: "]"), count: depth) + Array("}".utf8)
    }
    #expect(JSONText.isObject(nested(63)))
    #expect(!JSONText.isObject(nested(64)))
    #expect(!JSONText.isObject([UInt8](repeating: UInt8(ascii: "{"), count: 1 << 20)))
  }

  @Test func aByteThatIsNotUTF8IsFoundWhereverItStands() {
    let text = Array(#"{"message":"twenty-four bytes of text","é":1}"#.utf8)
    #expect(JSONText.isObject(text))
    for place in 12..<37 {
      var broken = text
      broken[place] = 0xff
      #expect(!JSONText.isObject(broken), "\(place)")
    }
  }

  @Test func itTakesWhatTheParserTakes() throws {
    let seed = testSeed("JSON text beside the parser")
    var random = SplitMix64(state: seed)
    let texts = [
      #"{"a":[1,-2.5e-3,true,false,null],"b":"x\n\u00e9\ud83d\ude00y","é":{"c":{}}}"#,
      #"{"docker_process_stdout":"a long line of text that fills several words","artifacts":{"n":0}}"#,
      #"{"a":"😀","b":[[[]]],"c":1E5}"#,
    ].map { Array($0.utf8) }
    let alphabet = Array("{}[]\",:\\u0aeE+-.tfn 19/".utf8) + [0x00, 0x1f, 0x7f, 0xc3, 0xa9, 0xed, 0xff]
    for round in 0..<20_000 {
      var text = texts[round % texts.count]
      for _ in 0...Int.random(in: 0..<3, using: &random) {
        let place = Int.random(in: 0..<text.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: text[place] = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
        case 1: text.insert(alphabet[Int.random(in: 0..<alphabet.count, using: &random)], at: place)
        default: text.remove(at: place)
        }
      }
      let parsed = try? JSONValue.parse(text, limits: JSONLimits(bytes: 1 << 20, depth: 64))
      let isObject = if case .object? = parsed { true } else { false }
      #expect(JSONText.isObject(text) == isObject, "\(String(decoding: text, as: UTF8.self))")
    }
  }
}

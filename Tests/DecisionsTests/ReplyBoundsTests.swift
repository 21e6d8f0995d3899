import Redis
import Testing

/// What a Redis sends is held to what it was asked for before it is parsed.
@Suite struct ReplyBoundsTests {
  private func take(_ text: String, pieces: Int = .max, bytes: Int = 100, elements: Int = 10) -> (
    String, ReplyBounds.Excess?
  ) {
    var bounds = ReplyBounds(bytes: bytes, elements: elements)
    var parsed: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let piece = Array(rest.prefix(pieces))
      rest = rest.dropFirst(piece.count)
      do throws(ReplyBounds.Excess) { try bounds.take(piece, into: &parsed) } catch {
        return (String(decoding: parsed, as: UTF8.self), error)
      }
    }
    return (String(decoding: parsed, as: UTF8.self), nil)
  }

  @Test(arguments: [1, 3, .max]) func whatWasAskedForPasses(pieces: Int) {
    // Each answer is counted by itself.
    let answers =
      "+OK\r\n:12\r\n-ERR no\r\n$-1\r\n*-1\r\n*0\r\n$3\r\na\r\n\r\n*2\r\n*2\r\n$1\r\nx\r\n:1\r\n*1\r\n+y\r\n"
    let (parsed, excess) = take(String(repeating: answers, count: 50), pieces: pieces)
    #expect(excess == nil)
    #expect(parsed == String(repeating: answers, count: 50))
  }

  @Test(arguments: [1, 3, .max]) func aStringThatIsTooLongIsNil(pieces: Int) {
    let long = String(repeating: "x", count: 200)
    let (parsed, excess) = take("*2\r\n$200\r\n\(long)\r\n$1\r\ny\r\n+OK\r\n", pieces: pieces)
    #expect(excess == nil)
    #expect(parsed == "*2\r\n$-1\r\n$1\r\ny\r\n+OK\r\n")
  }

  @Test func whatCameWholeBeforeIsHandedOver() {
    let (parsed, excess) = take("+OK\r\n*1\r\n:1\r\n*99\r\n:1\r\n")
    #expect(excess == .elements(limit: 10))
    #expect(parsed == "+OK\r\n*1\r\n:1\r\n")
  }

  @Test func whatIsTooMuchIsRefusedBeforeItComes() {
    let deep = String(repeating: "*1\r\n", count: 8)
    let manyStrings = "*9\r\n" + String(repeating: "$20\r\naaaaaaaaaaaaaaaaaaaa\r\n", count: 4)
    let cases: [(String, ReplyBounds.Excess)] = [
      ("*10\r\n", .elements(limit: 10)), ("*1000000000\r\n", .elements(limit: 10)),
      ("*2\r\n*7\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*3\r\n", .elements(limit: 10)), (deep, .depth),
      ("$9999999999\r\n", .bytes(limit: 100)), ("+" + String(repeating: "x", count: 5000), .line),
      ("+" + String(repeating: "x", count: 200) + "\r\n", .bytes(limit: 100)), ("\r\n", .notRESP(13)),
      ("\n", .notRESP(10)), ("HTTP/1.1 400 Bad Request\r\n", .notRESP(72)),
    ]
    for (text, expected) in cases { #expect(take(text).1 == expected, "\(text.prefix(20))") }
    // Of strings that are together too long the last are nil.
    #expect(take(manyStrings).0.hasSuffix("$-1\r\n"))
  }
}

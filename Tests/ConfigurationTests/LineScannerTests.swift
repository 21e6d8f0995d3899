import TOMLKit
import Testing

@testable import Configuration

@Suite("Line scanner")
struct LineScannerTests {
  private func lines(_ text: String) throws -> [String: Int] {
    _ = try TOMLTable(string: text)
    let scan = LineScanner(Array(text.utf8))
    #expect(scan.refusal == nil)
    return scan.lines
  }

  @Test("Tables, dotted keys and comments")
  func tables() throws {
    let text = """
      # a = 1
      a = 1 # b = 2

      [c] # [d]
        e.f . g = 1
      e.h = 2
      [ i . j ]
      k = "# [x]" # y = 1
      [i]
      l=1
      """
    #expect(
      try lines(text) == [
        "a": 2, "c": 4, "c.e": 5, "c.e.f": 5, "c.e.f.g": 5, "c.e.h": 6, "i": 9, "i.j": 7,
        "i.j.k": 8, "i.l": 10,
      ])
  }

  @Test("Quoted keys are the keys they stand for, and are quoted in paths only where they must be")
  func quotedKeys() throws {
    let text = #"""
      "a" = 1
      'b.c' = 1
      "d\"\\" . 'e\' = 1
      "" = 1
      "\u0061\U00000062" = 1
      ["x"."y z"]
      "#" = 1
      "=" = 1
      '"' = 1
      """#
    #expect(
      try lines(text) == [
        "a": 1, "\"b.c\"": 2, #""d\"\\""#: 3, #""d\"\\"."e\\""#: 3, "\"\"": 4, "ab": 5, "x": 6,
        "x.\"y z\"": 6,
        "x.\"y z\".\"#\"": 7, "x.\"y z\".\"=\"": 8, "x.\"y z\".\"\\\"\"": 9,
      ])
  }

  @Test(
    "Strings over several lines hide what looks like keys, and quotes at their end belong to them")
  func multilineStrings() throws {
    let text = [
      "a = \"\"\"", "b = 1", "[c]\\\"\"\"", "\\", "  d\"\"\"\"\" # e", "f = '''", "g = 1\\",
      "'''''", "h = ''", "i = '\\'",
      "j = \"\\\\\"", "k = \"\"\"\"\"\"", "l = ''''''", "m = \"\"\"\"x\"\"\"", "n = 1",
    ].joined(separator: "\n")
    #expect(
      try lines(text) == [
        "a": 1, "f": 6, "h": 9, "i": 10, "j": 11, "k": 12, "l": 13, "m": 14, "n": 15,
      ])
  }

  @Test("Arrays over several lines have a line for each element")
  func arrays() throws {
    let text = """
      a = [ # one
        1, "]", # [
        # 2
        '''
      ,''', [3,
        [4]],
        { b = 1, c.d = [5] },
        -1.5e-3,
      ]
      e = []
      f = 1
      """
    #expect(
      try lines(text) == [
        "a": 1, "a[0]": 2, "a[1]": 2, "a[2]": 4, "a[3]": 5, "a[3][0]": 5, "a[3][1]": 6,
        "a[3][1][0]": 6, "a[4]": 7,
        "a[4].b": 7, "a[4].c": 7, "a[4].c.d": 7, "a[4].c.d[0]": 7, "a[5]": 8, "e": 10, "f": 11,
      ])
  }

  @Test("Inline tables")
  func inlineTables() throws {
    let text = """
      a = { b = "}", 'c' = { d = 1 }, e = [
        1, 2 ], "f.g" = 1 } # h = 1
      i = {}
      j = 1
      """
    #expect(
      try lines(text) == [
        "a": 1, "a.b": 1, "a.c": 1, "a.c.d": 1, "a.e": 1, "a.e[0]": 2, "a.e[1]": 2, "a.\"f.g\"": 2,
        "i": 3, "j": 4,
      ])
  }

  @Test("Arrays of tables, and tables inside their last element")
  func arraysOfTables() throws {
    let text = """
      [[a]]
      b = 1
      [a.c]
      d = 1
      [[a.e]]
      f = 1
      [[a.e]]
      [[a]]
      b = 2
      [[a.e]]
      f = 2
      """
    #expect(
      try lines(text) == [
        "a": 1, "a[0]": 1, "a[0].b": 2, "a[0].c": 3, "a[0].c.d": 4, "a[0].e": 5, "a[0].e[0]": 5,
        "a[0].e[0].f": 6,
        "a[0].e[1]": 7, "a[1]": 8, "a[1].b": 9, "a[1].e": 10, "a[1].e[0]": 10, "a[1].e[0].f": 11,
      ])
  }

  @Test("A byte order mark, CRLF and a missing last line end")
  func lineEnds() throws {
    #expect(
      try lines("\u{feff}a = 1\r\n\r\n[b]\r\nc = [\r\n1]\r\nd = 1") == [
        "a": 1, "b": 3, "b.c": 4, "b.c[0]": 5, "b.d": 6,
      ])
    #expect(try lines("") == [:])
  }

  private func refusedLine(_ text: String) -> Int? {
    LineScanner(Array(text.utf8)).refusal?.line
  }

  @Test("NUL, deep nesting and dates are refused")
  func refusals() {
    #expect(refusedLine("a = 1\nb = \"\"\"\n\\u0000\"\"\"") == 3)
    #expect(refusedLine("\"\\U00000000\" = 1") == 1)
    #expect(refusedLine("b = '\\u0000'") == nil)
    #expect(refusedLine("b = \"\\\\u0000\"") == nil)
    #expect(refusedLine("a.a.a.a.a.a.a.a = 1") == nil)
    #expect(refusedLine("\na.a.a.a.a.a.a.a.a = 1") == 2)
    #expect(refusedLine("[a.a.a.a]\na.a.a.a = 1") == nil)
    #expect(refusedLine("[a.a.a.a]\na.a.a.a.a = 1") == 2)
    #expect(refusedLine("a = [[[[[[[1]]]]]]]") == nil)
    #expect(refusedLine("a = [[[[[[[\n[1]]]]]]]]") == 2)
    #expect(refusedLine("a.a.a.a = {a.a.a.a.a = 1}") == 1)
    for date in [
      "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", "[1, 1979-05-27]",
    ] {
      #expect(refusedLine("\na = \(date)") == 2)
    }
    #expect(refusedLine("a = \"\"\"x\\  \n \n \u{e9}\"\"\"") == 3)
    #expect(refusedLine("a = \"\"\"x\\  \n \n e\u{e9}\"\"\"") == nil)
    #expect(refusedLine("a = [-1, +1e-5, 1E+5, 0xE, -inf, +nan]") == nil)
  }

  @Test(
    "Text that the parser must not see is refused at its line",
    arguments: [
      "[", "[=]", "[ ]", "[[.a]]", "[a", "[a]]", "[a] b", "=", "= 1", "a", "a.", "a. = 1",
      ".a = 1", "a =",
      "a = ,", "a = ]", "a = }", "a = #", "a = \u{e9}", "\u{e9} = 1", "a = 1\u{a0}", "a = 1 2",
      "a = 1 b = 2", "a = '",
      "a = '''\n\n", "a = \"\\\"", "a = [", "a = [1", "a = [,]", "a = [1 2]", "a = [1}", "a = [}]",
      "a = {", "a = {,}",
      "a = {b}", "a = {b = }", "a = {b = 1", "a = {b = 1]", "{a = 1}", "a = @",
      "a = $HOME",
      "a = /b", "a = \"\\d\"", "a = \"\\\u{e9}\"", "a = \"\\ \"", "\"\\e\" = 1",
    ])
  func malformed(text: String) {
    #expect(refusedLine("# \n\n" + text) == 3)
  }

  @Test("Long keys are cut in paths")
  func longKeys() throws {
    let bare = String(repeating: "k", count: 1000)
    #expect(try lines("\(bare) = 1") == [String(bare.prefix(64)): 1])
    #expect(try lines("\"\(bare).\" = 1") == ["\"\(bare.prefix(64))…\"": 1])
  }
}

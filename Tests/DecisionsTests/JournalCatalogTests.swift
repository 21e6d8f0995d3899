import Decisions
import Foundation
import Testing

/// What `journalctl -x` says: units/hordelink.catalog, in the format of https://systemd.io/CATALOG.
@Suite("The journal catalog")
struct JournalCatalogTests {
  private struct Entry {
    var id: String
    var headers: [String: String]
    var body: String
  }

  private func entries() throws -> [Entry] {
    let root = URL(filePath: #filePath).resolvingSymlinksInPath().appending(path: "../../..").standardizedFileURL
    let text = try String(contentsOf: root.appending(path: "units/hordelink.catalog"), encoding: .utf8)
    return text.components(separatedBy: "\n-- ").dropFirst().map { block in
      let lines = block.components(separatedBy: "\n")
      let head = lines.dropFirst().prefix { !$0.isEmpty }
      let headers = head.map { line in
        let parts = line.split(separator: ":", maxSplits: 1)
        return (String(parts[0]), parts.dropFirst().joined().trimmingCharacters(in: .whitespaces))
      }
      return Entry(
        id: lines[0], headers: Dictionary(headers) { first, _ in first },
        body: lines.dropFirst(1 + head.count).joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }

  @Test("Every event has one entry, and nothing else has")
  func complete() throws {
    #expect(try entries().map(\.id).sorted() == JournalEvent.allCases.map(\.rawValue).sorted())
  }

  @Test("Every entry has a subject, names who defined it, and says what has happened and what to do")
  func explained() throws {
    for entry in try entries() {
      #expect(entry.headers["Subject"]?.isEmpty == false, "\(entry.id)")
      #expect(entry.headers["Defined-By"] == "hordelink", "\(entry.id)")
      #expect(entry.headers["Documentation"]?.isEmpty == false, "\(entry.id)")
      #expect(entry.body.components(separatedBy: "\n\n").count >= 2, "\(entry.id)")
    }
  }

  @Test("Entries refer to no fields but those that hordelink writes")
  func fields() throws {
    let known: Set = ["JOB_UUID", "CHILD", "CHILD_PID", "GENERATION"]
    for entry in try entries() {
      let text = (entry.headers["Subject"] ?? "") + "\n" + entry.body
      for match in text.matches(of: /@([A-Z_]+)@/) {
        #expect(known.contains(String(match.1)), "\(entry.id) refers to \(match.1)")
      }
    }
  }
}

import Platform

/// Text in columns.
struct TextTable {
  enum Alignment { case left, right }

  private let alignments: [Alignment]
  private var rows: [[String]]

  /// A table with these titles over its columns. Numbers are easiest to compare when they end in line.
  init(_ columns: [(title: String, alignment: Alignment)]) {
    alignments = columns.map(\.alignment)
    rows = [columns.map(\.title)]
  }

  /// Adds a row. What a cell holds is made printable; an empty one becomes a dash.
  mutating func add(_ cells: [String]) {
    rows.append(cells.map { $0.isEmpty ? "-" : Terminal.printable($0) })
  }

  /// The rows, one a line, two spaces between columns and none at the ends of lines.
  var text: String {
    let widths = alignments.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += column == 0 ? "" : "  "
        line += alignments[column] == .left ? cell + padding : padding + cell
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  /// A length of time in its two largest units.
  static func duration(seconds: Int) -> String {
    func two(_ large: Int, _ largeUnit: String, _ small: Int, _ smallUnit: String) -> String {
      "\(large)\(largeUnit) \(small < 10 ? "0" : "")\(small)\(smallUnit)"
    }
    switch max(0, seconds) {
    case let seconds where seconds < 60: return "\(seconds)s"
    case let seconds where seconds < 3600: return two(seconds / 60, "m", seconds % 60, "s")
    case let seconds where seconds < 86_400: return two(seconds / 3600, "h", seconds % 3600 / 60, "m")
    case let seconds: return two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h")
    }
  }
}

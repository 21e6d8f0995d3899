import Foundation
import Fuzzing
import TestSupport

/// The inputs that are kept for a target: one a line, in hexadecimal.
func corpus(_ target: FuzzTarget) throws -> [[UInt8]] {
  let text = try String(contentsOfFile: "\(repositoryRoot)/Tests/Fuzz/Corpus/\(target).hex", encoding: .utf8)
  return text.split(separator: "\n").map { line in
    let digits = Array(line.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map { place in
      UInt8(String(decoding: digits[place...place + 1], as: UTF8.self), radix: 16) ?? 0
    }
  }
}

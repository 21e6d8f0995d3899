// hordelink-fuzz: libFuzzer over one target, which FUZZ_TARGET names; what follows on the command line is libFuzzer's.
// See `make fuzz`.

import CFuzzer
import Fuzzing
import Glibc

guard let name = getenv("FUZZ_TARGET").map({ String(cString: $0) }), FuzzTarget(rawValue: name) != nil else {
  print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
  exit(64)
}

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
  LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
    let target = getenv("FUZZ_TARGET").flatMap { FuzzTarget(rawValue: String(cString: $0)) }
    do {
      try target?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
      let line = Array("finding: \(error)\n".utf8)
      _ = write(STDERR_FILENO, line, line.count)
      abort()
    }
    return 0
  })

import Identity

/// The development key that everybody knows, and a message of a digest's length.
let key = try SecretKey.development("//Alice")
let message = Array(UInt8(0)..<32)
let signature = try key.sign(message)

/// Prints how often a second `operation` is done, counted over at least `seconds` of them.
func measure(_ name: String, for seconds: Double, _ operation: () throws -> Void) rethrows {
  let clock = ContinuousClock()
  let start = clock.now
  var count = 0
  var elapsed = Duration.zero
  repeat {
    // A hundred at once, so that reading the clock costs nothing that could be seen.
    for _ in 0..<100 { try operation() }
    count += 100
    elapsed = clock.now - start
  } while elapsed < .seconds(seconds)
  print(name, Int(Double(count) / (elapsed / .seconds(1))))
}

/// What a broken benchmark says instead of a figure.
struct WrongAnswer: Error {}

let seconds = CommandLine.arguments.dropFirst().first.flatMap { Double($0) } ?? 5
try measure("sign", for: seconds) { _ = try key.sign(message) }
try measure("verify", for: seconds) {
  guard key.publicKey.verify(signature: signature, message: message) else { throw WrongAnswer() }
}

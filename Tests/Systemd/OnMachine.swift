import Testing

/// Boots one machine for a suite, and powers it off behind the last of its tests. Where there can be none, the tests are
/// skipped and the reason is printed.
struct OnMachine: SuiteTrait, TestScoping {
  @TaskLocal static var machine: Machine?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let machine: Machine
    do {
      machine = try Machine()
    } catch let reason as Machine.Unavailable {
      print("skipped: the tests in a real systemd: \(reason)")
      return
    }
    defer { machine.end() }
    try await Self.$machine.withValue(machine) { try await function() }
  }
}

extension Trait where Self == OnMachine {
  static var onMachine: Self { Self() }
}

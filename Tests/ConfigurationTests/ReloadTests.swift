import Configuration
import Testing

@Suite struct ReloadTests {
  private func reloaded(_ line: String, in section: String) throws -> (
    settings: Configuration, applied: [String], waiting: [String]
  ) {
    let text = required.contains("[\(section)]") || section.isEmpty ? required : required + "[\(section)]\n"
    let new =
      section.isEmpty ? line + "\n" + text : text.replacing("[\(section)]\n", with: "[\(section)]\n\(line)\n")
    return try parse(required).reloaded(with: parse(new))
  }

  @Test func nothingChangedIsNothingToDo() throws {
    let (settings, applied, waiting) = try parse(required).reloaded(with: parse("# moved down\n" + required))
    #expect(applied.isEmpty && waiting.isEmpty)
    #expect(settings.lines["facilitator"] == 2)
  }

  @Test(arguments: [
    ("heartbeat_seconds = 5", "facilitator"), ("max_open = 7", "jobs"), ("stop_seconds = 3", "dispatch"),
    ("drain_seconds = 3", "stop"), ("window = 9", "outbox"),
  ])
  func whatCanChangeDoes(line: String, section: String) throws {
    let (settings, applied, waiting) = try reloaded(line, in: section)
    #expect(applied == ["[\(section)]"] && waiting.isEmpty)
    let before = try parse(required)
    #expect(
      settings.facilitator != before.facilitator || settings.jobs != before.jobs
        || settings.dispatch != before.dispatch || settings.stopping != before.stopping
        || settings.outbox != before.outbox)
  }

  @Test(arguments: [
    ("state_directory = \"/elsewhere\"", ""), ("runtime_directory = \"/run/elsewhere\"", ""),
    ("max_frame_bytes = 2000", "channel"), ("command_is = \"launcher\"", "dispatch"),
    ("on_cheated = [\"/bin/true\"]", "hooks"), ("listen = \"127.0.0.1:9464\"", "metrics"),
  ])
  func whatCannotChangeStaysAndIsNamed(line: String, section: String) throws {
    let (settings, applied, waiting) = try reloaded(line, in: section)
    let key = (section.isEmpty ? "" : section + ".") + line.prefix { $0 != " " }
    #expect(waiting == [key] && applied.isEmpty)
    let before = try parse(required)
    #expect(settings.stateDirectory == before.stateDirectory && settings.runtimeDirectory == before.runtimeDirectory)
    #expect(settings.channel == before.channel && settings.dispatch == before.dispatch)
    #expect(settings.hooks == before.hooks && settings.metrics == before.metrics)
  }

  @Test func anotherHookIsUsedAtOnce() throws {
    let first = try parse(required + "[hooks]\non_cheated = [\"/bin/true\"]")
    let (settings, applied, waiting) = first.reloaded(
      with: try parse(required + "[hooks]\non_cheated = [\"/bin/cat\"]"))
    #expect(settings.hooks.onCheated == .command(["/bin/cat"]) && applied == ["[hooks]"] && waiting.isEmpty)
  }

  @Test func aHookThatBecomesATaskWaitsForItsBroker() throws {
    let command = "[hooks]\non_status_update = [\"/bin/true\"]"
    let task = "[hooks]\non_status_update_task = \"tasks.heard\""
    let (without, with) = (required, required + "broker_url = \"redis://127.0.0.1\"\n")
    let later = try parse(without + command).reloaded(with: parse(with + task))
    #expect(later.waiting == ["dispatch.broker_url", "dispatch.result_url", "hooks.on_status_update"])
    #expect(later.settings.hooks.onStatusUpdate == .command(["/bin/true"]))
    let atOnce = try parse(with + command).reloaded(with: parse(with + task))
    #expect(atOnce.settings.hooks.onStatusUpdate == .task("tasks.heard") && atOnce.waiting.isEmpty)
  }
}

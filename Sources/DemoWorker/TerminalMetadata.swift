import MessagePack

/// What goes with a job's terminal status. Source: PROTOCOL.md, Values.
enum TerminalMetadata {
  static func completed(_ result: CommandResult) -> MessagePackValue {
    fields([
      "miner_response": fields([
        "docker_process_stdout": .string(result.standardOutput),
        "docker_process_stderr": .string(result.standardError),
        "artifacts": .map([]),
      ])
    ])
  }

  static func failed(_ result: CommandResult) -> MessagePackValue {
    fields([
      "job_failure_details": fields([
        "reason": .string("nonzero_return_code"),
        "stage": .string("execution"),
        "message": .string(result.summary),
        "docker_process_exit_status": .int(Int64(result.exitStatus)),
        "docker_process_stdout": .string(result.standardOutput),
        "docker_process_stderr": .string(result.standardError),
      ])
    ])
  }

  private static func fields(_ fields: KeyValuePairs<String, MessagePackValue>) -> MessagePackValue {
    .map(fields.map { MessagePackPair(.string($0.key), $0.value) })
  }
}

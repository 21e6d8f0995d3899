/// Who took part in what a status update tells. Source: PROTOCOL.md, Values.
public enum Participant: String, Sendable, Hashable, CaseIterable {
  case unknown, sdk, facilitator, validator, miner, executor
}

/// How far a job had come when it failed. Source: PROTOCOL.md, Values.
public enum JobStage: String, Sendable, Hashable, CaseIterable {
  case unknown
  case executorStartup = "executor_startup"
  case volumeDownload = "volume_download"
  case streamingStartup = "streaming_startup"
  case execution
  case resultUpload = "result_upload"
}

/// Why a job was not taken on. Source: PROTOCOL.md, Values.
public enum RejectionReason: String, Sendable, Hashable, CaseIterable {
  case unknown, busy
  case invalidSignature = "invalid_signature"
  case noMinerForJob = "no_miner_for_job"
  case validatorBlacklisted = "validator_blacklisted"
}

/// Why the job itself failed. Source: PROTOCOL.md, Values.
public enum JobFailureReason: String, Sendable, Hashable, CaseIterable {
  case unknown, timeout
  case nonzeroReturnCode = "nonzero_return_code"
  case downloadFailed = "download_failed"
  case uploadFailed = "upload_failed"
}

/// Why everything around the job failed it. Source: PROTOCOL.md, Values.
public enum HordeFailureReason: String, Sendable, Hashable, CaseIterable {
  case unknown
  case genericError = "generic_error"
  case unhandledException = "unhandled_exception"
  case unhandledTimeout = "unhandled_timeout"
  case streamingFailed = "streaming_failed"
  case minerConnectionFailed = "miner_connection_failed"
  case initialResponseTimedOut = "initial_response_timed_out"
  case executorReadinessResponseTimedOut = "executor_readiness_response_timed_out"
  case volumesTimedOut = "volumes_timed_out"
  case streamingJobReadyTimedOut = "streaming_job_ready_timed_out"
  case executionTimedOut = "execution_timed_out"
  case finalResponseTimedOut = "final_response_timed_out"
  case executorSpinupFailed = "executor_spinup_failed"
  case executorDisconnected = "executor_disconnected"
  case securityCheckFailed = "security_check_failed"
}

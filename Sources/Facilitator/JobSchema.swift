import JSON

/// The fields of the signed requests, in the order in which they are written. Source: PROTOCOL.md, V2JobRequest.
enum JobSchema {
  static let executorClasses = [
    "spin_up-4min.gpu-24gb", "always_on.gpu-24gb", "always_on.llm.a6000", "always_on.test",
    "always_on.cpu.8c.16gb",
  ]

  private static let signature = Schema.model(
    Schema.Model(
      [
        .standard("signature_type", .string, .string("")),
        .standard("signatory", .string, .string("")),
        .standard("timestamp_ns", .integer, .integer(0)),
        .required("signature", .base64),
        .standard(
          "signature_scope", .choice(["SignedFields", "FullRequest"], otherwise: nil), .string("SignedFields")
        ),
      ], extra: .refused))

  /// A model that is told from others by the text of its first field.
  private static func model(_ tagName: String, _ tag: String, _ fields: [Schema.Field]) -> (
    String, Schema.Model
  ) {
    (tag, Schema.Model([.standard(tagName, .literal(tag), .string(tag))] + fields))
  }

  private static let singleVolumes = [
    model(
      "volume_type", "huggingface_volume",
      [
        .required("repo_id", .string),
        .optional("repo_type", .string),
        .optional("revision", .string),
        .optional("relative_path", .string),
        .optional("allow_patterns", .either(.string, .array(.string))),
        .optional("token", .string),
      ]),
    model("volume_type", "inline", [.required("contents", .string), .optional("relative_path", .string)]),
    model("volume_type", "zip_url", [.required("contents", .string), .optional("relative_path", .string)]),
    model("volume_type", "single_file", [.required("url", .string), .required("relative_path", .string)]),
  ]

  private static let multiVolume = model(
    "volume_type", "multi_volume", [.required("volumes", .array(tagged("volume_type", singleVolumes)))])

  private static let singleFileUploads = [
    model(
      "output_upload_type", "single_file_post",
      [
        .required("url", .string),
        .optional("form_fields", .map(.string)),
        .required("relative_path", .string),
        .optional("signed_headers", .map(.string)),
      ]),
    model(
      "output_upload_type", "single_file_put",
      [
        .required("url", .string),
        .required("relative_path", .string),
        .optional("signed_headers", .map(.string)),
      ]),
  ]

  private static let zipPost = model(
    "output_upload_type", "zip_and_http_post",
    [.required("url", .string), .optional("form_fields", .map(.string))])

  private static let zipPut = model("output_upload_type", "zip_and_http_put", [.required("url", .string)])

  private static let multiUpload = model(
    "output_upload_type", "multi_upload",
    [
      .required("uploads", .array(tagged("output_upload_type", singleFileUploads))),
      .optional("system_output", .either(.model(zipPost.1), .model(zipPut.1))),
    ])

  private static func tagged(_ name: String, _ models: [(String, Schema.Model)]) -> Schema {
    .tagged(by: name, Dictionary(models) { first, _ in first })
  }

  static let jobRequest = Schema.model(
    Schema.Model(
      [
        .optional("signature", signature),
        .standard("type", .literal("job.new"), .string("job.new")),
        .required("message_type", .literal(JobRequest.messageType)),
        .required("uuid", .string),
        .optional("job_namespace", .string),
        .required("executor_class", .choice(executorClasses, otherwise: nil)),
        .required("docker_image", .string),
        .required("args", .array(.string)),
        .required("env", .map(.string)),
        .standard("use_gpu", .boolean, .bool(true)),
        .optional("volume", tagged("volume_type", singleVolumes + [multiVolume])),
        .optional(
          "output_upload", tagged("output_upload_type", singleFileUploads + [zipPost, zipPut, multiUpload])),
        .optional("artifacts_dir", .string),
        .standard("on_trusted_miner", .boolean, .bool(false)),
        .required("download_time_limit", .integer),
        .required("execution_time_limit", .integer),
        .required("upload_time_limit", .integer),
        .required("streaming_start_time_limit", .integer),
        .optional(
          "streaming_details",
          .model(Schema.Model([.required("public_key", .string), .optional("executor_ip", .string)]))),
      ], extra: .refused))

  static let jobCheated = Schema.model(
    Schema.Model(
      [
        .optional("signature", signature),
        .standard("type", .literal("job.cheated"), .string("job.cheated")),
        .required("message_type", .literal(JobCheated.messageType)),
        .required("job_uuid", .string),
        .required("trusted_job_uuid", .string),
        .required("details", .json),
      ], extra: .refused))
}

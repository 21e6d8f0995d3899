import JSON
import MessagePack
import Messages

// Machine specs as they come on their channel and go to the facilitator. Source: PROTOCOL.md, The job's channel.
extension MachineSpecs {
  private static let envelope = Schema.model(
    Schema.Model([
      .required("type", .literal("machine.specs")),
      .required("batch_id", .string),
      .required("miner_hotkey", .string),
      .required("specs", .map(.any)),
    ]))

  /// The specs in a decoded message.
  ///
  /// - Throws: `InvalidUpdate.invalid` with the field at fault.
  public init(_ message: MessagePackValue) throws(InvalidUpdate) {
    let value: JSONValue
    do { value = try Self.envelope.validate(SchemaInput(message)) } catch { throw .invalid(error) }
    self.init(
      minerHotkey: value["miner_hotkey"]?.stringValue ?? "", batchID: value["batch_id"]?.stringValue ?? "",
      specs: (value["specs"] ?? .object([])).text(.compact))
  }

  /// The facilitator's frame for these specs, byte for byte as the original would send it.
  ///
  /// - Parameter validatorHotkey: the ss58 address of our own key.
  public func frame(validatorHotkey: String) -> [UInt8] {
    var frame = Array("{\"message_type\":\"V0MachineSpecsUpdate\",\"miner_hotkey\":".utf8)
    JSONValue.string(minerHotkey).write(.compact, to: &frame)
    frame += ",\"validator_hotkey\":".utf8
    JSONValue.string(validatorHotkey).write(.compact, to: &frame)
    frame += ",\"specs\":".utf8
    frame += specs
    frame += ",\"batch_id\":".utf8
    JSONValue.string(batchID).write(.compact, to: &frame)
    frame.append(UInt8(ascii: "}"))
    return frame
  }
}

import Facilitator
import Identity
import JSON

/// A hotkey file, held to what the parser of other JSON finds in it.
func fuzzHotkey(_ bytes: [UInt8]) throws(Finding) {
  guard bytes.count <= HotkeyFile.sizeLimit, EncryptedKeyfile(contents: bytes) == nil else { return }
  let value = try? JSONValue.parse(bytes, limits: JSONLimits(bytes: HotkeyFile.sizeLimit))
  do {
    let key = try HotkeyFile.hotkey { memory in
      memory.copyBytes(from: bytes)
      return bytes.count
    }
    try hold(value != nil, "a key in what is not JSON")
    if let address = value?["ss58Address"]?.stringValue, !key.canSign {
      try hold(key.publicKey.ss58 == address, "another address than the file's")
    }
  } catch let finding as Finding {
    throw finding
  } catch HotkeyFile.Unusable.notJSON {
    try hold(value == nil, "refused as what is not JSON")
  } catch {
    try hold(value != nil, "read as JSON that it is not: \(error)")
  }
}

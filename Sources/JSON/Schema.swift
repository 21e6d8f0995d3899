/// What a value must be, in pydantic's terms; `validate` checks a value against it and yields the JSON that
/// pydantic's `model_dump` would: fields in the model's order, defaults filled in, lax values made exact.
///
/// The originals describe every message this way, so a table of these is the shortest faithful copy of their
/// rules. The rules of each case were checked against pydantic 2.10.6.
public indirect enum Schema: Sendable {
  /// Text, or bytes that are UTF-8.
  case string
  /// An integer of any size; also true and false, a whole float, and text (`DecimalInteger.init(lax:)`).
  case integer
  /// True or false; also 0, 1 and pydantic's words for them, in any case.
  case boolean
  /// Exactly this text.
  case literal(String)
  /// One of these texts; anything else counts as `otherwise`, and is refused when that is nil.
  case choice([String], otherwise: String?)
  /// Text of base64, read laxly and written back in its one form.
  case base64
  /// Anything JSON can say; bytes count as the text they encode (pydantic's `Any`, when serialised).
  case any
  /// Anything JSON can say, without bytes except as names (pydantic's `JsonValue`).
  case json
  case array(Schema)
  /// Any names, each with a value of this kind.
  case map(Schema)
  case nullable(Schema)
  /// The first of the two that fits.
  case either(Schema, Schema)
  case model(Model)
  /// The model that the value of the field `by` names.
  case tagged(by: String, [String: Model])

  /// Named fields.
  public struct Model: Sendable {
    /// What becomes of names that no field has.
    public enum Extra: Sendable { case ignored, refused, kept }

    /// The fields, in the order in which they are written.
    public var fields: [Field]
    /// What becomes of other names; kept ones follow the fields, in the order received.
    public var extra: Extra

    /// A model of these fields.
    public init(_ fields: [Field], extra: Extra = .ignored) {
      self.fields = fields
      self.extra = extra
    }
  }

  /// One field of a model. A class, since models are gone through all the time, and a reference costs little to hand on.
  public final class Field: Sendable {
    /// Its name.
    public let name: String
    /// What its value must be.
    public let schema: Schema
    /// Its value when it is left out; nil when it must be there.
    public let standard: JSONValue?
    /// Its name's bytes.
    public let utf8: [UInt8]
    /// Its name as compact JSON has it, with the colon.
    public let label: [UInt8]

    private init(name: String, schema: Schema, standard: JSONValue?) {
      (self.name, self.schema, self.standard, utf8) = (name, schema, standard, Array(name.utf8))
      label = JSONValue.string(name).text(.compact) + [UInt8(ascii: ":")]
    }

    /// A field that must be there.
    public static func required(_ name: String, _ schema: Schema) -> Field {
      Field(name: name, schema: schema, standard: nil)
    }

    /// A field that may be left out or null, and is null then.
    public static func optional(_ name: String, _ schema: Schema) -> Field {
      Field(name: name, schema: .nullable(schema), standard: .null)
    }

    /// A field that may be left out, and has this value then.
    public static func standard(_ name: String, _ schema: Schema, _ value: JSONValue) -> Field {
      Field(name: name, schema: schema, standard: value)
    }
  }
}

/// The first thing about a value that does not fit its schema.
public struct SchemaViolation: Error, Hashable, CustomStringConvertible {
  /// The names and positions from the outermost value to the one at fault; empty for the outermost itself.
  public var path: [String]
  /// Pydantic's name for the fault, such as `missing`, `string_type`, `extra_forbidden`, `literal_error`;
  /// `not_json` for what has no form in JSON.
  public var type: String

  /// A fault at a place.
  public init(path: [String] = [], type: String) {
    self.path = path
    self.type = type
  }

  /// The same fault, seen from the value that holds the one at fault under `name`.
  public func inside(_ name: String) -> SchemaViolation { SchemaViolation(path: [name] + path, type: type) }

  /// The path and the fault. Names come from outside, so the last 16 are shown, each cut to 64 scalars, and one that
  /// could not stand in a line of a log is quoted.
  public var description: String {
    let names = path.suffix(16).map(Self.shown).joined(separator: ".")
    return "\(path.isEmpty ? "the value" : path.count > 16 ? "….\(names)" : names): \(type)"
  }

  private static func shown(_ name: String) -> String {
    let shown = String(name.unicodeScalars.prefix(64)) + (name.unicodeScalars.dropFirst(64).isEmpty ? "" : "…")
    return shown.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f } ? String(reflecting: shown) : shown
  }
}

import Glibc
import JSON
import Platform

/// One figure that a benchmark has measured, as a line of JSON on standard output.
public struct Figure: Sendable {
  public var benchmark: String
  /// What was measured: "hordelink", "peer", "sink" or "floor".
  public var subject: String
  public var parameters: [JSONMember]
  /// What the figure says, in words.
  public var figure: String
  /// Such as "1/s", "µs", "KiB".
  public var unit: String
  /// One of each repetition.
  public var values: [Double]

  public init(
    _ benchmark: String, _ subject: String, _ parameters: [JSONMember] = [], _ figure: String, _ unit: String,
    _ values: [Double]
  ) {
    (self.benchmark, self.subject, self.parameters) = (benchmark, subject, parameters)
    (self.figure, self.unit, self.values) = (figure, unit, values)
  }

  /// Prints it at once: who reads a long run's output wants each line when it is there.
  public func print() {
    let text = JSONValue.object([
      JSONMember("benchmark", .string(benchmark)), JSONMember("subject", .string(subject)),
      JSONMember("parameters", .object(parameters)), JSONMember("figure", .string(figure)),
      JSONMember("unit", .string(unit)), JSONMember("values", .array(values.map { .float(Self.rounded($0)) })),
    ]).text(.compact)
    Swift.print(String(decoding: text, as: UTF8.self))
    fflush(nil)
    Terminal.complain("\(benchmark), \(subject): \(figure) \(Self.rounded(Self.median(values))) \(unit)")
  }

  /// To a thousandth: no clock here says more.
  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  /// The middle one of the values in their order, the upper of the two if their number is even; 0 of none.
  public static func median(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
  }

  /// The value that so large a part of all is not above; 0 of none.
  public static func quantile(_ part: Double, of values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let place = Int((part * Double(values.count)).rounded(.up)) - 1
    return values.sorted()[max(0, min(values.count - 1, place))]
  }
}

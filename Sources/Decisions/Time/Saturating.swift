// Numbers from outside (rows, frames, clocks) may be anything: what would be beyond the limits stays at them, and ends nobody.
extension FixedWidthInteger {
  /// The sum, or the limit that it is beyond.
  func saturatingAdd(_ other: Self) -> Self {
    let (sum, isBeyond) = addingReportingOverflow(other)
    return isBeyond ? (other < 0 ? .min : .max) : sum
  }

  /// The difference, or the limit that it is beyond.
  func saturatingSubtract(_ other: Self) -> Self {
    let (difference, isBeyond) = subtractingReportingOverflow(other)
    return isBeyond ? (other < 0 ? .max : .min) : difference
  }
}

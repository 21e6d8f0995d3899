import Testing

/// Every test here starts real programs and has something go against them flat out; two at a time would only make both slow.
@Suite(.serialized) enum Hostile {}

import Testing

/// Every test here starts real programs; two at a time would only make both slow.
@Suite(.serialized) enum EndToEnd {}

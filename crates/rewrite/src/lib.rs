//! Patterns, patches, transactions, provenance and the driver; no rule and no engine

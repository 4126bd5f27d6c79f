//! Import from and export to the Core ML specification: the only crate that sees both sides

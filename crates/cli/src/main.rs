//! The `anewrite` command.
fn main() {}

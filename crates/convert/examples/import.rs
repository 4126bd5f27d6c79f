//! Imports models and prints what is in them: `cargo run --release --example import -- MODEL…`.
#![allow(clippy::print_stdout, reason = "an example")]

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let source = coreml_package::open(&path)?;
        let start = Instant::now();
        let document = match anewrite_convert::import(&source) {
            Ok(document) => document,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let time = start.elapsed();
        for part in &document.parts {
            let p = &part.program;
            let sealed = p.op_ids().filter(|&op| p.op(op).sealed).count();
            let functions = p.functions().count();
            println!(
                "{path} {} {}: {functions} functions, {} ops, {sealed} sealed, {} values, {:.2} ms",
                part.info().kind,
                part.path,
                p.op_count(),
                p.value_bound(),
                time.as_secs_f64() * 1e3,
            );
        }
        for note in document.notes() {
            println!("  {note}");
        }
    }
    Ok(())
}

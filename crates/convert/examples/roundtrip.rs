//! Imports models and writes them back in three ways: `roundtrip OUT MODEL…`.
//!
//! Prints whether the unchanged export is the source, and leaves in OUT, for each model, its specification made anew
//! (`N.anew`) and with the first result of each function that is no output renamed (`N.renamed`), for
//! `tests/same_messages.py` to compare with the source.
#![allow(clippy::print_stdout, reason = "an example")]

use std::path::Path;
use std::time::Instant;

use anewrite_ir::OpId;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("give a folder for the results")?;
    std::fs::create_dir_all(&out)?;
    let mut index = String::new();
    for (i, path) in args.enumerate() {
        match one(Path::new(&out), i, &path) {
            Ok(line) => {
                println!("{path}: {line}");
                index.push_str(&format!("{i}\t{path}\n"));
            }
            Err(error) => println!("{path}: {error}"),
        }
    }
    std::fs::write(Path::new(&out).join("index.tsv"), index)?;
    Ok(())
}

fn one(out: &Path, i: usize, path: &str) -> Outcome<String> {
    let source = coreml_package::open(path)?;
    let start = Instant::now();
    let mut document = anewrite_convert::import(&source)?;
    let imported = start.elapsed();
    let start = Instant::now();
    let export = anewrite_convert::export(&document, &source)?;
    let exported = start.elapsed();
    let unchanged = export.is_unchanged(&document);

    let anew = anewrite_convert::export_anew(&document, &source)?;
    let spec = document.spec().clone();
    std::fs::write(out.join(format!("{i}.anew")), anew.model.to_vec(&spec)?)?;

    let mut renamed = Vec::new();
    for part in &mut document.parts {
        let p = &mut part.program;
        let bodies: Vec<_> = p.functions().map(|(_, f)| f.body).collect();
        for body in bodies {
            let is_inner = |&op: &OpId| {
                let inner = |&r: &_| !p.is_output(r) && !p.value(r).pinned;
                !p.op(op).results.is_empty() && p.op(op).results.iter().all(inner)
            };
            let Some(op) = p.walk(body).find(is_inner) else { continue };
            let Some(result) = p.op(op).result() else { continue };
            let name = format!("{}_renamed", p.value(result).name);
            renamed.push(format!("{} {}", p.value(result).name, name));
            p.rename(result, &name);
        }
    }
    let export = anewrite_convert::export(&document, &source)?;
    std::fs::write(out.join(format!("{i}.renamed")), export.model.to_vec(&spec)?)?;
    std::fs::write(out.join(format!("{i}.names")), renamed.join("\n"))?;
    let ops: usize = document.parts.iter().map(|p| p.program.op_count()).sum();
    Ok(format!(
        "{ops} ops, {} bytes, import {:.2} ms, export {:.2} ms, {}, anew {} new bytes, renamed {} new bytes in {} pieces",
        spec.len(),
        imported.as_secs_f64() * 1e3,
        exported.as_secs_f64() * 1e3,
        if unchanged { "unchanged" } else { "CHANGED" },
        anew.model.new_len(),
        export.model.new_len(),
        export.model.pieces().len(),
    ))
}

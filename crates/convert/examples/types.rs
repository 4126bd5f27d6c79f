//! Infers the types of every value of every ML Program and compares them with the stored ones:
//! `types [--short] PATH…`, where a path is a model or a folder with models anywhere below.
//!
//! Results that are known more precisely than the model says are listed (not with `--short`); ops without a definition,
//! or with parts that were not read, are counted by kind. Fails where a type differs or cannot be inferred.
#![allow(clippy::print_stdout, reason = "an example")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anewrite_convert::import;
use anewrite_ir::infer::{Inferred, infer};
use anewrite_ir::mil::Mil;
use anewrite_ir::{DialectId, Dim, Program, Type};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Default)]
struct Totals {
    models: usize,
    ops: usize,
    results: usize,
    refined: usize,
    disagreements: usize,
    opaque: BTreeMap<String, usize>,
}

fn main() -> Outcome<()> {
    let (options, paths): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let short = options.iter().any(|o| o == "--short");
    let mut models = Vec::new();
    for path in &paths {
        find(Path::new(path), &mut models)?;
    }
    models.sort();
    let mut totals = Totals::default();
    for path in models {
        let document = coreml_package::open(&path)
            .map_err(|error| error.to_string())
            .and_then(|source| import(&source).map_err(|error| error.to_string()));
        match document {
            Ok(document) => {
                for part in document.parts.iter().filter(|p| p.program.dialect == DialectId::Mil) {
                    totals.models += 1;
                    compare(&path, &part.program, short, &mut totals);
                }
            }
            Err(error) => println!("{}: not read: {error}", path.display()),
        }
    }
    let Totals { models, ops, results, refined, disagreements, opaque } = totals;
    let equal = results - refined - disagreements;
    println!(
        "{models} programs, {ops} ops, {results} results: {equal} equal, {refined} more precise, {disagreements} different"
    );
    println!("ops that inference does not follow: {}", opaque.values().sum::<usize>());
    for (kind, count) in opaque {
        println!("  {count} {kind}");
    }
    if disagreements > 0 {
        return Err(format!("{disagreements} types differ").into());
    }
    Ok(())
}

fn find(path: &Path, models: &mut Vec<PathBuf>) -> Outcome<()> {
    if path.extension().is_some_and(|e| e == "mlpackage" || e == "mlmodel") {
        models.push(path.to_owned());
    } else if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            find(&entry?.path(), models)?;
        }
    }
    Ok(())
}

fn compare(path: &Path, p: &Program, short: bool, totals: &mut Totals) {
    let inferred = infer(p, &Mil);
    totals.ops += p.op_count();
    totals.results += p.all_ops().map(|op| p.op(op).results.len()).sum::<usize>();
    totals.refined += inferred.refined.len();
    totals.disagreements += inferred.disagreements.len();
    for &op in &inferred.opaque {
        *totals.opaque.entry(p.op(op).kind.to_string()).or_default() += 1;
        totals.results -= p.op(op).results.len();
    }
    let mut place = Some(path);
    let mut say = |line: String| {
        if let Some(path) = place.take() {
            println!("{}", path.display());
        }
        println!("  {line}");
    };
    for d in &inferred.disagreements {
        let op = p.op(d.op);
        let result = op.results.get(d.result).map(|&r| p.value(r));
        let (name, stored) = result.map_or(("-", String::new()), |v| (&v.name, v.ty.to_string()));
        let have = match &d.inferred {
            Ok(ty) => shown(ty, &inferred),
            Err(error) => error.to_string(),
        };
        say(format!("{} {name}: stored {stored}, inferred {have}", op.kind));
    }
    for &value in inferred.refined.iter().filter(|_| !short) {
        let v = p.value(value);
        let kind = p.def_op(value).map_or("", |op| &p.op(op).kind);
        say(format!("{kind} {}: {} is {}", v.name, v.ty, shown(inferred.facts.ty(p, value), &inferred)));
    }
}

/// The type with its symbols in words.
fn shown(ty: &Type, inferred: &Inferred) -> String {
    let Some(shape) = ty.tensor().and_then(|t| t.shape.as_ref()) else { return ty.to_string() };
    let dim = |d: &Dim| match d {
        Dim::Expr(e) => inferred.dims.show(*e),
        d => d.to_string(),
    };
    format!("[{}]", shape.iter().map(dim).collect::<Vec<_>>().join(", "))
}

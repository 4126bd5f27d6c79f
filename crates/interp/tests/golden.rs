//! Single ops against results of torch, numpy and onnxruntime, or documented formulas: testdata/ops.

mod common;

use std::collections::BTreeSet;

use anewrite_interp::{Arithmetic, evaluated};
use anewrite_ir::infer::infer;
use anewrite_ir::mil::{Mil, schemas};
use common::{Case, cases};

fn failures(arithmetic: Arithmetic, cases: &[Case]) -> String {
    let wrong = cases.iter().filter_map(|c| Some(format!("{c}: {}", c.check(arithmetic).err()?)));
    let wrong: Vec<String> = wrong.collect();
    match wrong.len() {
        0 => String::new(),
        n => format!("{n} of {} cases under {}:\n{}", cases.len(), arithmetic.name(), wrong.join("\n")),
    }
}

#[test]
fn ops_agree_with_the_golden_results_in_double_precision() {
    let wrong = failures(Arithmetic::Fp64, &cases());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ops_agree_with_the_golden_results_in_single_precision() {
    let wrong = failures(Arithmetic::Fp32, &cases());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ops_on_half_precision_agree_as_the_engine_computes() {
    let half: Vec<Case> = cases().into_iter().filter(Case::in_half).collect();
    let wrong = failures(Arithmetic::ANE16, &half);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn inference_gives_the_types_of_the_golden_results() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|c| !c.fails && !c.free && c.chance.is_none() && c.classes.is_empty()) {
        let p = match case.program() {
            Ok(p) => p,
            Err(e) => {
                wrong.push(format!("{case}: {e}"));
                continue;
            }
        };
        let inferred = infer(&p, &Mil);
        let Some((_, f)) = p.functions().next() else { continue };
        for (&v, want) in p.block(f.body).outputs.iter().zip(&case.out) {
            let have = inferred.facts.ty(&p, v);
            if !have.tensor().is_some_and(|t| want.fits(t)) {
                wrong.push(format!("{case}: {have} for {want}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_op_has_a_golden_case() {
    let cases = cases();
    let tried: BTreeSet<&str> = cases.iter().flat_map(Case::ops).collect();
    let missing: Vec<&str> = schemas().iter().map(|s| s.name).filter(|op| !tried.contains(op)).collect();
    assert!(missing.is_empty(), "no case tries {missing:?}");
    for s in schemas() {
        let since = s.since.name();
        let of_form = |c: &&Case| c.text.is_some() || *c.opset >= *since;
        let tried = cases.iter().filter(of_form).any(|c| c.ops().any(|op| op == s.name));
        let renewed = schemas().iter().any(|other| other.name == s.name && other.since < s.since);
        // a form that only takes more element types is tried where one of its files' types needs it
        assert!(tried || renewed, "no case tries {} of {since}", s.name);
    }
}

#[test]
fn every_op_is_evaluated() {
    let here = evaluated();
    let missing: BTreeSet<&str> = schemas().iter().map(|s| s.name).filter(|op| !here.contains(op)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

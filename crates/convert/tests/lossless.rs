//! Nothing is lost: on every model under testdata/, the unchanged export is the source, the one made anew means the
//! same, and a change of one op leaves the bytes of all others. tests/same_messages.py does the second and third under
//! coremltools' protobuf classes.

mod common;

use anewrite_convert::{export, export_anew, import, import_spec};
use anewrite_ir::{OpId, Program};
use bytes::Bytes;
use coreml_proto::spec::Model;
use prost::Message;

#[test]
fn a_model_without_changes_is_its_source() {
    for path in common::models() {
        let source = coreml_package::open(&path).unwrap();
        let document = import(&source).unwrap();
        let out = export(&document, &source).unwrap();
        assert_eq!(out.model.as_source(), Some(0..document.spec().len() as u64), "{}", path.display());
        assert!(out.is_unchanged(&document) && out.weights.is_empty());
    }
}

#[test]
fn a_model_made_anew_means_the_same() {
    for path in common::models() {
        let source = coreml_package::open(&path).unwrap();
        let document = import(&source).unwrap();
        let out = export_anew(&document, &source).unwrap();
        let bytes = out.model.to_vec(document.spec()).unwrap();
        assert!(out.weights.is_empty());
        let (a, b) = (Model::decode(document.spec().clone()).unwrap(), Model::decode(&*bytes).unwrap());
        assert!(a == b, "{}", path.display());
        // Not by copying: all but weights and what is around the ops is new.
        if document.parts.iter().any(|p| has_sealed(&p.program)) {
            continue;
        }
        let mut ops = 0;
        let mut end = 0;
        for found in common::messages(&bytes) {
            if matches!(found.kind, "operation" | "layer") && found.content.start >= end {
                ops += found.content.len();
                end = found.content.end;
            }
        }
        let weights: usize = document.parts.iter().map(|p| weight_bytes(&p.program)).sum();
        let new = out.model.new_len() as usize;
        // what is around the layers of networks inside of layers counts as ops here
        assert!(new + weights + bytes.len() / 8 > ops, "{}: {new} of {ops}", path.display());
    }
}

fn has_sealed(p: &Program) -> bool {
    p.op_ids().any(|op| p.op(op).sealed) || p.values().any(|(v, _)| p.constant(v).is_some_and(|c| c.sealed))
}

fn weight_bytes(p: &Program) -> usize {
    p.values().filter_map(|(v, _)| p.constant(v)).map(|c| c.tensor.payload().stored_len()).sum()
}

/// An op whose results are inside only, so that their names are free to change.
fn inner_op(p: &Program, body: anewrite_ir::BlockId) -> Option<OpId> {
    let is_inner = |&op: &OpId| {
        let results = &p.op(op).results;
        !results.is_empty() && results.iter().all(|&r| !p.is_output(r) && !p.value(r).pinned)
    };
    p.walk(body).filter(is_inner).last()
}

#[test]
fn a_renamed_result_leaves_every_other_op() {
    let mut changed = 0;
    for path in common::models() {
        let source = coreml_package::open(&path).unwrap();
        let mut document = import(&source).unwrap();
        let mut names = Vec::new();
        for part in &mut document.parts {
            let p = &mut part.program;
            let bodies: Vec<_> = p.functions().map(|(_, f)| f.body).collect();
            for body in bodies {
                let Some(op) = inner_op(p, body) else { continue };
                let result = p.op(op).result().unwrap();
                let old = p.value(result).name.to_string();
                let name = format!("{old} renamed!");
                p.rename(result, &name);
                names.push(name);
            }
        }
        let out = export(&document, &source).unwrap();
        let bytes = out.model.to_vec(document.spec()).unwrap();
        let (before, after) = (common::ops(document.spec()), common::ops(&bytes));
        assert_eq!(before.len(), after.len(), "{}", path.display());
        for (a, b) in before.iter().zip(&after) {
            let is_named = names.iter().any(|n| b.windows(n.len()).any(|w| w == n.as_bytes()));
            assert_eq!(a != b, is_named, "{}", path.display());
            changed += usize::from(is_named);
        }
        // And nothing but the names: put back, the source is there again.
        let mut again = import_spec(&path, &Bytes::from(bytes), &source).unwrap();
        for part in &mut again.parts {
            let p = &mut part.program;
            let renamed: Vec<_> = p.values().filter(|(_, v)| names.iter().any(|n| **n == *v.name)).collect();
            let renamed: Vec<_> = renamed.into_iter().map(|(v, _)| v).collect();
            for v in renamed {
                let old = p.value(v).name.strip_suffix(" renamed!").unwrap().to_owned();
                p.rename(v, &old);
            }
        }
        let back = export(&again, &source).unwrap().model.to_vec(again.spec()).unwrap();
        assert!(back == *document.spec(), "{}", path.display());
    }
    assert!(changed > 40, "{changed}");
}

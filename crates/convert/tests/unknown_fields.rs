//! Fields that the schema does not have, planted at every depth of a model, are still there when ops beside and below
//! them change; what holds one is sealed.

mod common;

use std::path::Path;

use anewrite_convert::{Document, Export, export, export_anew, import_spec};
use anewrite_ir::{Const, ConstOrigin, Program, ValueId};
use bytes::Bytes;
use coreml_package::Source;
use coreml_proto::rope::Rope;
use coreml_proto::splice::Edits;

/// A field number that no message has, and a value by which each planted field is known again.
const NUMBER: u32 = 7777;

fn field(mark: u64) -> Vec<u8> {
    let mut rope = Rope::new();
    rope.push_varint_field(NUMBER, 1_000_000 + mark);
    rope.to_vec(&[]).unwrap()
}

/// Plants a field in every message that the test's reader finds. Gives the model and what was planted where.
fn planted(spec: &[u8]) -> (Bytes, Vec<(&'static str, u64)>) {
    let mut edits = Edits::new();
    let mut marks = Vec::new();
    for (mark, found) in common::messages(spec).into_iter().enumerate() {
        // Content that is empty or ends with the message around it cannot be told apart by its place.
        let mut rope = Rope::new();
        rope.push_slice(&field(mark as u64));
        if !found.content.is_empty() {
            edits.append(found.content.clone(), rope);
            marks.push((found.kind, mark as u64));
        }
    }
    (edits.apply(spec, 0..spec.len()).unwrap().to_vec(spec).unwrap().into(), marks)
}

fn count(bytes: &[u8], mark: u64) -> usize {
    let field = field(mark);
    bytes.windows(field.len()).filter(|w| *w == field).count()
}

fn written(document: &Document, export: &Export) -> Vec<u8> {
    export.model.to_vec(document.spec()).unwrap()
}

fn import(source: &Source, spec: &Bytes) -> Document {
    import_spec(Path::new("planted"), spec, source).unwrap()
}

fn first_inner_result(p: &Program) -> ValueId {
    let results = p.all_ops().flat_map(|op| p.op(op).results.clone());
    results.into_iter().find(|&r| !p.is_output(r) && !p.value(r).pinned && p.use_count(r) > 0).unwrap()
}

#[test]
fn planted_fields_stay_when_anything_changes() {
    let names = ["blocks.mlpackage", "states.mlpackage", "functions.mlpackage", "palette-iOS16.mlpackage"];
    let networks = ["nn_control.mlmodel", "nn_image.mlmodel", "nn_quantized.mlmodel", "pipeline.mlmodel"];
    for name in names.into_iter().chain(networks) {
        let source = common::made(name);
        let spec = source.model().unwrap().bytes().clone();
        let (spec, marks) = planted(&spec);
        let kinds: std::collections::BTreeSet<&str> = marks.iter().map(|(kind, _)| *kind).collect();
        assert!(kinds.len() >= 5, "{name}: planted in {kinds:?}");
        let mut document = import(&source, &spec);
        assert!(export(&document, &source).unwrap().is_unchanged(&document), "{name}");

        for part in &document.parts {
            let p = &part.program;
            assert!(p.op_ids().all(|op| p.op(op).sealed), "{name}: every op holds a planted field");
        }
        let anew = written(&document, &export_anew(&document, &source).unwrap());
        for (kind, mark) in &marks {
            assert_eq!(count(&anew, *mark), 1, "{name}: {kind} {mark}, made anew");
        }
        for part in &mut document.parts {
            let result = first_inner_result(&part.program);
            part.program.rename(result, "another name");
        }
        let renamed = written(&document, &export(&document, &source).unwrap());
        assert_ne!(renamed, spec);
        for (kind, mark) in &marks {
            assert_eq!(count(&renamed, *mark), 1, "{name}: {kind} {mark}, renamed");
        }
    }
}

#[test]
fn a_constant_with_an_unknown_field_outlives_its_last_use() {
    let source = common::made("states.mlpackage");
    let spec = source.model().unwrap().bytes().clone();
    // In the `Value` of every `const`, below five messages that each have one too.
    let (spec, marks) = planted(&spec);
    let mut document = import(&source, &spec);
    let p = &mut document.parts[0].program;
    let op = p.all_ops().find(|&op| &*p.op(op).kind == "linear").unwrap();
    let slot = p.op(op).operands.iter().position(|o| &*o.param == "bias").unwrap();
    let old = p.op(op).operands[slot].value;
    let bias = p.constant(old).unwrap();
    assert!(bias.sealed);
    let data = Const { tensor: bias.tensor.clone(), origin: ConstOrigin::New, sealed: false };
    let block = p.block_of(op);
    let new = p.add_const(block, "new_bias", data);
    p.set_operand(op, slot, new);
    assert_eq!(p.use_count(old), 0);

    let bytes = written(&document, &export(&document, &source).unwrap());
    for (kind, mark) in &marks {
        assert_eq!(count(&bytes, *mark), 1, "{kind} {mark}");
    }
    assert!(bytes.windows(8).any(|w| w == b"new_bias"));
}

#[test]
fn only_what_holds_the_field_is_sealed() {
    let source = common::made("blocks.mlpackage");
    let spec = source.model().unwrap().bytes().clone();
    let ops = common::messages(&spec).into_iter().filter(|f| f.kind == "operation");
    // An op inside the branch inside the loop.
    let target =
        ops.filter(|f| spec[f.content.clone()].windows(5).any(|w| w == b"\x0a\x03mul")).last().unwrap();
    let mut edits = Edits::new();
    edits.append(target.content, Rope::from(Bytes::from(field(0))));
    let spec: Bytes = edits.apply(&spec, 0..spec.len()).unwrap().to_vec(&spec).unwrap().into();
    let document = import(&source, &spec);
    let p = &document.parts[0].program;
    let sealed: Vec<&str> = p.all_ops().filter(|&op| p.op(op).sealed).map(|op| &*p.op(op).kind).collect();
    assert_eq!(sealed, ["while_loop", "cond", "mul"]);
}

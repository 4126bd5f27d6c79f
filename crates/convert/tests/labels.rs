//! Class labels stand in a list, which is no tensor: they can be read, and are written as they were.

mod common;

use anewrite_convert::{export_anew, import};
use anewrite_ir::Program;
use anewrite_tensor::{DType, Payload};
use coreml_proto::spec::Model;
use prost::Message;

fn labels(p: &Program) -> (Vec<String>, bool) {
    let op = p.all_ops().find(|&op| &*p.op(op).kind == "classify").unwrap();
    let classes = p.constant(p.op(op).arg("classes").unwrap()).unwrap();
    assert!(classes.sealed, "a list is not all that a vector says");
    assert_eq!((classes.tensor.dims(), classes.tensor.dtype()), (&[3][..], DType::String));
    match classes.tensor.payload() {
        Payload::Strings(s) => (s.iter().map(|t| t.to_string()).collect(), p.op(op).sealed),
        _ => panic!("labels are texts"),
    }
}

#[test]
fn the_labels_of_a_classifier() {
    // the labels in testdata/convert/make_models.py
    let source = common::made("classifier.mlpackage");
    let document = import(&source).unwrap();
    let expected = vec!["one".to_owned(), "två".to_owned(), "три".to_owned()];
    assert_eq!(labels(&document.parts[0].program), (expected, true));
    // made anew, the op means the same message
    let old = Model::decode(document.spec().clone()).unwrap();
    let new = export_anew(&document, &source).unwrap().model.to_vec(document.spec()).unwrap();
    assert!(old == Model::decode(&*new).unwrap());
}

//! The op tables against coremltools' definitions: names, kinds, defaults and element types of every parameter, in
//! every opset. `data/mil_schemas.py` writes the file they are compared with.

use anewrite_ir::mil::{Mil, schemas};
use anewrite_ir::{DTypes, DefaultValue, Dialect, Effect, Opset, Param, ParamKind};
use anewrite_tensor::DType;
use serde::Deserialize;

#[derive(Deserialize)]
struct Form {
    op: String,
    since: String,
    params: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    kind: String,
    #[serde(default)]
    optional: bool,
    default: Option<serde_json::Value>,
    dtypes: Option<Vec<String>>,
    like: Option<String>,
}

/// Ops of coremltools that no file holds, or that are values here.
const NOT_OPS: &[&str] = &["_const_symbolic", "const"];

/// Parameters that are nested blocks in files.
const BLOCKS: &[&str] = &["_true_fn", "_false_fn", "_existing_blocks", "_cond", "_body"];

/// Defaults that follow from the extents of other operands: here the parameter is absent, and inference and
/// evaluation know what that means.
const FOLLOWING: &[(&str, &str)] =
    &[("crop_resize", "box_indices"), ("layer_norm", "axes"), ("linear", "bias")];

fn forms() -> Vec<Form> {
    let all: Vec<Form> = serde_json::from_str(include_str!("data/mil_schemas.json")).unwrap();
    all.into_iter().filter(|f| !NOT_OPS.contains(&&*f.op)).collect()
}

#[test]
fn parameters_are_those_of_coremltools() {
    let mut wrong = Vec::new();
    for form in forms() {
        let opset = Opset::from_name(&form.since).unwrap();
        let Some(schema) = Mil.schema(&form.op, opset) else { continue };
        let rows = form.params.iter().filter(|r| !BLOCKS.contains(&&*r.name));
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (
            schema.params.iter().map(shown).collect(),
            rows.map(|r| row(&form.op, r, schema.params)).collect(),
        );
        ours.sort();
        theirs.sort();
        if ours != theirs {
            wrong.push((format!("{} {:?} for {}", form.op, schema.since, form.since), ours, theirs));
        }
    }
    let mut report = Vec::new();
    for (op, ours, theirs) in &wrong {
        report.extend(ours.iter().filter(|l| !theirs.contains(l)).map(|l| format!("{op}: here {l}")));
        report.extend(theirs.iter().filter(|l| !ours.contains(l)).map(|l| format!("{op}: coremltools {l}")));
    }
    assert!(wrong.is_empty(), "{report:#?}");
}

#[test]
fn every_op_of_coremltools_is_defined() {
    let missing: Vec<String> = forms()
        .into_iter()
        .filter(|f| Mil.schema(&f.op, Opset::from_name(&f.since).unwrap()).is_none())
        .map(|f| format!("{} since {}", f.op, f.since))
        .collect();
    assert!(missing.is_empty(), "{} forms: {missing:#?}", missing.len());
}

#[test]
fn no_form_is_newer_than_its_change() {
    let forms = forms();
    for schema in schemas() {
        let changes = forms.iter().filter(|f| f.op == schema.name);
        let since: Vec<_> = changes.map(|f| Opset::from_name(&f.since).unwrap()).collect();
        // clip of iOS 17 differs in what it refuses, not in its parameters; the rest changes parameters
        let known = since.is_empty() || since.contains(&schema.since) || schema.name == "clip";
        assert!(known, "{} {:?}", schema.name, schema.since);
    }
}

fn shown(p: &Param) -> String {
    let kind = match p.kind {
        ParamKind::Value => "value",
        ParamKind::Const => "const",
        ParamKind::Values => "values",
    };
    line(p.name, kind, &default_text(p.default), p.dtypes, p.like)
}

fn line(name: &str, kind: &str, default: &str, dtypes: DTypes, like: Option<&str>) -> String {
    format!("{name}: {kind} {default} of {dtypes} like {like:?}")
}

fn default_text(d: DefaultValue) -> String {
    match d {
        DefaultValue::Required => "required".into(),
        DefaultValue::Absent => "absent".into(),
        DefaultValue::Bool(b) => b.to_string(),
        DefaultValue::Int(n) => n.to_string(),
        DefaultValue::Float(x) => format!("{:e}", x as f32),
        DefaultValue::Text(s) => s.into(),
        // the file has them for a tensor of rank 4
        DefaultValue::Fill(n) => format!("filled with {n}"),
        DefaultValue::Ints(v) => format!("{v:?}"),
    }
}

fn row(op: &str, r: &Row, ours: &[Param]) -> String {
    use serde_json::Value;
    let here = ours.iter().find(|p| p.name == r.name);
    let default = match &r.default {
        // a list of scalars has no element shape, and files then bind no value
        _ if (op, &*r.name) == ("make_list", "elem_shape") => "absent".into(),
        _ if !r.optional => "required".into(),
        Some(_) if FOLLOWING.contains(&(op, &r.name)) => "absent".into(),
        None => "absent".into(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Number(n)) => match here.map(|p| p.default) {
            Some(DefaultValue::Float(_)) => format!("{:e}", n.as_f64().unwrap() as f32),
            _ => n.to_string(),
        },
        Some(Value::Array(v)) => match (here.map(|p| p.default), v.first()) {
            (Some(DefaultValue::Fill(_)), Some(first)) if v.iter().all(|x| x == first) => {
                format!("filled with {first}")
            }
            _ => format!("{v:?}"),
        },
        Some(v) => v.to_string(),
    };
    let dtypes = r.dtypes.as_ref().map_or(DTypes::ANY, |d| {
        let set = d.iter().map(|n| DTypes::of(&[DType::from_name(n).unwrap()]));
        set.reduce(DTypes::and).unwrap()
    });
    line(&r.name, &r.kind, &default, dtypes, r.like.as_deref())
}

#[test]
fn only_random_numbers_states_and_lists_do_more_than_compute() {
    for schema in schemas() {
        let want = match schema.name {
            "list_gather" | "list_length" | "list_read" | "read_state" => Effect::ReadState,
            "coreml_update_state" | "list_scatter" | "list_write" | "make_list" | "write_state" => {
                Effect::WriteState
            }
            name if name.starts_with("random_") => Effect::Random,
            _ => Effect::Pure,
        };
        assert_eq!(Mil.effect(schema.name), want, "{}", schema.name);
    }
    assert_eq!(Mil.effect("no_such_op"), Effect::Opaque);
}

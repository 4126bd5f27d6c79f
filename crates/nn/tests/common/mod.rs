//! Cases of tests/golden/layers.json.

#![allow(dead_code, reason = "not every test looks at all of a case")]

use anewrite_ir::{Attr, Attrs, TensorType};
use anewrite_nn::{LayerCall, Mapping};
use anewrite_tensor::{DType, Tensor};
use serde_json::Value;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) mapping: Mapping,
    pub(crate) fields: Attrs,
    pub(crate) weights: Vec<(String, Tensor)>,
    pub(crate) inputs: Vec<Array>,
    pub(crate) outputs: Vec<Array>,
    /// The values of the inputs are not known when the layer is lowered.
    pub(crate) computed: bool,
}

#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<u64>,
    /// NaN where the case does not say (random numbers).
    pub(crate) data: Vec<f64>,
}

impl Array {
    pub(crate) fn ty(&self) -> TensorType {
        TensorType::fixed(DType::F32, self.shape.iter().copied())
    }

    /// The type under the lowering: under the rank-5 mapping without the first axis where the first two are 1.
    pub(crate) fn lowered(&self, mapping: Mapping) -> TensorType {
        TensorType::fixed(DType::F32, lowered_dims(&self.shape, mapping))
    }
}

pub(crate) fn lowered_dims(dims: &[u64], mapping: Mapping) -> Vec<u64> {
    match dims {
        [1, 1, rest @ ..] if mapping == Mapping::Rank5 => {
            std::iter::once(1).chain(rest.iter().copied()).collect()
        }
        dims => dims.to_vec(),
    }
}

impl Case {
    pub(crate) fn call(&self) -> LayerCall<'_> {
        let call = LayerCall::new(&self.kind, &self.fields).mapping(self.mapping);
        self.weights.iter().fold(call.outputs(self.outputs.len()), |c, (path, t)| c.weight(path, t))
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let text = include_str!("../golden/layers.json");
    let all: Value = serde_json::from_str(text).expect("golden file");
    all.as_array().expect("a list").iter().map(case).collect()
}

fn text(v: &Value) -> String {
    v.as_str().expect("text").to_owned()
}

fn case(v: &Value) -> Case {
    let arrays = |name: &str| v[name].as_array().expect(name).iter().map(array).collect();
    let weights = v["weights"].as_object().expect("weights").iter();
    Case {
        name: text(&v["name"]),
        kind: text(&v["kind"]),
        mapping: if v["mapping"] == "rank5" { Mapping::Rank5 } else { Mapping::Exact },
        fields: fields(&v["fields"]),
        weights: weights.map(|(path, w)| (path.clone(), weight(w))).collect(),
        inputs: arrays("inputs"),
        outputs: arrays("outputs"),
        computed: v["computed"] == true,
    }
}

fn array(v: &Value) -> Array {
    let shape = v["shape"].as_array().expect("shape").iter().map(|n| n.as_u64().expect("extent")).collect();
    Array { shape, data: numbers(&v["data"]) }
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().expect("numbers").iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn weight(v: &Value) -> Tensor {
    let data = numbers(&v["data"]);
    let dtype = DType::from_name(v["dtype"].as_str().expect("dtype")).expect("dtype");
    Tensor::from_f64s(dtype, &[data.len() as u64], &data).expect("weights")
}

fn fields(v: &Value) -> Attrs {
    let field = |f: &Value| (text(&f[0]).as_str().into(), attr(&f[1]));
    v.as_array().expect("fields").iter().map(field).collect()
}

fn attr(v: &Value) -> Attr {
    let (kind, v) = v.as_object().expect("field").iter().next().expect("kind");
    match kind.as_str() {
        "i" => Attr::Int(v.as_i64().expect("integer")),
        "f" => Attr::Float(v.as_f64().expect("number")),
        "b" => Attr::Bool(v.as_bool().expect("truth value")),
        "t" => Attr::Text(text(v).as_str().into()),
        "e" => Attr::Enum(text(v).as_str().into()),
        "l" => Attr::List(v.as_array().expect("list").iter().map(attr).collect()),
        _ => Attr::Message(fields(v)),
    }
}

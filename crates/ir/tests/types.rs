//! Type inference of single ops against coremltools 9.0.
//!
//! `data/types/make.py` wrote the cases. Inference must give the same results or know more, refuse what
//! coremltools refuses, keep symbols apart, and give the right numbers when symbols get values.

use std::collections::BTreeMap;
use std::path::Path;

use anewrite_ir::dims::{DimTable, Int};
use anewrite_ir::infer::{Arg, BlockTypes, InferCx, InferError};
use anewrite_ir::mil::Mil;
use anewrite_ir::{DefaultValue, Dialect, Dim, Opset, TensorType, Type, Types};
use anewrite_tensor::{DType, Payload, Tensor};
use serde_json::Value;

#[test]
fn single_ops_have_the_types_that_coremltools_gives_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/types");
    let (mut cases, mut compared, mut wrong) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let list: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in list.as_array().unwrap() {
            cases += 1;
            let mut look = Case::read(case);
            match look.check(case) {
                Ok(n) => compared += n,
                Err(why) => wrong.push(format!("{why}\n    {case}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 300 && compared > 700, "{cases} cases, {compared} extents with numbers for symbols");
}

struct Case {
    kind: String,
    opset: Opset,
    dims: DimTable,
    /// Symbols by the names that the case gives them; the n-th one made is symbol n of the table.
    symbols: Vec<(String, Dim)>,
    args: Vec<Arg>,
    blocks: Vec<BlockTypes>,
}

impl Case {
    fn read(case: &Value) -> Case {
        let mut c = Case {
            kind: case["op"].as_str().unwrap().into(),
            opset: Opset::from_name(case["opset"].as_str().unwrap()).unwrap(),
            dims: DimTable::default(),
            symbols: Vec::new(),
            args: Vec::new(),
            blocks: Vec::new(),
        };
        for pair in case["args"].as_array().unwrap() {
            let ty = c.ty(&pair[1]);
            let constant = pair[1].get("value").map(|v| constant(&ty, v));
            let small = constant.as_ref().filter(|t| t.count() <= 64 && !t.dtype().is_float());
            let ints = small.and_then(|t| t.to_i64s().ok());
            let ints = ints.map(|v| v.into_iter().map(Int::Known).collect());
            c.args.push(Arg { param: pair[0].as_str().unwrap().into(), ty, constant, ints });
        }
        for block in case.get("blocks").and_then(Value::as_array).into_iter().flatten() {
            let mut types = |v: &Value| v.as_array().unwrap().iter().map(|t| c.ty(t)).collect();
            let (args, outputs) = (types(&block["args"]), types(&block["outputs"]));
            c.blocks.push(BlockTypes { args, outputs });
        }
        c
    }

    fn ty(&mut self, v: &Value) -> Type {
        if let Some(of) = v.get("state") {
            return Type::State(self.tensor_type(of));
        }
        if let Some(of) = v.get("list") {
            return Type::List { element: self.tensor_type(of), length: v["length"].as_u64() };
        }
        if let Some(of) = v.get("dict") {
            return Type::Dict { key: Box::new(self.ty(&of[0])), value: Box::new(self.ty(&of[1])) };
        }
        self.tensor_type(v).into()
    }

    fn tensor_type(&mut self, v: &Value) -> TensorType {
        let dtype = DType::from_name(v["dtype"].as_str().unwrap()).unwrap();
        let shape = v["dims"].as_array().map(|dims| dims.iter().map(|d| self.dim(d)).collect());
        TensorType { dtype, shape }
    }

    fn dim(&mut self, v: &Value) -> Dim {
        match v {
            Value::String(name) if name == "?" => Dim::Unknown,
            Value::String(name) => match self.symbols.iter().find(|(n, _)| n == name) {
                Some((_, d)) => *d,
                None => {
                    let d = self.dims.fresh();
                    self.symbols.push((name.clone(), d));
                    d
                }
            },
            n => Dim::Known(n.as_u64().unwrap()),
        }
    }

    fn infer(&mut self) -> Result<Types, InferError> {
        let mut cx = InferCx {
            kind: &self.kind,
            opset: self.opset,
            args: &self.args,
            attrs: &Vec::new(),
            blocks: &self.blocks,
            dims: &mut self.dims,
            stored: &[],
            ints_out: Vec::new(),
            schema: None,
        };
        Mil.infer(&mut cx)
    }

    /// The number of extents compared under values for the symbols.
    fn check(&mut self, case: &Value) -> Result<usize, String> {
        let outcome = self.infer();
        if case.get("fails").is_some() {
            return match outcome {
                Err(InferError::Unknown(op)) => Err(format!("{op} has no definition")),
                Err(_) => Ok(0),
                Ok(types) => Err(format!("coremltools refuses this, here it is {types:?}")),
            };
        }
        let types = outcome.map_err(|e| e.to_string())?;
        self.params(case)?;
        let want: Vec<Type> = case["results"].as_array().unwrap().iter().map(|t| self.ty(t)).collect();
        let fits = |(have, want): (&Type, &Type)| have.refines(&want.erased()) && keeps_symbols(have, want);
        if types.len() != want.len() || !types.iter().zip(&want).all(fits) {
            return Err(format!("{types:?} where coremltools has {want:?}"));
        }
        let mut compared = 0;
        for point in case["at"].as_array().unwrap().iter().filter(|p| p.get("results").is_some()) {
            compared += self.numbers(&types, point)?;
        }
        Ok(compared)
    }

    fn numbers(&mut self, types: &Types, point: &Value) -> Result<usize, String> {
        let name = |n: u32| self.symbols.get(n as usize).map(|(name, _)| name.as_str());
        let values = self.dims.evaluate(|n| point["symbols"].get(name(n)?)?.as_i64());
        let mut compared = 0;
        for (ty, want) in types.iter().zip(point["results"].as_array().unwrap()) {
            let (Some(have), Some(want)) =
                (ty.tensor().and_then(|t| t.shape.as_ref()), want["dims"].as_array())
            else {
                continue;
            };
            for (have, want) in have.iter().zip(want) {
                if let (Some(have), Some(want)) = (values.dim(*have), want.as_u64()) {
                    compared += 1;
                    if have != want {
                        return Err(format!("{have} where coremltools has {want} at {}", point["symbols"]));
                    }
                }
            }
        }
        Ok(compared)
    }

    /// Parameters that the case leaves out stand for what coremltools puts in their place.
    fn params(&self, case: &Value) -> Result<(), String> {
        let schema = Mil.schema(&self.kind, self.opset).ok_or("no definition")?;
        for arg in &self.args {
            schema.param(&arg.param).ok_or_else(|| format!("no parameter {}", arg.param))?;
        }
        let defaults: BTreeMap<&String, &Value> = case["defaults"].as_object().unwrap().iter().collect();
        for (name, want) in defaults {
            let param = schema.param(name).ok_or_else(|| format!("no parameter {name}"))?;
            let same = match param.default {
                DefaultValue::Bool(b) => want.as_bool() == Some(b),
                DefaultValue::Int(n) => want.as_f64() == Some(n as f64),
                DefaultValue::Float(x) => {
                    want.as_f64().is_some_and(|w| (w - x).abs() <= 1e-3 * x.abs() || w == f64::from(x as f32))
                }
                DefaultValue::Text(s) => want.as_str() == Some(s),
                DefaultValue::Fill(n) => {
                    want.as_array().is_some_and(|w| w.iter().all(|w| w.as_i64() == Some(n)))
                }
                DefaultValue::Ints(v) => want.as_array().is_some_and(|w| {
                    w.len() == v.len() && w.iter().zip(v).all(|(w, v)| w.as_i64() == Some(*v))
                }),
                // a missing bias is a bias of zeros, missing indices count up
                DefaultValue::Absent => {
                    let zeros = |w: &Vec<Value>| w.iter().all(|w| w.as_f64() == Some(0.0));
                    let counting = |w: &Vec<Value>| (0..).zip(w).all(|(i, w)| w.as_u64() == Some(i));
                    want.as_array().is_some_and(|w| zeros(w) || counting(w))
                }
                DefaultValue::Required => false,
            };
            if !same {
                return Err(format!("{name} stands for {:?}, in coremltools for {want}", param.default));
            }
        }
        Ok(())
    }
}

/// Whether extents for which coremltools keeps a symbol of an input have the same symbol here.
fn keeps_symbols(have: &Type, want: &Type) -> bool {
    let shape = |t: &Type| t.tensor().and_then(|t| t.shape.clone()).unwrap_or_default();
    shape(have).iter().zip(&shape(want)).all(|(h, w)| !matches!(w, Dim::Expr(_)) || h == w)
}

/// The constant; zeros where the case does not say more.
fn constant(ty: &Type, value: &Value) -> Tensor {
    let (dtype, dims) = match ty {
        Type::Tensor(t) => (t.dtype, t.known_dims().unwrap()),
        Type::List { element, length } => (element.dtype, [length.unwrap()].into_iter().collect()),
        other => panic!("a constant of type {other}"),
    };
    let mut flat = Vec::new();
    flatten(value, &mut flat);
    if dtype == DType::String {
        let texts: Vec<_> = flat.iter().map(|v| v.as_str().unwrap().into()).collect();
        return Tensor::new(dtype, dims, Payload::Strings(texts.into())).unwrap();
    }
    let number = |v: &Value| v.as_f64().or(v.as_bool().map(f64::from)).unwrap();
    let numbers: Vec<f64> = flat.into_iter().filter(|v| !v.is_null()).map(number).collect();
    if !numbers.is_empty()
        && let Ok(t) = Tensor::from_f64s(dtype, &dims, &numbers)
    {
        return t;
    }
    let count: u64 = dims.iter().product();
    let bytes = (count * u64::from(dtype.bits())).div_ceil(8);
    Tensor::new(dtype, dims, vec![0u8; bytes as usize]).unwrap()
}

fn flatten<'a>(v: &'a Value, out: &mut Vec<&'a Value>) {
    match v {
        Value::Array(items) => items.iter().for_each(|v| flatten(v, out)),
        v => out.push(v),
    }
}

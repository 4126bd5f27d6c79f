//! Features in `.json` files.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use anewrite_interp::{Array, Dict, Value};
use anewrite_tensor::DType;
use serde_json::{Map, Number, Value as Json};

use super::{Features, bad};
use crate::Error;

pub(super) fn read(path: &Path, file: impl Read) -> Result<Features, Error> {
    let json: Map<String, Json> = serde_json::from_reader(file).map_err(|e| bad(path, "", e.to_string()))?;
    json.into_iter()
        .map(|(name, v)| {
            let value = value(&v).map_err(|why| bad(path, &name, why))?;
            Ok((name, value))
        })
        .collect()
}

fn value(json: &Json) -> Result<Value, String> {
    match json {
        Json::Object(map) => {
            let keys = map.keys().map(|k| Arc::from(k.as_str())).collect();
            let values: Option<Vec<f64>> = map.values().map(Json::as_f64).collect();
            let values = values.ok_or("a dictionary holds a number for each key")?;
            let n = map.len() as u64;
            let fail = |e: anewrite_interp::EvalError| e.to_string();
            let keys = Array::texts([n], keys).map_err(fail)?;
            let values = Array::new(DType::F64, [n], values).map_err(fail)?;
            Ok(Value::Dict(Dict { keys, values }))
        }
        other => array(other).map(Value::from),
    }
}

fn array(json: &Json) -> Result<Array, String> {
    let mut dims = Vec::new();
    let mut at = json;
    while let Json::Array(items) = at {
        dims.push(items.len() as u64);
        match items.first() {
            Some(first) => at = first,
            None => break,
        }
    }
    let mut leaves = Vec::new();
    flatten(json, &dims, &mut leaves)?;
    let fail = |e: anewrite_interp::EvalError| e.to_string();
    if leaves.iter().any(|j| j.is_string() && number(j).is_none()) {
        let texts: Option<Vec<Arc<str>>> = leaves.iter().map(|j| j.as_str().map(Arc::from)).collect();
        return Array::texts(dims, texts.ok_or("texts among numbers")?).map_err(fail);
    }
    if !leaves.is_empty() && leaves.iter().all(|j| j.is_boolean()) {
        let flags = leaves.iter().map(|j| j.as_bool() == Some(true)).collect();
        return Array::new::<bool>(DType::Bool, dims, flags).map_err(fail);
    }
    if let Some(ints) = leaves.iter().map(|j| j.as_i64()).collect::<Option<Vec<i64>>>() {
        return Array::new(DType::I64, dims, ints).map_err(fail);
    }
    let numbers: Option<Vec<f64>> = leaves.iter().map(|j| number(j)).collect();
    Array::new(DType::F64, dims, numbers.ok_or("numbers, truth values or texts are needed")?).map_err(fail)
}

/// JSON has no infinities and no NaN, so they are texts.
fn number(json: &Json) -> Option<f64> {
    match json {
        Json::String(s) => match s.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        other => other.as_f64(),
    }
}

fn flatten<'a>(json: &'a Json, dims: &[u64], out: &mut Vec<&'a Json>) -> Result<(), String> {
    match (json, dims) {
        (Json::Array(items), [n, rest @ ..]) if items.len() as u64 == *n => {
            items.iter().try_for_each(|item| flatten(item, rest, out))
        }
        (Json::Array(_), _) => Err("the lists are not of the same length".into()),
        (leaf, []) => {
            out.push(leaf);
            Ok(())
        }
        _ => Err("the lists are not of the same depth".into()),
    }
}

pub(super) fn write(path: &Path, out: impl Write, features: &[(&String, &Value)]) -> Result<(), Error> {
    let mut map = Map::new();
    for (name, v) in features {
        map.insert((*name).clone(), to_json(v).map_err(|e| bad(path, name, e.to_string()))?);
    }
    serde_json::to_writer_pretty(out, &map).map_err(|e| bad(path, "", e.to_string()))
}

fn to_json(v: &Value) -> Result<Json, anewrite_interp::EvalError> {
    match v {
        Value::Tensor(a) => nested(a),
        Value::State(s) => nested(&s.get()),
        Value::Dict(d) => {
            let keys = leaves(&d.keys)?;
            let values = leaves(&d.values)?;
            let key = |k: Json| match k {
                Json::String(s) => s,
                other => other.to_string(),
            };
            Ok(Json::Object(keys.into_iter().map(key).zip(values).collect()))
        }
        Value::List(l) => {
            let items = l.items.iter().map(|i| i.as_ref().map_or(Ok(Json::Null), nested));
            Ok(Json::Array(items.collect::<Result<_, _>>()?))
        }
    }
}

fn nested(a: &Array) -> Result<Json, anewrite_interp::EvalError> {
    let mut level = leaves(a)?;
    if a.is_empty() {
        return Ok(Json::Array(Vec::new()));
    }
    for &d in a.dims().iter().rev() {
        let mut rest = level.into_iter();
        let mut next = Vec::new();
        loop {
            let row: Vec<Json> = rest.by_ref().take(d as usize).collect();
            if row.is_empty() {
                break;
            }
            next.push(Json::Array(row));
        }
        level = next;
    }
    Ok(level.into_iter().next().unwrap_or(Json::Null))
}

fn leaves(a: &Array) -> Result<Vec<Json>, anewrite_interp::EvalError> {
    if let Some(texts) = a.as_texts() {
        return Ok(texts.iter().map(|t| Json::String(t.to_string())).collect());
    }
    if let Some(flags) = a.items::<bool>() {
        return Ok(flags.iter().map(|&b| Json::Bool(b)).collect());
    }
    if let Some(ints) = a.items::<i64>() {
        return Ok(ints.iter().map(|&n| Json::from(n)).collect());
    }
    let name = |x: f64| match x {
        _ if x.is_nan() => "nan",
        _ if x > 0.0 => "inf",
        _ => "-inf",
    };
    let json = |x: f64| Number::from_f64(x).map_or_else(|| Json::from(name(x)), Json::Number);
    Ok(a.to_f64s()?.into_iter().map(json).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_lists_keep_their_shape_and_what_json_lacks() {
        let json: Json = serde_json::from_str(r#"[[1, -2.5, "inf"], [0, "nan", "-inf"]]"#).unwrap();
        let a = array(&json).unwrap();
        assert_eq!(a.dims(), [2, 3]);
        let back = nested(&a).unwrap();
        assert_eq!(back.to_string(), r#"[[1.0,-2.5,"inf"],[0.0,"nan","-inf"]]"#);
        assert!(array(&serde_json::from_str("[[1], [2, 3]]").unwrap()).is_err());
    }
}

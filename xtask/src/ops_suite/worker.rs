//! Predictions asked line by line: what the pytest plugin talks to.
//!
//! A request is a line of JSON, followed by the arrays that it names as doubles or 64-bit integers; so is an answer.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, Read, Write};

use anewrite::{Features, Model, RunOptions, Runner};
use anewrite_interp::{Arithmetic, Array, Data, Options, Value};
use anewrite_tensor::DType;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    /// A model at a path; it gets a number.
    Open(String),
    /// The number of a model that is no longer needed.
    Close(u64),
    /// The number of a model to run.
    #[serde(untagged)]
    Predict { predict: u64, function: Option<String>, inputs: Vec<Feature> },
}

/// A feature's name, and its text or what array follows.
#[derive(Deserialize, Serialize)]
struct Feature {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// `f8` or `i8`: what the elements are sent as.
    #[serde(default)]
    wide: String,
    #[serde(default)]
    shape: Vec<u64>,
    /// The dtype that the model gives it, as numpy calls it.
    #[serde(default)]
    dtype: String,
}

pub(super) fn serve() -> anyhow::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut models = HashMap::new();
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut payload = Vec::new();
        let request: Request = serde_json::from_str(&line).with_context(|| format!("the request {line}"))?;
        let answer = match request {
            Request::Open(path) => open(&mut models, &path),
            Request::Close(handle) => {
                models.remove(&handle);
                Ok(json!({}))
            }
            Request::Predict { predict, function, inputs } => {
                let mut given = Features::new();
                for f in inputs {
                    let value = received(&mut input, &f)?;
                    given.insert(f.name, value);
                }
                match models.get(&predict) {
                    Some(model) => guarded(|| answer(model, function, &given, &mut payload)),
                    None => Err(anyhow::anyhow!("there is no model {predict}")),
                }
            }
        };
        let answer = answer.unwrap_or_else(|e| {
            payload.clear();
            json!({ "error": format!("{e:#}") })
        });
        writeln!(output, "{answer}")?;
        output.write_all(&payload)?;
        output.flush()?;
    }
}

fn open(models: &mut HashMap<u64, Model>, path: &str) -> anyhow::Result<serde_json::Value> {
    let model = guarded(|| Ok(Model::open(path)?))?;
    let handle = models.keys().max().map_or(1, |n| n + 1);
    models.insert(handle, model);
    Ok(json!({ "handle": handle }))
}

/// A panic is a failure of one test, not the end of the suite.
fn guarded<T>(f: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(done) => done,
        Err(_) => bail!("it panicked"),
    }
}

fn received(input: &mut impl Read, f: &Feature) -> anyhow::Result<Value> {
    if let Some(text) = &f.text {
        return Ok(Array::texts([], vec![text.as_str().into()])?.into());
    }
    let count: u64 = f.shape.iter().product();
    let mut bytes = vec![0; usize::try_from(count)? * 8];
    input.read_exact(&mut bytes)?;
    let words = bytes.as_chunks::<8>().0;
    let dims = f.shape.iter().copied();
    Ok(match f.wide.as_str() {
        "i8" => Array::new(DType::I64, dims, words.iter().map(|w| i64::from_le_bytes(*w)).collect())?,
        _ => Array::new(DType::F64, dims, words.iter().map(|w| f64::from_le_bytes(*w)).collect())?,
    }
    .into())
}

fn answer(
    model: &Model,
    function: Option<String>,
    inputs: &Features,
    payload: &mut Vec<u8>,
) -> anyhow::Result<serde_json::Value> {
    let evaluator = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
    let mut runner = Runner::new(model, &RunOptions { evaluator, function })?;
    let outputs = runner.predict(inputs)?;
    let mut kinds = BTreeSet::new();
    for part in model.parts() {
        kinds.extend(part.program.all_ops().map(|op| part.program.op(op).kind.to_string()));
    }
    let mut send = |features: &Features| -> anyhow::Result<Vec<serde_json::Value>> {
        features.iter().map(|(name, value)| sent(name, value, payload)).collect()
    };
    let outputs = send(&outputs)?;
    let states = send(&runner.states())?;
    Ok(json!({ "outputs": outputs, "states": states, "kinds": kinds }))
}

fn sent(name: &str, value: &Value, payload: &mut Vec<u8>) -> anyhow::Result<serde_json::Value> {
    let array = match value {
        Value::Tensor(a) => a,
        Value::Dict(d) => {
            let numbers = d.values.to_f64s()?;
            let keys: Vec<serde_json::Value> = match d.keys.as_texts() {
                Some(texts) => texts.iter().map(|t| json!(**t)).collect(),
                None => d.keys.to_i64s()?.into_iter().map(|k| json!(k)).collect(),
            };
            let entries: Vec<_> = keys.into_iter().zip(numbers).collect();
            return Ok(json!({ "name": name, "dict": entries }));
        }
        other => bail!("the output {name} is {other:?}"),
    };
    if let Some(texts) = array.as_texts() {
        let texts: Vec<&str> = texts.iter().map(|t| &**t).collect();
        return Ok(json!({ "name": name, "value": texts.first() }));
    }
    let wide = match array.data() {
        Data::F32(_) | Data::F64(_) => {
            payload.extend(array.to_f64s()?.into_iter().flat_map(f64::to_le_bytes));
            "f8"
        }
        _ => {
            payload.extend(array.to_i64s()?.into_iter().flat_map(i64::to_le_bytes));
            "i8"
        }
    };
    let dtype = match array.dtype() {
        DType::F64 => "float64",
        // nothing is rounded to fp16 here, so that the results keep their digits
        d if d.is_float() => "float32",
        DType::Bool => "bool",
        DType::I64 => "int64",
        _ => "int32",
    };
    Ok(json!({ "name": name, "wide": wide, "shape": array.dims(), "dtype": dtype }))
}

//! Cases for a Mac: inputs in files, and a script that compares two models on them under Core ML.

use std::fs;
use std::path::{Path, PathBuf};

use anewrite_convert::{Color, FeatureKind, Interface};
use anewrite_interp::{Array, Value};
use anewrite_tensor::DType;
use serde::Serialize;

use crate::features::{Features, write_features};
use crate::verify::{VerifyOptions, model_cases};
use crate::{Error, Model};

/// The script, which needs coremltools and numpy.
const SCRIPT: &str = include_str!("compare_on_mac.py");

/// The list of cases, as the script reads it.
#[derive(Serialize)]
struct List {
    version: u32,
    images: Vec<String>,
    cases: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    label: String,
    function: Option<String>,
    /// Files of each prediction; states live on between them.
    steps: Vec<Vec<String>>,
}

/// Writes the inputs that [`verify`](crate::verify) compares two models on into a folder, with a Python script that
/// runs both models on them under Core ML, on the CPU and on the engine, and compares what they give. The first model
/// says what the inputs are. Returns the files that were written.
///
/// # Errors
/// Where a file cannot be written, and for a pipeline without inputs of the user's: random ones are made for networks.
pub fn export_cases(
    model: &Model,
    options: &VerifyOptions,
    folder: impl AsRef<Path>,
) -> Result<Vec<PathBuf>, Error> {
    let folder = folder.as_ref();
    let fail = |path: &Path, e: std::io::Error| Error::Features { path: path.to_owned(), why: e.to_string() };
    fs::create_dir_all(folder).map_err(|e| fail(folder, e))?;
    let interface = model.document.info().interface(None);
    let images = interface.inputs.iter().filter(|f| matches!(f.kind, FeatureKind::Image { .. }));
    let mut list = List { version: 1, images: images.map(|f| f.name.clone()).collect(), cases: Vec::new() };
    let mut written = Vec::new();
    for (n, case) in cases(model, options, &interface)?.into_iter().enumerate() {
        let mut entry = Entry { label: case.label, function: case.function, steps: Vec::new() };
        for (step, features) in case.steps.iter().enumerate() {
            let files = write_features(folder.join(format!("case{n}.{step}.npz")), features)?;
            entry
                .steps
                .push(files.iter().filter_map(|f| Some(f.file_name()?.to_str()?.to_owned())).collect());
            written.extend(files);
        }
        list.cases.push(entry);
    }
    let index = folder.join("cases.json");
    let text = serde_json::to_vec_pretty(&list).map_err(|e| fail(&index, e.into()))?;
    fs::write(&index, text).map_err(|e| fail(&index, e))?;
    let script = folder.join("compare_on_mac.py");
    fs::write(&script, SCRIPT).map_err(|e| fail(&script, e))?;
    written.extend([index, script]);
    Ok(written)
}

/// One case as an application would give it.
struct Plain {
    label: String,
    function: Option<String>,
    steps: Vec<Features>,
}

fn cases(model: &Model, options: &VerifyOptions, interface: &Interface) -> Result<Vec<Plain>, Error> {
    if !options.inputs.is_empty() {
        let one =
            |steps: Vec<Features>, n: usize| Plain { label: format!("inputs {n}"), function: None, steps };
        if !interface.states.is_empty() {
            return Ok(vec![one(options.inputs.clone(), 1)]);
        }
        return Ok(options.inputs.iter().enumerate().map(|(n, f)| one(vec![f.clone()], n + 1)).collect());
    }
    let [part] = model.parts() else { return Err(needs_inputs()) };
    if !part.path.is_empty() {
        return Err(needs_inputs());
    }
    let several = part.program.functions().count() > 1;
    let mut out = Vec::new();
    for case in model_cases(part, options) {
        let interface = model.document.info().interface(several.then_some(&case.function));
        let mut steps = Vec::with_capacity(case.steps.len());
        for inputs in case.steps {
            let mut features = Features::new();
            for (name, value) in inputs {
                let described = interface.inputs.iter().find(|f| *f.name == *name);
                let value = match (described.map(|f| &f.kind), value) {
                    (Some(FeatureKind::Image { color, .. }), Value::Tensor(a)) => pixels(&a, *color)?,
                    (Some(FeatureKind::Array { dtype: Some(d), .. }), Value::Tensor(a)) => retyped(&a, *d)?,
                    (_, value) => value,
                };
                features.insert(name.to_string(), value);
            }
            steps.push(features);
        }
        let function = several.then_some(case.function);
        out.push(Plain { label: case.label, function, steps });
    }
    Ok(out)
}

fn needs_inputs() -> Error {
    Error::Interface("cases for a pipeline can be exported with --inputs only".into())
}

/// An image `[1, C, H, W]` of the network as `[H, W, C]`, red first.
fn pixels(a: &Array, color: Color) -> Result<Value, Error> {
    let items = a.to_f64s().map_err(shape)?;
    let (h, w) = match a.dims() {
        [.., h, w] => (*h, *w),
        _ => return Err(Error::Interface(format!("{a:?} is no image"))),
    };
    let plane = (h * w) as usize;
    let channels = items.len().checked_div(plane).unwrap_or(0);
    let mut out = Vec::with_capacity(items.len());
    for at in 0..plane {
        for c in 0..channels {
            let from = if color == Color::Bgr { channels - 1 - c } else { c };
            out.push(items.get(from * plane + at).map_or(0, |&x| x as i64));
        }
    }
    Ok(Array::new(DType::U8, [h, w, channels as u64], out).map_err(shape)?.into())
}

/// The same numbers in the dtype of the description.
fn retyped(a: &Array, dtype: DType) -> Result<Value, Error> {
    let dims = a.dims().iter().copied();
    let a = match (dtype.is_float(), a.dtype().is_float()) {
        (true, _) => Array::new::<f64>(dtype, dims, a.to_f64s().map_err(shape)?),
        (false, _) => {
            Array::new::<i64>(dtype, dims, a.to_f64s().map_err(shape)?.iter().map(|&x| x as i64).collect())
        }
    };
    Ok(a.map_err(shape)?.into())
}

fn shape(e: anewrite_interp::EvalError) -> Error {
    Error::Interface(e.to_string())
}

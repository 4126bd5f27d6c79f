//! `anewrite run`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anewrite::{
    Arithmetic, EvaluatorOptions, Features, Intermediates, Model, RangeWatch, Ranges, Recorder, RunOptions,
    Runner, Value,
};

use super::{json, stdout};
use crate::args::{Format, Run};
use crate::fail::Failure;

pub(crate) fn run(args: &Run) -> Result<ExitCode, Failure> {
    let model = Model::open(&args.model)?;
    let arithmetic = Arithmetic::from_name(&args.arithmetic).unwrap_or_default();
    let options = RunOptions {
        evaluator: EvaluatorOptions { arithmetic, memory: args.memory, seed: args.seed },
        function: args.function.clone(),
    };
    let mut runner = Runner::new(&model, &options)?;
    let mut recorder = Recorder { ranges: args.ranges.then(RangeWatch::new), intermediates: None };
    let mut written = Vec::new();
    let mut last = Features::new();
    for (i, files) in args.inputs.iter().enumerate() {
        let mut inputs = Features::new();
        for file in files.split(',') {
            inputs.extend(anewrite::read_features(file)?);
        }
        recorder.intermediates = args.intermediates.then(Intermediates::default);
        let outputs = runner.watch(&inputs, &mut recorder)?;
        let mut all = recorder.intermediates.take().map(|kept| kept.values).unwrap_or_default();
        all.extend(outputs.clone());
        if let Some(path) = &args.output {
            written.extend(anewrite::write_features(numbered(path, i), &all)?);
        }
        last = outputs;
    }
    let ranges = recorder.ranges.map(RangeWatch::into_ranges);
    let mut out = stdout();
    match (args.format, &ranges) {
        (Format::Json, Some(ranges)) => json(&mut out, ranges)?,
        (Format::Json, None) => {}
        (Format::Text, ranges) => {
            for (name, value) in &last {
                writeln!(out, "{name}: {}", summary(value))?;
            }
            if let Some(ranges) = ranges {
                print_ranges(&mut out, ranges)?;
            }
            for path in &written {
                writeln!(out, "wrote {}", path.display())?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Where the outputs of prediction `i` go.
fn numbered(path: &Path, i: usize) -> PathBuf {
    match (i, path.extension().and_then(|e| e.to_str())) {
        (0, _) | (_, None) => path.to_owned(),
        (i, Some(e)) => path.with_extension(format!("{i}.{e}")),
    }
}

fn summary(v: &Value) -> String {
    match v {
        Value::Tensor(a) if a.as_texts().is_some() => match a.as_texts() {
            Some([one]) => format!("{one:?}"),
            _ => a.ty().to_string(),
        },
        Value::Tensor(a) => match a.to_f64s() {
            Ok(items) if items.len() == 1 => format!("{} = {}", a.ty(), items[0]),
            Ok(items) if !items.is_empty() => {
                let min = items.iter().copied().fold(f64::INFINITY, f64::min);
                let max = items.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                format!("{} from {min:.6} to {max:.6}", a.ty())
            }
            _ => a.ty().to_string(),
        },
        Value::Dict(d) => match d.values.to_f64s() {
            Ok(values) => {
                let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                format!("{} labels, the greatest at {most:.6}", values.len())
            }
            Err(_) => "a dictionary".into(),
        },
        other => other.ty().to_string(),
    }
}

fn print_ranges(out: &mut dyn Write, ranges: &Ranges) -> Result<(), Failure> {
    let hazardous: Vec<_> =
        ranges.values.iter().map(|v| (v, v.hazards())).filter(|(_, h)| !h.is_empty()).collect();
    writeln!(
        out,
        "{} values of floats, {} with something that fp16 cannot hold",
        ranges.values.len(),
        hazardous.len()
    )?;
    for (v, hazards) in hazardous {
        let part = if v.part.is_empty() { String::new() } else { format!("{}: ", v.part) };
        writeln!(
            out,
            "  {part}{} ({}): {:.6} to {:.6}; {}",
            v.name,
            v.kind,
            v.min,
            v.max,
            hazards.join(", ")
        )?;
    }
    Ok(())
}

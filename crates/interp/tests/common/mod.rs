//! The golden cases of testdata/ops: read, made into programs, and compared.

use std::fmt;
use std::path::Path;

use anewrite_interp::{Arithmetic, Array, Data, EvalError, Evaluator, Options, Value};
use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::{Builder, Const, ConstOrigin, DialectId, Opset, Place, Program, Str, TensorType, ValueId};
use anewrite_tensor::{DType, Payload, Tensor};
use half::f16;
use serde::Deserialize;
use serde_json::Value as Json;

/// One case; `make_ops.py` beside the files says what the fields mean.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) op: String,
    #[serde(default)]
    pub(crate) also: Vec<String>,
    #[serde(default)]
    pub(crate) opset: String,
    pub(crate) truth: String,
    pub(crate) within: Within,
    #[serde(rename = "in")]
    pub(crate) inputs: Vec<(String, Numbers)>,
    #[serde(default, rename = "const")]
    pub(crate) constants: Vec<(String, Numbers)>,
    #[serde(default)]
    pub(crate) out: Vec<Numbers>,
    /// A whole function in the text form.
    pub(crate) text: Option<String>,
    /// It must be refused.
    #[serde(default)]
    pub(crate) fails: bool,
    /// Any result does, but no crash.
    #[serde(default)]
    pub(crate) free: bool,
    /// Bounds of a distribution.
    pub(crate) chance: Option<Chance>,
    /// Labels of a classifier.
    #[serde(default)]
    pub(crate) classes: Vec<String>,
    /// Runs that share states.
    pub(crate) steps: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Within {
    Exact,
    Rounded,
    Sum,
    Curve,
    Cancelling,
}

#[derive(Deserialize)]
pub(crate) struct Chance {
    pub(crate) shape: Vec<u64>,
    pub(crate) dtype: String,
    #[serde(default)]
    pub(crate) distinct: usize,
    pub(crate) mean: Option<(f64, f64)>,
    pub(crate) var: Option<(f64, f64)>,
    pub(crate) least: Option<(f64, f64)>,
    pub(crate) most: Option<(f64, f64)>,
    pub(crate) values: Option<Vec<f64>>,
    pub(crate) rows: Option<Vec<Vec<f64>>>,
}

/// Element type, extents, elements.
#[derive(Deserialize)]
pub(crate) struct Numbers(String, Vec<u64>, Vec<Json>);

impl Numbers {
    pub(crate) fn dtype(&self) -> DType {
        DType::from_name(&self.0).unwrap_or_else(|| panic!("element type {}", self.0))
    }

    fn texts(&self) -> Vec<std::sync::Arc<str>> {
        self.2.iter().map(|v| v.as_str().unwrap().into()).collect()
    }

    pub(crate) fn values(&self) -> Vec<f64> {
        let number = |v: &Json| match v {
            Json::Bool(b) => f64::from(u8::from(*b)),
            Json::String(s) => match &**s {
                "nan" => f64::NAN,
                "inf" => f64::INFINITY,
                "-inf" => f64::NEG_INFINITY,
                "-0" => -0.0,
                other => panic!("{other} is no number"),
            },
            v => v.as_f64().unwrap(),
        };
        self.2.iter().map(number).collect()
    }

    /// Whether a result of this type may have these extents.
    pub(crate) fn fits(&self, ty: &TensorType) -> bool {
        let extents = |s: &[anewrite_ir::Dim]| {
            s.len() == self.1.len() && s.iter().zip(&self.1).all(|(d, n)| d.known().is_none_or(|d| d == *n))
        };
        ty.dtype == self.dtype() && ty.shape.as_ref().is_none_or(|s| extents(s))
    }

    fn ty(&self) -> TensorType {
        TensorType::fixed(self.dtype(), self.1.iter().copied())
    }

    fn tensor(&self) -> Tensor {
        let dtype = self.dtype();
        if dtype == DType::String {
            return Tensor::new(dtype, self.1.iter().copied(), Payload::Strings(self.texts().into()))
                .unwrap();
        }
        let values = self.values();
        if dtype.bits() < 8 {
            let (bits, mut bytes) =
                (dtype.bits() as usize, vec![0u8; (values.len() * dtype.bits() as usize).div_ceil(8)]);
            for (i, v) in values.iter().enumerate() {
                for k in (0..bits).filter(|k| (*v as i64) >> k & 1 == 1) {
                    bytes[(i * bits + k) / 8] |= 1 << ((i * bits + k) % 8);
                }
            }
            return Tensor::new(dtype, self.1.iter().copied(), bytes).unwrap();
        }
        Tensor::from_f64s(dtype, &self.1, &values).unwrap()
    }

    fn array(&self) -> Array {
        let (dtype, dims, values) = (self.dtype(), self.1.iter().copied(), self.values());
        match dtype {
            DType::Bool => Array::new(dtype, dims, values.iter().map(|v| *v != 0.0).collect()),
            d if d.is_float() => Array::new(dtype, dims, values.iter().map(|v| round_to(*v, d)).collect()),
            _ => Array::new(dtype, dims, values.iter().map(|v| *v as i64).collect()),
        }
        .unwrap()
    }
}

pub(crate) fn round_to(v: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::from(f16::from_f64(v)),
        DType::F32 => f64::from(v as f32),
        _ => v,
    }
}

/// The cases of every group.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/ops");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    let read = |f: &std::path::PathBuf| -> Vec<Case> {
        let text = std::fs::read_to_string(f).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", f.display()))
    };
    files.iter().flat_map(read).collect()
}

impl Case {
    /// The kinds of ops that the case tells something about.
    pub(crate) fn ops(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.op).chain(self.also.iter().map(|s| &**s))
    }

    pub(crate) fn program(&self) -> Result<Program, String> {
        if let Some(text) = &self.text {
            return anewrite_ir::text::parse(text).map_err(|e| format!("the text: {e}"));
        }
        let opset = Opset::from_name(&self.opset).unwrap();
        let mut p = Program::new(DialectId::Mil);
        let (_, body) = p.add_function("main", &self.opset);
        let mut args: Vec<(&str, ValueId)> = Vec::new();
        for (i, (param, n)) in self.inputs.iter().enumerate() {
            args.push((param, p.add_arg(body, &format!("x{i}"), n.ty().into())));
        }
        for (i, (param, n)) in self.constants.iter().enumerate() {
            let data = Const { tensor: n.tensor(), origin: ConstOrigin::New, sealed: false };
            args.push((param, p.add_const(body, &format!("k{i}"), data)));
        }
        let (mut facts, mut dims) = (Facts::default(), DimTable::default());
        let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, opset, Place::End(body));
        let results = b.op_with(&self.op, &args, Vec::new()).map_err(|e| format!("inference: {e}"))?;
        results.iter().for_each(|&r| p.add_output(body, r));
        Ok(p)
    }

    pub(crate) fn run(&self, arithmetic: Arithmetic) -> Result<Vec<Value>, String> {
        let p = self.program()?;
        let mut evaluator = Evaluator::new(&p, Options { arithmetic, ..Options::default() });
        let mut out = Err("no step".to_owned());
        for _ in 0..self.steps.unwrap_or(1) {
            let name = |i: usize, n: &str| if self.text.is_some() { n.to_owned() } else { format!("x{i}") };
            let inputs = self.inputs.iter().enumerate();
            let inputs: Vec<(Str, Value)> =
                inputs.map(|(i, (n, v))| (Str::from(name(i, n)), v.array().into())).collect();
            let run = evaluator.run("main", inputs).map_err(|e: EvalError| e.to_string())?;
            out = Ok(run.values.into_iter().map(|(_, v)| v).collect());
        }
        out
    }

    /// Whether every float that goes in and comes out is an fp16 number, so that the engine computes on the same. Draws
    /// are counted by how many differ, of which fp16 has too few.
    pub(crate) fn in_half(&self) -> bool {
        let floats = |n: &Numbers| n.dtype().is_float() && n.dtype() != DType::F16;
        self.text.is_none()
            && self.chance.is_none()
            && !self.inputs.iter().chain(&self.constants).any(|(_, n)| floats(n))
            && !self.out.iter().any(floats)
    }

    /// Runs and compares. `Err` says what is wrong.
    pub(crate) fn check(&self, arithmetic: Arithmetic) -> Result<(), String> {
        let have = self.run(arithmetic);
        if self.fails {
            return if have.is_err() { Ok(()) } else { Err("it is not refused".into()) };
        }
        if self.free {
            return Ok(());
        }
        let have = have?;
        if let Some(chance) = &self.chance {
            return chance.check(have.first().ok_or("no result")?);
        }
        if !self.classes.is_empty() {
            return self.classified(&have);
        }
        if have.len() != self.out.len() {
            return Err(format!("{} results, not {}", have.len(), self.out.len()));
        }
        for (i, (have, want)) in have.iter().zip(&self.out).enumerate() {
            let a = have.tensor().map_err(|e| format!("result {i}: {e}"))?;
            compare(a, want, self.within, arithmetic).map_err(|e| format!("result {i}: {e}"))?;
        }
        Ok(())
    }

    fn classified(&self, have: &[Value]) -> Result<(), String> {
        let [Value::Tensor(label), Value::Dict(dict)] = have else { return Err(format!("{have:?}")) };
        let texts = |a: &Array| -> Vec<String> {
            a.as_texts().unwrap_or_default().iter().map(|s| s.to_string()).collect()
        };
        let numbers = dict.values.to_f64s().map_err(|e| e.to_string())?;
        let near = numbers.iter().zip(self.inputs[0].1.values()).all(|(h, w)| (h - w).abs() < 1e-6);
        let right =
            texts(label) == [self.out[0].texts()[0].to_string()] && texts(&dict.keys) == self.classes && near;
        if right { Ok(()) } else { Err(format!("{:?} {:?} {numbers:?}", texts(label), texts(&dict.keys))) }
    }
}

/// Relative to the element, and to the largest of the result.
fn tolerance(within: Within, arithmetic: Arithmetic) -> (f64, f64) {
    match (within, arithmetic) {
        (Within::Exact | Within::Rounded, Arithmetic::Fp64 | Arithmetic::Fp32) => (0.0, 0.0),
        (Within::Sum, Arithmetic::Fp64) => (1e-11, 1e-11),
        (Within::Curve, Arithmetic::Fp64) => (1e-9, 1e-11),
        (Within::Cancelling, Arithmetic::Fp64) => (1e-6, 1e-6),
        (Within::Sum, Arithmetic::Fp32) => (2e-6, 1e-6),
        (Within::Curve, Arithmetic::Fp32) => (5e-6, 1e-6),
        (Within::Cancelling, _) => (0.1, 0.1),
        (Within::Exact, Arithmetic::Ane16(_)) => (0.0, 0.0),
        // half a unit of the last of 11 bits, and twice that where a curve is read from a table or has steps
        (Within::Rounded | Within::Sum, Arithmetic::Ane16(_)) => (f64::exp2(-11.0) * 1.01, f64::exp2(-13.0)),
        (Within::Curve, Arithmetic::Ane16(_)) => (f64::exp2(-9.0), f64::exp2(-10.0)),
    }
}

fn compare(have: &Array, want: &Numbers, within: Within, arithmetic: Arithmetic) -> Result<(), String> {
    let dtype = want.dtype();
    if have.dtype() != dtype || have.dims() != want.1 {
        return Err(format!("{:?} {:?}, not {dtype:?} {:?}", have.dtype(), have.dims(), want.1));
    }
    let exact = within == Within::Exact || !dtype.is_float();
    let (relative, absolute) = tolerance(if exact { Within::Exact } else { within }, arithmetic);
    // what the arithmetic can hold at all
    let held = match arithmetic {
        Arithmetic::Fp64 => DType::F64,
        Arithmetic::Fp32 => DType::F32,
        Arithmetic::Ane16(_) => DType::F16,
    };
    let have = match have.data() {
        Data::Text(_) => return Err("text".into()),
        _ => have.to_f64s().map_err(|e| e.to_string())?,
    };
    let rounded = exact || within == Within::Rounded;
    let want: Vec<f64> =
        want.values().iter().map(|v| if rounded { round_to(*v, dtype) } else { *v }).collect();
    let want: Vec<f64> =
        want.iter().map(|v| if dtype.is_float() && !exact { round_to(*v, held) } else { *v }).collect();
    let scale = want.iter().filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
    for (i, (&h, &w)) in have.iter().zip(&want).enumerate() {
        let h = if within == Within::Rounded && dtype.is_float() { round_to(h, dtype) } else { h };
        let near = (h - w).abs()
            <= relative * w.abs() + absolute * scale.max(f64::MIN_POSITIVE) + least(arithmetic, relative);
        let same = if exact && dtype.is_float() { h.to_bits() == w.to_bits() } else { h == w };
        if !(same || (h.is_nan() && w.is_nan()) || (!exact && near)) {
            return Err(format!("element {i} is {h:e}, not {w:e}"));
        }
    }
    Ok(())
}

/// Below this, results vanish.
fn least(arithmetic: Arithmetic, relative: f64) -> f64 {
    match arithmetic {
        _ if relative == 0.0 => 0.0,
        Arithmetic::Fp64 => f64::MIN_POSITIVE,
        Arithmetic::Fp32 => f64::from(f32::MIN_POSITIVE),
        Arithmetic::Ane16(_) => f64::exp2(-24.0),
    }
}

impl Chance {
    fn check(&self, have: &Value) -> Result<(), String> {
        let a = have.tensor().map_err(|e| e.to_string())?;
        if a.dims() != self.shape || Some(a.dtype()) != DType::from_name(&self.dtype) {
            return Err(format!("{:?} {:?}", a.dtype(), a.dims()));
        }
        let v = a.to_f64s().map_err(|e| e.to_string())?;
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64;
        let low = v.iter().copied().fold(f64::INFINITY, f64::min);
        let high = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (what, have, bounds) in [
            ("mean", mean, self.mean),
            ("variance", var, self.var),
            ("least", low, self.least),
            ("most", high, self.most),
        ] {
            if let Some((from, to)) = bounds
                && !(from..=to).contains(&have)
            {
                return Err(format!("the {what} is {have}, not between {from} and {to}"));
            }
        }
        let mut bits: Vec<u64> = v.iter().map(|x| x.to_bits()).collect();
        bits.sort_unstable();
        bits.dedup();
        if bits.len() < self.distinct {
            return Err(format!("{} different numbers", bits.len()));
        }
        if let Some(allowed) = &self.values
            && let Some(x) = v.iter().find(|x| !allowed.contains(x))
        {
            return Err(format!("{x} is none of {allowed:?}"));
        }
        for (row, shares) in
            v.chunks(self.shape[self.shape.len() - 1] as usize).zip(self.rows.iter().flatten())
        {
            for (k, &share) in shares.iter().enumerate() {
                let have = row.iter().filter(|&&x| x == k as f64).count() as f64 / row.len() as f64;
                if (have - share).abs() > 0.04 {
                    return Err(format!("class {k} has {have} of the draws, not {share}"));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0, self.1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {})", self.name, self.truth)
    }
}

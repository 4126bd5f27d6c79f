//! The inputs that whole models are compared on.

use anewrite_interp::Value;
use anewrite_ir::dims::DimValues;
use anewrite_ir::infer::Inferred;
use anewrite_ir::{BlockId, Dim, Program, Str, ValueId};
use anewrite_nn::Mapping;
use anewrite_tensor::DType;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustc_hash::FxHashMap;

use crate::cost::peak;
use crate::domain::{Domain, infer};
use crate::fill::{Fill, array};
use crate::model::{Mode, ModelOptions, body_ops, work};
use crate::shapes::{Input, Setting, settings};

/// Inputs for a function of a model, for one run or for several in a row.
#[derive(Clone, Debug)]
pub struct Case {
    /// The function.
    pub function: String,
    /// In words.
    pub label: String,
    /// The inputs of each run by name; states live on between them.
    pub steps: Vec<Vec<(Str, Value)>>,
    /// Whether it is also run under 16-bit arithmetic.
    pub sixteen: bool,
}

/// Makes the cases of one function.
pub(crate) struct Cases<'a> {
    pub(crate) program: &'a Program,
    pub(crate) body: BlockId,
    pub(crate) inferred: &'a Inferred,
    pub(crate) inputs: &'a [Input],
    pub(crate) function: &'a str,
    pub(crate) steps: usize,
    pub(crate) options: &'a ModelOptions,
}

/// What a mode tries in a setting: distribution, whether under 16 bits too.
fn tries(mode: Mode, setting: &str) -> &'static [(Fill, bool)] {
    match (mode, setting) {
        (Mode::Fast, "default" | "fixed") => &[(Fill::Normal, true), (Fill::Positive, false)],
        (Mode::Fast, _) => &[(Fill::Normal, false)],
        (Mode::Full, "default" | "fixed") => &[
            (Fill::Normal, true),
            (Fill::Positive, true),
            (Fill::Normal, true),
            (Fill::Few, false),
            (Fill::Large, false),
            (Fill::Tiny, false),
        ],
        (Mode::Full, _) => &[(Fill::Normal, true), (Fill::Few, false)],
    }
}

impl Cases<'_> {
    /// The cases, and the operations of each.
    pub(crate) fn make(&self, notes: &mut Vec<String>, skipped: &mut Vec<String>) -> (Vec<Case>, Vec<f64>) {
        let (mut cases, mut works) = (Vec::new(), Vec::new());
        for setting in settings(self.program, self.body, &self.inferred.facts, self.inputs, notes) {
            let values = self.values(&setting.shapes);
            let extents = |v| self.extents(&values, v);
            let domains = infer(self.program, &self.all_ops(), &extents);
            if cases.is_empty() {
                self.explain(&domains, notes);
            }
            let work = work(self.program, self.body, &extents);
            for (n, &(fill, sixteen)) in tries(self.options.mode, setting.name).iter().enumerate() {
                match self.case(&setting, &domains, fill, n as u64, sixteen) {
                    Ok(case) => {
                        cases.push(case);
                        works.push(work);
                    }
                    Err(why) => skipped.push(format!("{} {}: {why}", self.function, setting.name)),
                }
            }
        }
        (cases, works)
    }

    /// The operations of cases that were given.
    pub(crate) fn work_of(&self, cases: &[Case]) -> Vec<f64> {
        cases
            .iter()
            .map(|c| {
                let values = self.values(&self.shapes_of(c));
                work(self.program, self.body, &|v| self.extents(&values, v))
            })
            .collect()
    }

    /// About how many bytes a case takes beside the weights.
    pub(crate) fn memory_of(&self, case: &Case) -> u64 {
        let values = self.values(&self.shapes_of(case));
        peak(self.program, &body_ops(self.program, self.body), &|v| self.extents(&values, v), 8)
    }

    fn shapes_of(&self, case: &Case) -> Vec<Vec<u64>> {
        let first = case.steps.first();
        let shape = |i: &Input| {
            let given = first.and_then(|s| s.iter().find(|(n, _)| **n == *i.name));
            given.and_then(|(_, v)| Some(v.tensor().ok()?.dims().to_vec())).unwrap_or_default()
        };
        self.inputs.iter().map(shape).collect()
    }

    fn all_ops(&self) -> Vec<anewrite_ir::OpId> {
        self.program.walk(self.body).collect()
    }

    fn arg(&self, name: &str) -> Option<ValueId> {
        self.program.block(self.body).args.iter().copied().find(|&v| *self.program.value(v).name == *name)
    }

    /// The program's symbols under these shapes of the inputs.
    fn values(&self, shapes: &[Vec<u64>]) -> DimValues {
        let mut known: FxHashMap<u32, i64> = FxHashMap::default();
        let mapping = Mapping::of(self.program);
        for (input, shape) in self.inputs.iter().zip(shapes) {
            let Some(arg) = self.arg(&input.name) else { continue };
            let Some(dims) = self.inferred.facts.tensor(self.program, arg).and_then(|t| t.shape.clone())
            else {
                continue;
            };
            let shape = if dims.len() == shape.len() { shape.clone() } else { mapping.tensor_dims(shape) };
            for (d, &n) in dims.iter().zip(&shape) {
                // a symbol prints as `s` and its number
                if let Dim::Expr(e) = d
                    && let Some(symbol) =
                        self.inferred.dims.show(*e).strip_prefix('s').and_then(|s| s.parse().ok())
                {
                    known.insert(symbol, n as i64);
                }
            }
        }
        self.inferred.dims.evaluate(|n| known.get(&n).copied())
    }

    fn extents(&self, values: &DimValues, v: ValueId) -> Option<Vec<u64>> {
        if let Some(c) = self.program.constant(v) {
            return Some(c.tensor.dims().to_vec());
        }
        let t = self.inferred.facts.tensor(self.program, v)?;
        t.shape.as_ref()?.iter().map(|&d| values.dim(d)).collect()
    }

    /// Says what is known of each input, and from where.
    fn explain(&self, domains: &FxHashMap<ValueId, Domain>, notes: &mut Vec<String>) {
        for input in self.inputs {
            let domain = self.arg(&input.name).and_then(|v| domains.get(&v));
            match domain {
                _ if input.is_image => {
                    notes.push(format!("{}: whole numbers from 0 to 255, an image", input.name))
                }
                Some(d) => {
                    let kind = if d.whole { "whole numbers" } else { "numbers" };
                    notes.push(format!("{}: {kind} from {} to {} ({})", input.name, d.low, d.high, d.why));
                }
                None => {}
            }
        }
    }

    fn case(
        &self,
        setting: &Setting,
        domains: &FxHashMap<ValueId, Domain>,
        fill: Fill,
        n: u64,
        sixteen: bool,
    ) -> Result<Case, String> {
        let seed = self.options.seed.wrapping_mul(1009).wrapping_add(n);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut steps = Vec::with_capacity(self.steps);
        for _ in 0..self.steps {
            let mut inputs: Vec<(Str, Value)> = Vec::new();
            for (input, dims) in self.inputs.iter().zip(&setting.shapes) {
                let Some(arg) = self.arg(&input.name) else { continue };
                let dtype = self.inferred.facts.tensor(self.program, arg).map_or(DType::F32, |t| t.dtype);
                let image = Domain::whole(0.0, 255.0, "an image");
                let domain = if input.is_image { Some(&image) } else { domains.get(&arg) };
                let most = self.options.memory / 8;
                let a = array(&mut rng, dtype, dims, domain, fill, most).map_err(|e| e.to_string())?;
                inputs.push((self.program.value(arg).name.clone(), a.into()));
            }
            steps.push(inputs);
        }
        let shape =
            if setting.name == "fixed" { String::new() } else { format!(", {} shapes", setting.name) };
        let label = format!("{} {}{shape}, seed {seed}", self.function, fill.name());
        Ok(Case { function: self.function.to_owned(), label, steps, sixteen })
    }
}

//! The engine's knowledge as the driver's objective: the one place where the graph meets the tables.

use anewrite_ane::{Answer, Dims, Family, FamilySet, OpView, Operand, Target, Tensor, VALUE_LIMIT, Value};
use anewrite_ir::infer::Facts;
use anewrite_ir::{Attr, OpId, Opset, Program, Type, ValueId};
use anewrite_rewrite::{Comparison, Objective, Region};
use anewrite_tensor::{DType, Tensor as Constant};

/// What is good for one target.
pub(crate) struct Engine {
    target: Target,
}

impl Engine {
    pub(crate) fn new(target: Target) -> Self {
        Engine { target }
    }
}

impl Objective for Engine {
    fn limit(&self, id: &str) -> Option<u64> {
        self.target.families().iter().filter_map(|f| anewrite_ane::limit(id, f)).map(|l| l.value).min()
    }

    fn compare(&self, before: Region<'_>, after: Region<'_>) -> Comparison {
        let (old, new) = (self.answers(before), self.answers(after));
        let (mut better, mut same) = (false, Vec::new());
        for ((family, old), (_, new)) in old.into_iter().zip(new) {
            let worse = (new.refused && !old.refused) || (new.unsure && !old.unsure);
            if worse {
                let what = if new.refused { "would be refused" } else { "would be unknown" };
                return Comparison::Worse(format!("an op of the replacement {what} on {family}"));
            }
            better |= (old.refused && !new.refused) || (old.unsure && !new.unsure);
            if old == new {
                same.push((family, old));
            }
        }
        if better {
            return Comparison::Better;
        }
        let (runs, other): (Vec<_>, Vec<_>) = same.iter().partition(|(_, a)| !a.unsure);
        let list =
            |of: &[&(Family, Answers)]| of.iter().map(|(f, _)| f.to_string()).collect::<Vec<_>>().join(", ");
        Comparison::Same(match (runs.is_empty(), other.is_empty()) {
            (false, true) => format!("what stands there runs on {}", list(&runs)),
            (true, _) => format!("it would be as unsure or refused on {}", list(&other)),
            _ => format!("what stands there runs on {}; on {} nothing changes", list(&runs), list(&other)),
        })
    }
}

/// What the engine of one family does with some ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answers {
    /// One at least is known to be refused.
    refused: bool,
    /// One at least is refused or not known to run.
    unsure: bool,
}

impl Engine {
    fn answers(&self, region: Region<'_>) -> Vec<(Family, Answers)> {
        let none = Answers { refused: false, unsure: false };
        let mut out: Vec<_> = self.target.families().iter().map(|f| (f, none)).collect();
        for &op in region.ops {
            let judged =
                anewrite_ane::eligibility(&View::new(region.program, region.facts, op), &self.target);
            for (family, answers) in &mut out {
                match judged.on(*family).map(|v| v.answer()) {
                    Some(Answer::Yes) => {}
                    Some(Answer::No) => (answers.refused, answers.unsure) = (true, true),
                    _ => answers.unsure = true,
                }
            }
        }
        out
    }
}

/// One op of a program, as the tables look at it.
pub(crate) struct View<'a> {
    program: &'a Program,
    facts: &'a Facts,
    op: OpId,
}

impl<'a> View<'a> {
    pub(crate) fn new(program: &'a Program, facts: &'a Facts, op: OpId) -> Self {
        View { program, facts, op }
    }

    fn tensor(&self, value: ValueId) -> Tensor {
        match self.facts.ty(self.program, value) {
            Type::Tensor(t) | Type::State(t) => Tensor {
                dtype: Some(t.dtype),
                dims: t.shape.as_ref().map(|s| s.iter().map(|d| d.known()).collect::<Dims>()),
            },
            _ => Tensor { dtype: None, dims: None },
        }
    }

    fn is_constant(&self, value: ValueId) -> bool {
        self.program.constant(value).is_some()
            || self.program.def_op(value).is_some_and(|op| self.program.op(op).kind.starts_with("constexpr_"))
    }
}

impl OpView for View<'_> {
    fn op(&self) -> &str {
        &self.program.op(self.op).kind
    }

    fn opset(&self) -> Option<u32> {
        let f = self.program.function(self.program.func_of(self.op));
        Opset::from_name(&f.opset).map(|o| match o {
            Opset::Ios15 => 15,
            Opset::Ios16 => 16,
            Opset::Ios17 => 17,
            Opset::Ios18 => 18,
            Opset::Ios26 => 26,
        })
    }

    fn operands<'v>(&'v self, visit: &mut dyn FnMut(Operand<'v>)) {
        let mut last: Option<(&str, usize)> = None;
        for o in &self.program.op(self.op).operands {
            let index = match last {
                Some((name, n)) if name == &*o.param => n + 1,
                _ => 0,
            };
            last = Some((&o.param, index));
            visit(Operand {
                name: &o.param,
                index,
                constant: self.is_constant(o.value),
                tensor: self.tensor(o.value),
            });
        }
    }

    fn results(&self, visit: &mut dyn FnMut(Tensor)) {
        self.program.op(self.op).results.iter().for_each(|&r| visit(self.tensor(r)));
    }

    fn value(&self, operand: &str) -> Option<Value> {
        let op = self.program.op(self.op);
        match op.arg(operand) {
            Some(v) => constant_value(&self.program.constant(v)?.tensor),
            None => attr_value(field(&op.attrs, operand)?),
        }
    }
}

/// A field of a layer by its dotted path.
fn field<'a>(attrs: &'a anewrite_ir::Attrs, path: &str) -> Option<&'a Attr> {
    let mut parts = path.split('.');
    let first = parts.next()?;
    let root = attrs.iter().find(|(n, _)| &**n == first).map(|(_, a)| a)?;
    parts.try_fold(root, |a, name| a.field(name))
}

fn constant_value(t: &Constant) -> Option<Value> {
    if t.count() > VALUE_LIMIT as u64 {
        return None;
    }
    Some(match t.dtype() {
        DType::String => Value::Text(t.scalar_str()?.to_owned()),
        DType::Bool => Value::Bools(t.to_i64s().ok()?.into_iter().map(|b| b != 0).collect()),
        d if d.is_float() => Value::Floats(t.to_f64s().ok()?.into()),
        _ => Value::Ints(t.to_i64s().ok()?.into()),
    })
}

fn attr_value(a: &Attr) -> Option<Value> {
    Some(match a {
        Attr::Bool(b) => Value::Bools(smallvec::smallvec![*b]),
        Attr::Int(n) => Value::Ints(smallvec::smallvec![*n]),
        Attr::Float(x) => Value::Floats(smallvec::smallvec![*x]),
        Attr::Text(s) | Attr::Enum(s) => Value::Text(s.to_string()),
        Attr::List(_) => Value::Ints(a.as_ints()?.into()),
        Attr::Bytes(_) | Attr::Message(_) => return None,
    })
}

/// The families that a model of this specification version can meet.
pub(crate) fn default_target(spec_version: i32) -> Target {
    Target::default_for(anewrite_ane::Os(lowest_ios(spec_version)))
}

/// The first iOS that reads a specification version. Versions and systems: the Core ML specification's own list.
fn lowest_ios(spec_version: i32) -> u32 {
    match spec_version {
        ..=1 => 11,
        2 | 3 => 12,
        4 => 13,
        5 => 14,
        6 => 15,
        7 => 16,
        8 => 17,
        9 => 18,
        _ => 26,
    }
}

/// All families of a target, for reports.
pub(crate) fn family_names(families: FamilySet) -> Vec<String> {
    families.iter().map(|f| f.to_string()).collect()
}

use anewrite_ane::{Dims, OpView, Operand, Tensor, VALUE_LIMIT, Value};
use anewrite_ir::infer::Facts;
use anewrite_ir::{Attr, Attrs, OpId, Opset, Program, Type, ValueId};
use anewrite_tensor::{DType, Tensor as Constant};

/// One op of a program, as the tables look at it.
///
/// ```
/// use anewrite_ane::{Target, eligibility};
/// use anewrite_check::View;
/// use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType, infer::infer, mil::Mil};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let ty = TensorType::fixed(DType::F16, [1, 8, 70000]);
/// let x = p.add_arg(body, "x", ty.clone().into());
/// let relu = p.add_op(Place::End(body), NewOp::new("relu").operand("x", x).result("y", ty));
/// let inferred = infer(&p, &Mil);
/// let judged = eligibility(&View::new(&p, &inferred.facts, relu), &Target::parse("m4")?);
/// assert!(judged.is_no());
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
#[derive(Clone, Copy)]
pub struct View<'a> {
    program: &'a Program,
    facts: &'a Facts,
    op: OpId,
}

impl<'a> View<'a> {
    /// The op `op` of `program`, with the types that inference gave.
    pub fn new(program: &'a Program, facts: &'a Facts, op: OpId) -> Self {
        View { program, facts, op }
    }

    pub(crate) fn tensor(&self, value: ValueId) -> Tensor {
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
            || self.program.def_op(value).is_some_and(|op| is_weight(&self.program.op(op).kind))
    }
}

/// Whether an op of this kind stands for compressed weights: a constant, for the tables.
pub(crate) fn is_weight(kind: &str) -> bool {
    kind.starts_with("constexpr_")
}

impl OpView for View<'_> {
    fn op(&self) -> &str {
        match &*self.program.op(self.op).kind {
            // An update of a state stands in files as a write and a read.
            "write_state" => "coreml_update_state",
            kind => kind,
        }
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
            None if operand == "type" && op.attr("type").is_none() => choice(&op.attrs),
            None => attr_value(field(&op.attrs, operand)?),
        }
    }
}

/// Which message a layer chose where its kind is told by that: the function of an activation.
fn choice(attrs: &Attrs) -> Option<Value> {
    let chosen = attrs.iter().find(|(_, attr)| matches!(attr, Attr::Message(_)));
    chosen.map(|(name, _)| Value::Text(name.to_string()))
}

/// A field of a layer by its dotted path.
fn field<'a>(attrs: &'a Attrs, path: &str) -> Option<&'a Attr> {
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

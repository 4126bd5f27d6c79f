//! The NeuralNetwork dialect, as the graph sees it.

use anewrite_ir::dims::Int;
use anewrite_ir::infer::{Facts, InferCx, InferError};
use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Attr, Builder, Dialect, DialectId, Dim, Effect, OpId, OpSchema, Opset, Place, Program, TensorType, Type,
    Types, ValueId,
};

use crate::call::{INPUT, LayerCall, NETWORKS, PREFIX};
use crate::lower::{lower, whole_numbers};
use crate::mapping::Mapping;
use crate::registry::layer;

/// The ops `nn.<layer>`: each means its lowering.
///
/// Types are inferred by lowering the layer into a program of its own and reading the types of the results. Under
/// [`Mapping::Rank5`] the types of values are `[Seq, B, C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Nn {
    /// How the network maps its arrays.
    pub mapping: Mapping,
}

impl Nn {
    /// The dialect of a NeuralNetwork program, with its array mapping.
    ///
    /// ```
    /// use anewrite_ir::{DialectId, NewOp, Place, Program, Type, TensorType, infer::infer};
    /// use anewrite_nn::Nn;
    /// use anewrite_tensor::DType;
    ///
    /// let mut p = Program::new(DialectId::Nn);
    /// let (_, body) = p.add_function("main", "");
    /// let x = p.add_arg(body, "x", TensorType::fixed(DType::F32, [1, 1, 3, 8, 6]).into());
    /// let op = NewOp::new("nn.flatten").operand("input", x).result("y", Type::Unknown);
    /// let op = p.add_op(Place::End(body), op);
    /// let y = p.op(op).result().unwrap();
    /// let inferred = infer(&p, &Nn::of(&p));
    /// assert_eq!(inferred.facts.ty(&p, y).to_string(), "tensor<fp32, [1, 1, 144, 1, 1]>");
    /// ```
    pub fn of(p: &Program) -> Nn {
        Nn { mapping: Mapping::of(p) }
    }
}

impl Dialect for Nn {
    fn effect(&self, kind: &str) -> Effect {
        kind.strip_prefix(PREFIX).and_then(layer).map_or(Effect::Opaque, |l| l.effect)
    }

    fn bears(&self, p: &Program, op: OpId) -> bool {
        Mapping::rests_on(p, op)
    }

    fn infer(&self, cx: &mut InferCx<'_>) -> Result<Types, InferError> {
        let unknown = || InferError::Unknown(cx.kind.to_owned());
        let kind = cx.kind.strip_prefix(PREFIX).filter(|k| layer(k).is_some()).ok_or_else(unknown)?;
        if matches!(kind, "loop" | "branch") {
            return networks(kind, cx);
        }
        let inputs = || cx.args.iter().filter(|a| &*a.param == INPUT);
        if layer(kind).is_some_and(|l| l.rule().is_ok()) && inputs().any(|a| a.ty == Type::Unknown) {
            // What an opaque layer gives is not known, and so is not what follows from it.
            return Ok(cx.stored.iter().map(|_| Type::Unknown).collect());
        }
        let call = LayerCall::of_inference(kind, cx, self.mapping);
        let mut scratch = Program::new(DialectId::Mil);
        let (_, body) = scratch.add_function("layer", "");
        let mut facts = Facts::default();
        let mut values: Vec<ValueId> = Vec::new();
        for a in inputs() {
            let ty = self.mapping.lowered(&a.ty);
            let v = scratch.add_arg(body, "x", ty.clone());
            facts.set(v, ty, a.ints.clone());
            values.push(v);
        }
        let place = Place::End(body);
        let mut b = Builder::new(&mut scratch, &mut facts, cx.dims, &Mil, cx.opset, place);
        let results = lower(&call, &mut b, &values)?;
        let mut types = Types::new();
        for (i, v) in results.into_iter().enumerate() {
            types.push(self.mapping.raised(b.ty(v)));
            let known = b.ints(v).map(|ints| ints.to_vec());
            let constant = || Some(whole_numbers(b.as_constant(v)?)?.into_iter().map(Int::Known).collect());
            if let Some(ints) = known.or_else(constant) {
                cx.ints_out.push((i, ints.into()));
            }
        }
        Ok(types)
    }

    fn schema(&self, _: &str, _: Opset) -> Option<&'static OpSchema> {
        None
    }

    fn repeats(&self, kind: &str) -> bool {
        kind == "nn.loop"
    }
}

/// The results of a layer with networks in it: what they share with what is around, as they leave it. Each network
/// takes all of that and gives all of it.
fn networks(kind: &str, cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let named = |name: &str| match cx.attr(NETWORKS) {
        Some(Attr::List(names)) => {
            let at = names.iter().position(|n| n.as_str() == Some(name));
            at.and_then(|i| cx.blocks.get(i))
        }
        _ => None,
    };
    let missing = |name| InferError::Missing(name);
    let (first, second) = if kind == "loop" {
        // A loop ends after its condition was computed, if it has one, and else before or after its body.
        let body = named("bodyNetwork").ok_or(missing("bodyNetwork"))?;
        match named("conditionNetwork") {
            Some(condition) => {
                // what the body alone makes is not known to the condition's first run
                let made = |(c, b): (&Type, &Type)| if *c == Type::Unknown { b.clone() } else { c.clone() };
                let outputs: Vec<Type> = condition.outputs.iter().zip(&body.outputs).map(made).collect();
                return Ok(outputs.into_iter().collect());
            }
            None => (&body.args, &body.outputs),
        }
    } else {
        let yes = named("ifBranch").ok_or(missing("ifBranch"))?;
        (&yes.outputs, named("elseBranch").map_or(&yes.args, |no| &no.outputs))
    };
    let either = |(a, b): (&Type, &Type)| match (a, b) {
        // Not defined before, so what follows reads it only where the network ran.
        (Type::Unknown, t) | (t, Type::Unknown) => t.clone(),
        (a, b) if a.refines(b) => b.clone(),
        (a, b) if b.refines(a) => a.clone(),
        (Type::Tensor(a), Type::Tensor(b)) if a.dtype == b.dtype => match (&a.shape, &b.shape) {
            (Some(s), Some(t)) if s.len() == t.len() => {
                let dim = |(&x, &y): (&Dim, &Dim)| if x == y { x } else { cx.dims.fresh() };
                TensorType::ranked(a.dtype, s.iter().zip(t).map(dim)).into()
            }
            _ => TensorType { dtype: a.dtype, shape: None }.into(),
        },
        _ => Type::Unknown,
    };
    Ok(first.iter().zip(second).map(either).collect())
}

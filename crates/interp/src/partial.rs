//! How large the sums inside an op may become before they are done.

use anewrite_ir::Str;

use crate::array::{Array, Data};
use crate::error::EvalError;
use crate::run::Step;
use crate::value::Value;

/// The operands that an op multiplies and adds up, for ops whose results are sums.
fn summed(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "conv" | "conv_transpose" | "linear" => &["x", "weight"],
        "matmul" => &["x", "y"],
        "einsum" => &["values"],
        "reduce_sum" | "reduce_mean" | "reduce_l1" => &["x"],
        _ => return None,
    })
}

impl Step<'_> {
    /// For ops whose results are sums, the greatest that any order of adding can reach on the way to a result: the same
    /// op over absolute values. `None` for other ops.
    ///
    /// # Errors
    /// Where the op cannot be computed again.
    pub fn partial_sums(&self) -> Result<Option<f64>, EvalError> {
        let kind = &*self.program.op(self.op).kind;
        let Some(params) = summed(kind) else { return Ok(None) };
        let args = self.args.iter().filter(|(param, _)| &**param != "bias").map(|(param, v)| {
            let v = match v {
                Value::Tensor(a) if params.contains(&&**param) => Value::Tensor(absolute(a)?),
                other => other.clone(),
            };
            Ok((param.clone(), v))
        });
        let args = args.collect::<Result<Vec<(Str, Value)>, EvalError>>()?;
        let mut most = 0f64;
        for v in self.again(&args)? {
            let sums = v.tensor()?.to_f64s()?;
            // the sum that a mean divides at the end
            let n = match kind {
                "reduce_mean" => {
                    let x = self.args.iter().find(|(p, _)| &**p == "x");
                    let taken = x.map_or(Ok(1), |(_, x)| x.tensor().map(Array::len))?;
                    taken as f64 / sums.len().max(1) as f64
                }
                _ => 1.0,
            };
            most = sums.iter().fold(most, |m, &x| m.max(x * n));
        }
        Ok(Some(most))
    }
}

fn absolute(a: &Array) -> Result<Array, EvalError> {
    let dims = a.dims().iter().copied();
    match a.data() {
        Data::F32(b) => Array::new(a.dtype(), dims, b.iter().map(|x| x.abs()).collect()),
        Data::F64(b) => Array::new(a.dtype(), dims, b.iter().map(|x| x.abs()).collect()),
        Data::Int(b) => Array::new(a.dtype(), dims, b.iter().map(|x| x.saturating_abs()).collect()),
        Data::Bool(_) | Data::Text(_) => Ok(a.clone()),
    }
}

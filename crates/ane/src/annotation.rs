use anewrite_tensor::DType;

use crate::planner::Backend;
use crate::simple::SimpleOp;
use crate::view::{Tensor, Value};

/// An op with what a planner printed of it.
#[derive(Clone, Debug)]
pub struct AnnotatedOp {
    /// The model it stands in. Ops of a model follow each other in program order.
    pub model: String,
    /// The op.
    pub op: SimpleOp,
    /// Whether the engine was among the backends that support it.
    pub on_engine: bool,
    /// The estimates in ms in the order of [`Backend::ALL`], where printed.
    pub estimates: [Option<f64>; 3],
    /// The backend chosen.
    pub selected: Backend,
    /// Why the engine was refused, in the planner's words; empty where it was not.
    pub message: String,
}

/// Constant operands that the table does not mark as such, being weights.
const WEIGHTS: [&str; 8] = ["weight", "weight_ih", "weight_hh", "bias", "gamma", "beta", "mean", "variance"];
/// Parameters that the table leaves out although the op has them.
const NOT_SHOWN: [(&str, &str, DType); 1] = [("affine", "padding_value", DType::F16)];
/// Parameters printed without a type that are fp16, and fp32; other numbers without one are int32.
const HALVES: [&str; 5] = ["alpha", "beta", "constant_val", "pad_value", "padding_value"];
const SINGLES: [&str; 1] = ["spatial_scale"];

/// Reads a table of annotations: one op a line, fields separated by tabs.
///
/// The fields are model, op (`ios18.conv`), operands (`x:fp16[1,64,32,32];indices(const):uint16[16]`), results,
/// parameters (`axis=1;alpha=0.5(fp32)`), supporting backends, estimates of `ane`, `bnns` and `classic_cpu` in ms,
/// the backend selected, and the message of a refusal. Lines that begin with `#` and the line of headings are skipped.
///
/// # Errors
/// The line and what does not fit.
pub fn annotated_ops(table: &str) -> Result<Vec<AnnotatedOp>, String> {
    let lines =
        table.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()).skip(1);
    lines.map(|(i, line)| annotated_op(line).map_err(|e| format!("line {}: {e}", i + 1))).collect()
}

fn annotated_op(line: &str) -> Result<AnnotatedOp, String> {
    let fields: Vec<_> = line.split('\t').collect();
    let [model, op, inputs, outputs, params, support, ane, bnns, classic, selected, message] = fields[..]
    else {
        return Err(format!("{} fields where 11 were expected", fields.len()));
    };
    let (opset, name) = match op.split_once('.') {
        Some((opset, name)) => (opset.strip_prefix("ios").and_then(|n| n.parse().ok()), name),
        None => (None, op),
    };
    let mut simple = SimpleOp::new(name);
    if let Some(opset) = opset {
        simple = simple.opset(opset);
    }
    let values: Vec<_> = parts(params).map(parameter).collect::<Result<_, _>>()?;
    let mut bound = Vec::new();
    for input in parts(inputs) {
        let (name, shape) = input.split_once(':').ok_or_else(|| format!("`{input}` is no operand"))?;
        let (name, mark) = name.split_once('(').unwrap_or((name, ""));
        let constant = mark == "const)" || (mark.is_empty() && WEIGHTS.contains(&name));
        let tensor = tensor(shape)?;
        bound.push(name);
        let value = values.iter().find(|(n, _, _)| *n == name).map(|(_, _, value)| value.clone());
        let variadic = if name.starts_with("values") { "values" } else { name };
        simple = match value {
            Some(value) if constant => simple.value_of(variadic, tensor, value),
            _ => simple.tensor(variadic, constant, tensor),
        };
    }
    for (name, dtype, value) in values {
        if !bound.contains(&name) {
            let count = match &value {
                Value::Ints(ints) if ints.len() > 1 => vec![ints.len() as u64],
                Value::Floats(floats) if floats.len() > 1 => vec![floats.len() as u64],
                _ => Vec::new(),
            };
            simple = simple.value(name, dtype, &count, value);
        }
    }
    for (_, operand, dtype) in NOT_SHOWN.into_iter().filter(|(op, _, _)| *op == name) {
        simple = simple.constant(operand, dtype, &[]);
    }
    for output in parts(outputs) {
        simple = simple.result_tensor(tensor(output)?);
    }
    let backend = |text: &str| Backend::ALL.into_iter().find(|b| b.name() == text);
    Ok(AnnotatedOp {
        model: model.to_owned(),
        op: simple,
        on_engine: support.split(',').filter_map(backend).any(Backend::is_ane),
        estimates: [ane.parse().ok(), bnns.parse().ok(), classic.parse().ok()],
        selected: backend(selected).ok_or_else(|| format!("`{selected}` is no backend"))?,
        message: message.to_owned(),
    })
}

fn parts(field: &str) -> impl Iterator<Item = &str> {
    field.split(';').filter(|part| !part.is_empty())
}

/// `fp16[1,64,?]`.
fn tensor(text: &str) -> Result<Tensor, String> {
    let wrong = || format!("`{text}` is no tensor type");
    let (dtype, dims) = text.strip_suffix(']').and_then(|t| t.split_once('[')).ok_or_else(wrong)?;
    let dims = dims.split(',').filter(|d| !d.is_empty());
    let extent = |d: &str| if d == "?" { Ok(None) } else { d.parse().map(Some).map_err(|_| wrong()) };
    Ok(Tensor {
        dtype: Some(DType::from_name(dtype).ok_or_else(wrong)?),
        dims: Some(dims.map(extent).collect::<Result<_, _>>()?),
    })
}

/// `name=value` or `name=value(type)`; numbers may be hexadecimal floats, lists have commas.
fn parameter(text: &str) -> Result<(&str, DType, Value), String> {
    let wrong = || format!("`{text}` is no parameter");
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (value, dtype) = match rest.strip_suffix(')').and_then(|r| r.split_once('(')) {
        Some((value, dtype)) => (value, Some(DType::from_name(dtype).ok_or_else(wrong)?)),
        None => (rest, None),
    };
    if value == "true" || value == "false" {
        return Ok((name, DType::Bool, Value::Bools([value == "true"].into_iter().collect())));
    }
    let dtype = dtype.unwrap_or(match name {
        name if HALVES.contains(&name) => DType::F16,
        name if SINGLES.contains(&name) => DType::F32,
        _ => DType::I32,
    });
    let items: Option<Vec<f64>> = value.split(',').map(float).collect();
    Ok(match items {
        None => (name, DType::String, Value::Text(value.to_owned())),
        Some(items) if dtype.is_float() => (name, dtype, Value::Floats(items.into_iter().collect())),
        Some(items) => (name, dtype, Value::Ints(items.into_iter().map(|n| n as i64).collect())),
    })
}

/// A decimal number, or a hexadecimal one such as `0x1.5p-17`.
fn float(text: &str) -> Option<f64> {
    let Some(hex) = text.strip_prefix("0x") else { return text.parse().ok() };
    let (mantissa, exponent) = hex.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let shift =
        exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    Some(digits as f64 * f64::from(shift).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(float("0x1.5p-17"), Some(1.3125 / 131072.0));
        assert_eq!(float("0x1.99999ap-3"), Some(f64::from(0.2_f32)));
        assert_eq!(float("-2.5"), Some(-2.5));
        assert_eq!(float("same"), None);
        assert_eq!(float("0x1"), None);
    }

    #[test]
    fn faults_are_named() {
        let error = annotated_ops("head\nm\trelu\tx:fp16[1]\tfp16[1]\n").map(|_| ());
        assert_eq!(error, Err("line 2: 4 fields where 11 were expected".to_owned()));
        let error = annotated_ops("head\nm\trelu\tx:fp99[1]\tfp16[1]\t\tane\t\t\t\tane\t\n").map(|_| ());
        assert_eq!(error, Err("line 2: `fp99[1]` is no tensor type".to_owned()));
    }
}

//! The op at the end of a classifier.

use anewrite_tensor::DType;
use smallvec::smallvec;

use crate::array::{Array, Data};
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::value::{Dict, Value};

pub(crate) const TABLE: Table = &[("classify", Kernel::Any(classify))];

/// The label of the greatest probability, the first one among equals, and the probability of each label.
fn classify(call: &Call<'_>) -> Computed {
    let labels = match call.value("classes")? {
        Value::List(list) => joined(call, list)?,
        other => other.tensor()?.clone(),
    };
    let probabilities = call.array("probabilities")?.to_f64s()?;
    if labels.len() != probabilities.len() {
        let why = format!("{} labels for {} probabilities", labels.len(), probabilities.len());
        return Err(EvalError::bad("classes", why));
    }
    let mut best = 0;
    for (i, &p) in probabilities.iter().enumerate() {
        if p > probabilities[best] {
            best = i;
        }
    }
    let none = || EvalError::bad("classes", "there are no labels");
    let label = match labels.data() {
        Data::Text(t) => Array::texts([], vec![t.get(best).ok_or_else(none)?.clone()])?,
        Data::Int(n) => Array::new(labels.dtype(), [], vec![*n.get(best).ok_or_else(none)?])?,
        _ => return Err(EvalError::bad("classes", format!("text or integers are needed, not {labels:?}"))),
    };
    let n = labels.len() as u64;
    let values = call.make(DType::F64, &[n], probabilities)?;
    Ok(smallvec![Value::Tensor(label), Value::Dict(Dict { keys: labels.reshaped([n])?, values })])
}

/// Labels that are entries of a list.
fn joined(call: &Call<'_>, list: &crate::value::List) -> Result<Array, EvalError> {
    let entries =
        list.items.iter().map(|e| e.as_ref().ok_or_else(|| EvalError::bad("classes", "one is missing")));
    let entries = entries.collect::<Result<Vec<&Array>, _>>()?;
    let n = entries.iter().map(|e| e.len() as u64).sum();
    match entries.first().map(|e| e.data()) {
        Some(Data::Text(_)) => Array::texts(
            [n],
            entries.iter().flat_map(|e| e.as_texts().unwrap_or_default()).cloned().collect(),
        ),
        _ => {
            let ints = entries.iter().map(|e| e.to_i64s()).collect::<Result<Vec<_>, _>>()?;
            call.make(list.element.dtype, &[n], ints.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use crate::testing::{all_on, floats};
    use crate::{Array, Value};

    #[test]
    fn labels_of_text_and_of_numbers() {
        let p = || floats(&[1, 3], &[0.25, 0.375, 0.375]);
        let text = Array::texts([3], ["cat", "dog", "owl"].map(Into::into).to_vec()).unwrap();
        let y = all_on("classify", &[("probabilities", p()), ("classes", text.into())]).unwrap();
        assert_eq!(&*y[0].tensor().unwrap().as_texts().unwrap()[0], "dog");
        let Value::Dict(d) = &y[1] else { panic!("no dictionary") };
        assert_eq!(d.values.to_f64s().unwrap(), [0.25, 0.375, 0.375]);
        assert_eq!(d.keys.as_texts().unwrap().len(), 3);
        let ints = Array::new(DType::I64, [3], vec![7i64, -1, 3]).unwrap();
        let y = all_on("classify", &[("probabilities", p()), ("classes", ints.into())]).unwrap();
        assert_eq!(y[0].tensor().unwrap().to_i64s().unwrap(), [-1]);
        let few = Array::new(DType::I64, [2], vec![7i64, -1]).unwrap();
        assert!(all_on("classify", &[("probabilities", p()), ("classes", few.into())]).is_err());
    }
}

//! Tensors that keep their content between predictions.

use smallvec::smallvec;

use crate::call::{Call, Computed, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::value::{State, Value};

pub(crate) const TABLE: Table = &[
    ("coreml_update_state", Kernel::Any(coreml_update_state)),
    ("read_state", Kernel::Any(read_state)),
    ("write_state", Kernel::Any(write_state)),
];

fn state<'a>(call: &Call<'a>, param: &str) -> Result<&'a State, EvalError> {
    match call.value(param)? {
        Value::State(state) => Ok(state),
        other => Err(EvalError::bad(param, format!("a state is needed, this is {}", other.ty()))),
    }
}

fn read_state(call: &Call<'_>) -> Computed {
    one(state(call, "input")?.get())
}

/// Replaces what the state holds by an array of its extents and dtype.
fn store(call: &Call<'_>, target: &str, data: &str) -> Result<(), EvalError> {
    let (state, new) = (state(call, target)?, call.array(data)?);
    let old = state.get();
    if old.dims() != new.dims() || old.dtype() != new.dtype() {
        return Err(EvalError::bad(data, format!("{new:?} into a state of {old:?}")));
    }
    state.set(new.clone());
    Ok(())
}

fn write_state(call: &Call<'_>) -> Computed {
    store(call, "input", "data")?;
    Ok(smallvec![])
}

fn coreml_update_state(call: &Call<'_>) -> Computed {
    store(call, "state", "value")?;
    one(call.array("value")?.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{all_on, floats, ints, numbers, on};

    #[test]
    fn a_state_is_shared() {
        let state = State::new(floats(&[2], &[1., 2.]).tensor().unwrap().clone());
        let before = on("read_state", &[("input", Value::State(state.clone()))]).unwrap();
        let args = [("input", Value::State(state.clone())), ("data", floats(&[2], &[3., 4.]))];
        assert!(all_on("write_state", &args).unwrap().is_empty());
        assert_eq!(numbers(&before), [1., 2.]);
        assert_eq!(state.get().to_f64s().unwrap(), [3., 4.]);
        let args = [("state", Value::State(state.clone())), ("value", floats(&[2], &[5., 6.]))];
        assert_eq!(numbers(&on("coreml_update_state", &args).unwrap()), [5., 6.]);
        assert_eq!(state.get().to_f64s().unwrap(), [5., 6.]);
        let args = [("input", Value::State(state)), ("data", ints(&[3]))];
        assert!(all_on("write_state", &args).is_err());
    }
}

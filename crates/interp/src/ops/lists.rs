//! Lists of tensors. A written list is another list: the one before keeps its elements.

use std::sync::Arc;

use anewrite_ir::{Dim, Shape, TensorType};
use anewrite_tensor::DType;
use smallvec::smallvec;

use crate::array::{Array, Element};
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::ops::movement::viewed;
use crate::value::{List, Value};
use crate::view::View;

pub(crate) const TABLE: Table = &[
    ("list_gather", Kernel::Any(list_gather)),
    ("list_length", Kernel::Any(list_length)),
    ("list_read", Kernel::Any(list_read)),
    ("list_scatter", Kernel::Any(list_scatter)),
    ("list_write", Kernel::Any(list_write)),
    ("make_list", Kernel::Any(make_list)),
];

fn list<'a>(call: &Call<'a>) -> Result<&'a List, EvalError> {
    match call.value("ls")? {
        Value::List(list) => Ok(list),
        other => Err(EvalError::bad("ls", format!("a list is needed, this is {}", other.ty()))),
    }
}

/// `elem_shape` has one value an axis, text for an extent that is not known.
fn make_list(call: &Call<'_>) -> Computed {
    let name = call.text("dtype")?;
    let dtype = DType::from_name(name).ok_or_else(|| EvalError::bad("dtype", name))?;
    let mut shape = Shape::new();
    for arg in call.all("elem_shape")? {
        if arg.as_texts().is_some() {
            shape.push(Dim::Unknown);
            continue;
        }
        for n in arg.to_i64s()? {
            let extent = u64::try_from(n).map_err(|_| EvalError::bad("elem_shape", format!("{n}")))?;
            shape.push(Dim::Known(extent));
        }
    }
    let length = call.counts("init_length")?;
    let &[length] = length.as_slice() else {
        return Err(EvalError::bad("init_length", format!("one number is needed, not {length:?}")));
    };
    Ok(smallvec![Value::List(List {
        element: TensorType { dtype, shape: Some(shape) },
        items: Arc::new(resized(call, Vec::new(), length)?),
        grows: call.flag("dynamic_length")?,
    })])
}

/// The entries with more that were never written, as far as the run may use memory.
fn resized(
    call: &Call<'_>,
    mut items: Vec<Option<Array>>,
    length: u64,
) -> Result<Vec<Option<Array>>, EvalError> {
    let bytes = length.saturating_mul(size_of::<Option<Array>>() as u64);
    drop(call.shared.meter.charge(bytes)?);
    items.resize(length as usize, None);
    Ok(items)
}

fn list_length(call: &Call<'_>) -> Computed {
    one(call.ints_out(&[], vec![list(call)?.items.len() as i64])?)
}

/// The element at an index; zeros where nothing was written, of the extents of one that was where the list does not
/// state them.
fn element(call: &Call<'_>, list: &List, index: i64) -> Result<Array, EvalError> {
    let found = usize::try_from(index).ok().and_then(|i| list.items.get(i));
    let outside = || EvalError::bad("index", format!("{index} in a list of {}", list.items.len()));
    if let Some(a) = found.ok_or_else(outside)? {
        return Ok(a.clone());
    }
    let stated = list.element.known_dims().map(|d| d.to_vec());
    let dims = stated.or_else(|| list.items.iter().flatten().next().map(|a| a.dims().to_vec()));
    let dims = dims.ok_or_else(|| {
        EvalError::bad("ls", format!("entry {index} was never written, and {} says no extents", list.element))
    })?;
    match list.element.dtype {
        DType::Bool => call.make(DType::Bool, &dims, call.zeros::<bool>(&dims)?),
        d if !d.is_float() => call.make(d, &dims, call.zeros::<i64>(&dims)?),
        d if call.arithmetic() == crate::Arithmetic::Fp64 => call.make(d, &dims, call.zeros::<f64>(&dims)?),
        d => call.make(d, &dims, call.zeros::<f32>(&dims)?),
    }
}

fn list_read(call: &Call<'_>) -> Computed {
    one(element(call, list(call)?, call.int("index")?)?)
}

fn list_gather(call: &Call<'_>) -> Computed {
    let list = list(call)?;
    let parts = call.ints("indices")?.into_iter().map(|i| element(call, list, i));
    let parts = parts.collect::<Result<Vec<Array>, _>>()?;
    let Some(first) = parts.first() else {
        let dims = list.element.known_dims().map(|d| d.to_vec());
        let dims = dims.ok_or_else(|| EvalError::bad("indices", "none, and the list says no extents"))?;
        let none = TensorType::fixed(list.element.dtype, dims);
        let empty = List { element: none, items: Arc::new(vec![None]), grows: false };
        let like = element(call, &empty, 0)?;
        let dims = [&[0], like.dims()].concat();
        return one(each!(like, |items| nothing(call, like.dtype(), items, &dims))?);
    };
    if let Some(other) = parts.iter().find(|p| p.dims() != first.dims()) {
        return Err(EvalError::bad("ls", format!("{other:?} beside {first:?}")));
    }
    let dims = [&[parts.len() as u64], first.dims()].concat();
    fn gathered<T: Element + Default>(
        call: &Call<'_>,
        _like: &[T],
        parts: &[Array],
        dims: &[u64],
    ) -> Result<Vec<T>, EvalError> {
        let mut out = call.zeros::<T>(dims)?;
        let each = out.len().checked_div(parts.len()).unwrap_or(0).max(1);
        for (to, part) in out.chunks_exact_mut(each).zip(parts) {
            let items = part.items::<T>().filter(|i| i.len() == to.len());
            to.copy_from_slice(items.ok_or_else(|| EvalError::bad("ls", "elements of several kinds"))?);
        }
        Ok(out)
    }
    one(each!(first, |items| call.make(first.dtype(), &dims, gathered(call, items, &parts, &dims)?))?)
}

fn nothing<T: Element>(call: &Call<'_>, dtype: DType, _like: &[T], dims: &[u64]) -> Result<Array, EvalError> {
    call.make(dtype, dims, Vec::<T>::new())
}

/// Writes elements; a list that grows is made as long as that needs.
fn written(call: &Call<'_>, list: &List, changes: Vec<(i64, Array)>) -> Computed {
    let mut items = Vec::clone(&list.items);
    for (index, value) in changes {
        let to = &list.element;
        let fits = to.dtype == value.dtype()
            && to.shape.as_ref().is_none_or(|s| {
                s.len() == value.rank()
                    && s.iter().zip(value.dims()).all(|(d, &n)| d.known().is_none_or(|k| k == n))
            });
        if !fits {
            return Err(EvalError::bad("value", format!("{value:?} into a list of {to}")));
        }
        let at = u64::try_from(index).ok().filter(|&i| list.grows || i < items.len() as u64);
        let at =
            at.ok_or_else(|| EvalError::bad("index", format!("{index} in a list of {}", items.len())))?;
        if at >= items.len() as u64 {
            items = resized(call, items, at.saturating_add(1))?;
        }
        items[at as usize] = Some(value);
    }
    Ok(smallvec![Value::List(List { items: Arc::new(items), ..list.clone() })])
}

fn list_write(call: &Call<'_>) -> Computed {
    written(call, list(call)?, vec![(call.int("index")?, call.array("value")?.clone())])
}

/// Row `i` of `value` goes to entry `indices[i]`.
fn list_scatter(call: &Call<'_>) -> Computed {
    let (list, indices, value) = (list(call)?, call.ints("indices")?, call.array("value")?);
    if value.dims().first() != Some(&(indices.len() as u64)) {
        return Err(EvalError::bad("value", format!("{value:?} for {} indices", indices.len())));
    }
    let rows = indices.into_iter().enumerate().map(|(i, index)| {
        let row = View::of(value.dims()).cut(0, i as i64, 1, 1);
        Ok((index, viewed(call, value, &row, &value.dims()[1..])?))
    });
    written(call, list, rows.collect::<Result<_, EvalError>>()?)
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, flag, floats, int, int_list, numbers, on, text};
    use crate::{EvalError, Value};

    fn write(ls: &Value, index: i64, value: Value) -> Result<Value, EvalError> {
        on("list_write", &[("ls", ls.clone()), ("index", int(index)), ("value", value)])
    }

    #[test]
    fn lists_grow_and_start_as_zeros() {
        // coremltools' own test of lists
        let ls = on("make_list", &[("init_length", int(2)), ("elem_shape", int(2))]).unwrap();
        let read = |ls: &Value, i: i64| on("list_read", &[("ls", ls.clone()), ("index", int(i))]);
        assert_eq!(numbers(&read(&ls, 0).unwrap()), [0., 0.]);
        let a = write(&ls, 0, floats(&[2], &[1., 3.])).unwrap();
        let b = write(&a, 4, floats(&[2], &[2., 4.])).unwrap();
        let value = floats(&[2, 2], &[-1., -2., -4., -5.]);
        let args = [("ls", b.clone()), ("indices", int_list(&[2, 1])), ("value", value)];
        let c = on("list_scatter", &args).unwrap();
        let y = on("list_gather", &[("ls", c.clone()), ("indices", int_list(&[4, 2, 3]))]).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![3, 2], vec![2., 4., -1., -2., 0., 0.]));
        assert_eq!(numbers(&on("list_length", &[("ls", c)]).unwrap()), [5.]);
        assert_eq!(numbers(&read(&a, 0).unwrap()), [1., 3.]);
        assert!(read(&a, 2).is_err() && read(&a, -1).is_err());
    }

    #[test]
    fn what_does_not_fit() {
        let make = |n: i64, grows: bool| {
            let args = [("init_length", int(n)), ("elem_shape", text("s0")), ("dynamic_length", flag(grows))];
            on("make_list", &args)
        };
        let fixed = make(1, false).unwrap();
        assert!(write(&fixed, 1, floats(&[2], &[1., 2.])).is_err());
        assert!(write(&fixed, 0, int(1)).is_err());
        assert!(on("list_read", &[("ls", fixed), ("index", int(0))]).is_err());
        assert!(matches!(make(1 << 31, true), Err(EvalError::Memory { .. })));
        assert!(write(&make(1, true).unwrap(), i64::MAX, floats(&[1], &[1.])).is_err());
        assert!(make(-1, true).is_err());
    }
}

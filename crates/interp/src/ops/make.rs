//! Ops that make tensors from extents and scalars.

use anewrite_tensor::DType;
use half::f16;

use crate::arithmetic::Arithmetic;
use crate::array::Array;
use crate::call::{Call, Computed, each, normal, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::number::Number;
use crate::ops::shape::product;

pub(crate) const TABLE: Table = &[
    ("fill", Kernel::Any(fill)),
    ("fill_like", Kernel::Any(fill_like)),
    ("one_hot", Kernel::Any(one_hot)),
    ("range_1d", Kernel::Any(range_1d)),
];

/// A scalar as the run stores numbers of that dtype.
fn scalar(call: &Call<'_>, dtype: DType, x: f64) -> Result<Array, EvalError> {
    match dtype {
        DType::Bool => Array::new(dtype, [], vec![x != 0.0]),
        d if !d.is_float() => Array::new(dtype, [], vec![x as i64]),
        _ if call.arithmetic() == Arithmetic::Fp64 => Array::new(dtype, [], vec![x]),
        _ => Array::new(dtype, [], vec![x as f32]),
    }
}

fn fill(call: &Call<'_>) -> Computed {
    filled(call, &call.counts("shape")?)
}

fn fill_like(call: &Call<'_>) -> Computed {
    filled(call, call.array("ref_tensor")?.dims())
}

fn filled(call: &Call<'_>, dims: &[u64]) -> Computed {
    let default;
    let value = match call.find("value")? {
        Some(v) => v,
        None => {
            default = scalar(call, DType::F32, 0.0)?;
            &default
        }
    };
    fn all<T: Number>(call: &Call<'_>, value: &Array, items: &[T], dims: &[u64]) -> Computed {
        let &[item] = items else {
            return Err(EvalError::bad("value", format!("one number is needed, not {value:?}")));
        };
        let mut out = call.zeros::<T>(dims)?;
        // zero may have a sign
        if item != T::default() || value.dtype().is_float() {
            out.fill(item);
        }
        call.one(value.dtype(), dims, out)
    }
    each!(value, |items| all(call, value, items, dims))
}

/// The depth stands at `axis` of the result. An index that fits nothing leaves its vector off, as in TensorFlow. Without
/// values the result is `int32`.
fn one_hot(call: &Call<'_>) -> Computed {
    let indices = call.array("indices")?;
    let depth = match call.counts("one_hot_vector_size")?.as_slice() {
        [depth] => *depth,
        other => return Err(EvalError::bad("one_hot_vector_size", format!("{other:?}"))),
    };
    let axis = normal("axis", call.int("axis")?, indices.rank() + 1)?;
    let (on, off) = (call.float("on_value")?, call.float("off_value")?);
    let like = match (call.find("on_value")?, call.find("off_value")?) {
        (Some(v), _) | (None, Some(v)) => scalar(call, v.dtype(), 0.0)?,
        (None, None) => scalar(call, DType::I32, 0.0)?,
    };
    let mut dims = indices.dims().to_vec();
    let inner = product(&dims[axis..])?.max(1) as usize;
    dims.insert(axis, depth);
    fn hot<T: Number>(
        call: &Call<'_>,
        _like: &[T],
        dims: &[u64],
        on_off: [f64; 2],
        places: impl Iterator<Item = Option<usize>>,
    ) -> Result<Vec<T>, EvalError> {
        let mut out = call.zeros::<T>(dims)?;
        let [on, off] = on_off.map(T::of);
        out.fill(off);
        for place in places.flatten() {
            if let Some(x) = out.get_mut(place) {
                *x = on;
            }
        }
        Ok(out)
    }
    let list = indices.to_i64s()?;
    let places = list.iter().enumerate().map(|(at, &i)| {
        let place = usize::try_from(i).ok().filter(|&i| (i as u64) < depth)?;
        Some((at / inner * depth as usize + place) * inner + at % inner)
    });
    one(each!(like, |items| call.make(like.dtype(), &dims, hot(call, items, &dims, [on, off], places)?))?)
}

/// `start`, `start + step`… below `end` (above it for a negative step). The number of elements is decided in the
/// precision of the dtype, where the program does not state it.
fn range_1d(call: &Call<'_>) -> Computed {
    let (first, end, step) = (call.array("start")?, call.float("end")?, call.float("step")?);
    let start = call.float("start")?;
    let dtype = first.dtype();
    let stated = call.results.first().and_then(|t| t.tensor()?.shape.as_deref());
    let count = match stated {
        Some([d]) if d.known().is_some() => d.known().unwrap_or(0),
        _ => {
            let rounded = |x: f64| match dtype {
                DType::F16 => f64::from(f16::from_f64(x)),
                DType::F32 => f64::from(x as f32),
                _ => x,
            };
            let count = rounded(rounded(end - start) / step).ceil();
            if count.is_nan() || count >= 9e15 {
                let why = format!("{step} from {start} to {end} makes {count} elements");
                return Err(EvalError::bad("step", why));
            }
            count.max(0.0) as u64
        }
    };
    if step == 0.0 {
        return Err(EvalError::bad("step", "0"));
    }
    fn range<T: Number>(call: &Call<'_>, dtype: DType, start: &[T], step: f64, count: u64) -> Computed {
        let &[start] = start else { return Err(EvalError::bad("start", "one number is needed")) };
        let mut out = call.zeros::<T>(&[count])?;
        let step = T::of(step);
        for (i, x) in out.iter_mut().enumerate() {
            *x = start.plus(T::of(i as f64).times(step)).within(dtype);
        }
        call.one(dtype, &[count], out)
    }
    each!(first, |items| range(call, dtype, items, step, count))
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use crate::testing::{dims, flag, floats, int, int_list, numbers, on};
    use crate::{Array, EvalError};

    #[test]
    fn fills() {
        let y = on("fill", &[("shape", int_list(&[2, 0, 3])), ("value", int(7))]).unwrap();
        assert_eq!((dims(&y), numbers(&y).len()), (vec![2, 0, 3], 0));
        let y = on("fill", &[("shape", int_list(&[2])), ("value", flag(true))]).unwrap();
        assert_eq!((y.tensor().unwrap().dtype(), numbers(&y)), (DType::Bool, vec![1., 1.]));
        let y =
            on("fill_like", &[("ref_tensor", int_list(&[5, 6])), ("value", floats(&[], &[-0.0]))]).unwrap();
        assert!(numbers(&y).iter().all(|x| x.is_sign_negative()));
        let huge = on("fill", &[("shape", int_list(&[1 << 31, 1 << 20]))]);
        assert!(matches!(huge, Err(EvalError::Memory { .. })));
        assert!(on("fill", &[("shape", int_list(&[i64::MAX, i64::MAX]))]).is_err());
    }

    #[test]
    fn hot_ones_and_none() {
        // tensorflow.one_hot([1, -1, 3, 2], 3, axis=0, on_value=5, off_value=-1)
        let mut args = vec![
            ("indices", int_list(&[1, -1, 3, 2])),
            ("one_hot_vector_size", int(3)),
            ("axis", int(0)),
            ("on_value", floats(&[], &[5.])),
            ("off_value", floats(&[], &[-1.])),
        ];
        let y = on("one_hot", &args).unwrap();
        assert_eq!(
            (dims(&y), numbers(&y)),
            (vec![3, 4], vec![-1., -1., -1., -1., 5., -1., -1., -1., -1., -1., -1., 5.])
        );
        args.truncate(2);
        let y = on("one_hot", &args).unwrap();
        assert_eq!((y.tensor().unwrap().dtype(), numbers(&y)[..3].to_vec()), (DType::I32, vec![0., 1., 0.]));
    }

    #[test]
    fn ranges() {
        let range = |start: f32, end: f32, step: f32| {
            let x = |v: f32| floats(&[], &[v]);
            on("range_1d", &[("start", x(start)), ("end", x(end)), ("step", x(step))]).map(|y| numbers(&y))
        };
        // numpy.arange(start, end, step, dtype=numpy.float32)
        assert_eq!(range(0., 1., 0.25).unwrap(), [0., 0.25, 0.5, 0.75]);
        assert_eq!(range(1., -1., -0.75).unwrap(), [1., 0.25, -0.5]);
        assert_eq!(range(1., 0., 1.).unwrap(), [0f64; 0]);
        assert!(range(0., 1., 0.).is_err() && range(0., f32::NAN, 1.).is_err());
        assert!(matches!(range(0., 1e9, 1e-3), Err(EvalError::Memory { .. })));
        let i = |v: i64| Array::new(DType::I32, [], vec![v]).unwrap().into();
        let y = on("range_1d", &[("start", i(-7)), ("end", i(6)), ("step", i(5))]).unwrap();
        assert_eq!(numbers(&y), [-7., -2., 3.]);
    }
}

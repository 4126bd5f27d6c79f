//! Ops that move or repeat elements along axes: transposes, joins, splits, tiles, padding, reversals.

use smallvec::SmallVec;

use crate::array::{Array, Element};
use crate::call::{Call, Computed, Values, each, normal, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::number::Number;
use crate::ops::shape::product;
use crate::value::Value;
use crate::view::{Axis, View, pick, put, strides, take};

pub(crate) const TABLE: Table = &[
    ("concat", Kernel::Any(concat)),
    ("pad", Kernel::Any(pad)),
    ("reverse", Kernel::Any(reverse)),
    ("reverse_sequence", Kernel::Any(reverse_sequence)),
    ("split", Kernel::Any(split)),
    ("stack", Kernel::Any(stack)),
    ("tile", Kernel::Any(tile)),
    ("transpose", Kernel::Any(transpose)),
];

/// The elements of a view of `x`, with these extents.
///
/// # Errors
/// Where the view does not fit, and where the result is more than the run may use.
pub(crate) fn viewed(call: &Call<'_>, x: &Array, view: &View, dims: &[u64]) -> Result<Array, EvalError> {
    each!(x, |items| call.make(x.dtype(), dims, take(call, items, view)?))
}

fn transpose(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let perm = call.axes("perm", x.rank())?.ok_or_else(|| EvalError::Missing("perm".into()))?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..x.rank()) {
        return Err(EvalError::bad("perm", format!("{perm:?} is no order of {} axes", x.rank())));
    }
    let view = View::of(x.dims()).permuted(perm);
    let dims = view.dims();
    // extents of 1 may go anywhere
    let moved = |v: &View| v.axes().iter().filter(|a| a.extent != 1).map(|a| a.step).collect::<Vec<_>>();
    if moved(&view) == moved(&View::of(x.dims())) {
        return one(x.reshaped(dims)?);
    }
    one(viewed(call, x, &view, &dims)?)
}

fn reverse(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let mut view = View::of(x.dims());
    let mut axes = call.axes("axes", x.rank())?.unwrap_or_else(|| (0..x.rank()).collect());
    axes.sort_unstable();
    axes.dedup();
    for axis in axes {
        let extent = view.axes()[axis].extent;
        view = view.cut(axis, extent as i64 - 1, -1, extent);
    }
    one(viewed(call, x, &view, x.dims())?)
}

/// The first elements along one axis turn round, as many as `lengths` says for each place along another.
fn reverse_sequence(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (seq, batch) = (call.axis("seq_axis", x.rank())?, call.axis("batch_axis", x.rank())?);
    let lengths = call.counts("lengths")?;
    if seq == batch {
        return Err(EvalError::bad("batch_axis", format!("axis {batch} is that of the sequences")));
    }
    if lengths.len() as u64 != x.dims()[batch] || lengths.iter().any(|&n| n > x.dims()[seq]) {
        return Err(EvalError::bad("lengths", format!("{lengths:?} for {x:?}")));
    }
    fn turn<T: Element + Default>(
        call: &Call<'_>,
        x: &Array,
        items: &[T],
        lengths: &[u64],
        [seq, batch]: [usize; 2],
    ) -> Result<Array, EvalError> {
        let mut out = call.zeros::<T>(x.dims())?;
        out.copy_from_slice(items);
        if !items.is_empty() {
            for (b, &n) in lengths.iter().enumerate().filter(|&(_, &n)| n > 1) {
                let whole = View::of(x.dims()).cut(batch, b as i64, 1, 1);
                let back = whole.clone().cut(seq, n as i64 - 1, -1, n);
                put(&mut out, &whole.cut(seq, 0, 1, n), items, &back)?;
            }
        }
        call.make(x.dtype(), x.dims(), out)
    }
    one(each!(x, |items| turn(call, x, items, &lengths, [seq, batch]))?)
}

/// Copies each part to its place in a result that starts out as `out`.
fn join<T: Element>(mut out: Vec<T>, parts: &[&Array], places: &[View]) -> Result<Vec<T>, EvalError> {
    for (part, place) in parts.iter().zip(places) {
        let items = part.items::<T>();
        let items = items.ok_or_else(|| EvalError::bad("values", "they have elements of several kinds"))?;
        let from = View::of(&place.dims());
        put(&mut out, place, items, &from)?;
    }
    Ok(out)
}

fn joined(call: &Call<'_>, parts: &[&Array], dims: &[u64], places: &[View]) -> Computed {
    let first = parts.first().ok_or_else(|| EvalError::Missing("values".into()))?;
    one(each!(first, |items| {
        let out = same_kind(call, items, dims)?;
        call.make(first.dtype(), dims, join(out, parts, places)?)
    })?)
}

/// Memory for a result of the kind that `like` has.
fn same_kind<T: Element + Default>(call: &Call<'_>, _like: &[T], dims: &[u64]) -> Result<Vec<T>, EvalError> {
    call.zeros(dims)
}

/// Scalars concatenate into a vector.
fn concat(call: &Call<'_>) -> Computed {
    let parts = call.all("values")?;
    let first = *parts.first().ok_or_else(|| EvalError::Missing("values".into()))?;
    let vector = [1];
    let extents = |a: &Array| if a.rank() == 0 { vector.to_vec() } else { a.dims().to_vec() };
    let mut dims = extents(first);
    let axis = match first.rank() {
        0 => 0,
        rank => call.axis("axis", rank)?,
    };
    let interleave = call.flag("interleave")?;
    let mut total = 0u64;
    for part in &parts {
        let other = extents(part);
        let differs = |(i, (a, b)): (usize, (&u64, &u64))| a != b && (i != axis || interleave);
        if part.rank() != first.rank() || dims.iter().zip(&other).enumerate().any(differs) {
            return Err(EvalError::bad("values", format!("{part:?} beside {first:?} along axis {axis}")));
        }
        total = total.saturating_add(other[axis]);
    }
    let each = dims[axis];
    dims[axis] = total;
    let mut at = 0;
    let places = parts.iter().enumerate().map(|(i, part)| {
        let whole = View::of(&dims);
        if interleave {
            return whole.cut(axis, i as i64, parts.len() as i64, each);
        }
        let n = extents(part)[axis];
        let place = whole.cut(axis, at, 1, n);
        at += n as i64;
        place
    });
    let places: Vec<View> = places.collect();
    joined(call, &parts, &dims, &places)
}

fn stack(call: &Call<'_>) -> Computed {
    let parts = call.all("values")?;
    let first = *parts.first().ok_or_else(|| EvalError::Missing("values".into()))?;
    if let Some(other) = parts.iter().find(|p| p.dims() != first.dims()) {
        return Err(EvalError::bad("values", format!("{other:?} beside {first:?}")));
    }
    let axis = normal("axis", call.int("axis")?, first.rank() + 1)?;
    let mut dims = first.dims().to_vec();
    dims.insert(axis, parts.len() as u64);
    let places: Vec<View> = (0..parts.len()).map(|i| View::of(&dims).cut(axis, i as i64, 1, 1)).collect();
    joined(call, &parts, &dims, &places)
}

/// `split_sizes` decides, where given; else `num_splits` equal parts.
fn split(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axis = call.axis("axis", x.rank())?;
    let n = x.dims()[axis];
    let parts = match call.find("num_splits")? {
        Some(_) => Some(call.int("num_splits")?),
        None => None,
    };
    let sizes = match (call.find("split_sizes")?, parts) {
        (Some(_), _) => call.counts("split_sizes")?,
        // as many parts as the program has results for
        (None, Some(p)) if p > 0 && p <= 1 << 16 && n % p as u64 == 0 => vec![n / p as u64; p as usize],
        (None, Some(p)) => {
            return Err(EvalError::bad("num_splits", format!("{p} parts of an extent of {n}")));
        }
        (None, None) => return Err(EvalError::Missing("num_splits".into())),
    };
    if sizes.iter().try_fold(0u64, |sum, &s| sum.checked_add(s)) != Some(n) {
        return Err(EvalError::bad("split_sizes", format!("{sizes:?} for an extent of {n}")));
    }
    let mut at = 0;
    let mut out = Values::with_capacity(sizes.len());
    for size in sizes {
        let view = View::of(x.dims()).cut(axis, at, 1, size);
        out.push(Value::Tensor(viewed(call, x, &view, &view.dims())?));
        at += size as i64;
    }
    Ok(out)
}

fn tile(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let reps = call.counts("reps")?;
    if reps.len() != x.rank() {
        return Err(EvalError::bad("reps", format!("{reps:?} for rank {}", x.rank())));
    }
    let mut dims = Vec::with_capacity(reps.len());
    let mut axes: SmallVec<[Axis; 12]> = SmallVec::new();
    for (a, &rep) in View::of(x.dims()).axes().iter().zip(&reps) {
        dims.push(product(&[a.extent, rep])?);
        axes.extend([Axis { extent: rep, step: 0 }, *a]);
    }
    one(viewed(call, x, &View::new(0, axes), &dims)?)
}

/// `pad` has two elements an axis, before and after, for the last axes of `x`.
fn pad(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let pads = call.counts("pad")?;
    let outer = x.rank().checked_sub(pads.len() / 2).filter(|_| pads.len().is_multiple_of(2));
    let outer = outer.ok_or_else(|| EvalError::bad("pad", format!("{pads:?} for rank {}", x.rank())))?;
    let mut edges = vec![[0u64; 2]; outer];
    edges.extend(pads.as_chunks().0);
    let extent = |(&n, [a, b]): (&u64, &[u64; 2])| n.checked_add(*a)?.checked_add(*b);
    let dims: Option<Vec<u64>> = x.dims().iter().zip(&edges).map(extent).collect();
    let dims = dims.ok_or_else(|| EvalError::bad("pad", format!("{pads:?} for {x:?}")))?;
    let mode = call.text("mode")?;
    if mode == "constant" {
        let value = call.float("constant_val")?;
        return one(each!(x, |items| constant_pad(call, x, items, &edges, &dims, value))?);
    }
    if crate::view::length(&dims)? == 0 {
        return one(each!(x, |items| call.make(x.dtype(), &dims, same_kind(call, items, &dims)?))?);
    }
    let mut tables = Vec::with_capacity(dims.len());
    for (((&n, &step), [before, after]), axis) in x.dims().iter().zip(&strides(x.dims())).zip(&edges).zip(0..)
    {
        let most = match mode {
            "reflect" => n.saturating_sub(1),
            "replicate" if n > 0 => u64::MAX,
            "replicate" => 0,
            _ => {
                return Err(EvalError::bad(
                    "mode",
                    format!("{mode}, where constant, reflect and replicate are"),
                ));
            }
        };
        if *before > most || *after > most {
            let why = format!("{before} and {after} at axis {axis} of extent {n}, in mode {mode}");
            return Err(EvalError::bad("pad", why));
        }
        // the budget is asked before tables are made: they are no longer than the result
        let (n, before) = (n as i64, *before as i64);
        let place = move |i: i64| match mode {
            "reflect" if i < 0 => -i,
            "reflect" if i >= n => 2 * (n - 1) - i,
            _ => i.clamp(0, n - 1),
        };
        tables.push((before, after, n, step, place));
    }
    drop(call.shared.meter.charge(crate::view::length(&dims)? as u64)?);
    let tables: Vec<Vec<usize>> = tables
        .into_iter()
        .map(|(before, &after, n, step, place)| {
            (-before..n + after as i64).map(|i| (place(i) * step) as usize).collect()
        })
        .collect();
    one(each!(x, |items| call.make(x.dtype(), &dims, pick(call, items, &tables)?))?)
}

fn constant_pad<T: Number>(
    call: &Call<'_>,
    x: &Array,
    items: &[T],
    edges: &[[u64; 2]],
    dims: &[u64],
    value: f64,
) -> Result<Array, EvalError> {
    let mut out = call.zeros::<T>(dims)?;
    if value != 0.0 || value.is_sign_negative() {
        out.fill(T::of(value));
    }
    if !items.is_empty() {
        let mut place = View::of(dims);
        for (axis, ([before, _], &n)) in edges.iter().zip(x.dims()).enumerate() {
            place = place.cut(axis, *before as i64, 1, n);
        }
        put(&mut out, &place, items, &View::of(x.dims()))?;
    }
    call.make(x.dtype(), dims, out)
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, floats, int, int_list, ints, numbers, on, text};
    use crate::{EvalError, Value};

    fn ints_in(d: &[u64], items: &[i64]) -> Value {
        int_list(items).tensor().unwrap().reshaped(d.iter().copied()).unwrap().into()
    }

    #[test]
    fn transposes() {
        // numpy.arange(12).reshape(2, 3, 2).transpose(1, 2, 0).ravel()
        let y = on("transpose", &[("x", ints(&[2, 3, 2])), ("perm", int_list(&[1, -1, 0]))]).unwrap();
        assert_eq!(
            (dims(&y), numbers(&y)),
            (vec![3, 2, 2], vec![0., 6., 1., 7., 2., 8., 3., 9., 4., 10., 5., 11.])
        );
        assert!(on("transpose", &[("x", ints(&[2, 3])), ("perm", int_list(&[0, 0]))]).is_err());
    }

    #[test]
    fn large_transposes_in_blocks_and_threads() {
        // element [k, j, i] of numpy.arange(70 * 45 * 33).reshape(70, 45, 33).transpose(2, 1, 0)
        let y = on("transpose", &[("x", ints(&[70, 45, 33])), ("perm", int_list(&[2, 1, 0]))]).unwrap();
        let y = y.tensor().unwrap().items::<i64>().unwrap().to_vec();
        for (k, j, i) in [(0, 0, 0), (32, 44, 69), (17, 3, 68), (31, 44, 0), (5, 0, 16)] {
            assert_eq!(y[(k * 45 + j) * 70 + i] as usize, (i * 45 + j) * 33 + k);
        }
        let back = crate::Array::new(anewrite_tensor::DType::I32, [33, 45, 70], y).unwrap();
        let back = on("transpose", &[("x", back.into()), ("perm", int_list(&[2, 1, 0]))]).unwrap();
        assert_eq!(numbers(&back), numbers(&ints(&[70, 45, 33])));
    }

    #[test]
    fn joins() {
        let (a, b) = (ints(&[2, 1]), ints_in(&[2, 2], &[7, 8, 9, 10]));
        let args = [("values", a), ("values", b), ("axis", int(-1))];
        assert_eq!(numbers(&on("concat", &args).unwrap()), [0., 7., 8., 1., 9., 10.]);
        // coremltools' own example of interleaving
        let (a, b) = (ints_in(&[3, 2], &[1, 2, 3, 4, 5, 6]), ints_in(&[3, 2], &[7, 8, 9, 10, 11, 12]));
        let mut args =
            vec![("values", a), ("values", b), ("axis", int(0)), ("interleave", crate::testing::flag(true))];
        let y = on("concat", &args).unwrap();
        assert_eq!(
            (dims(&y), numbers(&y)),
            (vec![6, 2], vec![1., 2., 7., 8., 3., 4., 9., 10., 5., 6., 11., 12.])
        );
        args[2].1 = int(1);
        // numpy.stack((a, b), 2).reshape(3, 4)
        assert_eq!(numbers(&on("concat", &args).unwrap())[..4], [1., 7., 2., 8.]);
        // numpy.stack((a, b), 1)
        let y = on("stack", &[args[0].clone(), args[1].clone(), ("axis", int(-2))]).unwrap();
        assert_eq!((dims(&y), numbers(&y)[..6].to_vec()), (vec![3, 2, 2], vec![1., 2., 7., 8., 3., 4.]));
        let scalars = [("values", int(4)), ("values", int(-5)), ("axis", int(0))];
        assert_eq!(dims(&on("concat", &scalars).unwrap()), [2]);
    }

    #[test]
    fn parts() {
        let args = [("x", ints(&[2, 5])), ("split_sizes", int_list(&[2, 0, 3])), ("axis", int(1))];
        let y = crate::testing::all_on("split", &args).unwrap();
        assert_eq!(y.iter().map(dims).collect::<Vec<_>>(), [[2, 2], [2, 0], [2, 3]]);
        assert_eq!(numbers(&y[2]), [2., 3., 4., 7., 8., 9.]);
        let args = [("x", ints(&[2, 5])), ("num_splits", int(2)), ("axis", int(1))];
        assert!(on("split", &args).is_err());
    }

    #[test]
    fn repeats_and_reversals() {
        // numpy.tile([[0, 1], [2, 3]], (1, 2)) and (2, 1)
        let tile = |r: &[i64]| on("tile", &[("x", ints(&[2, 2])), ("reps", int_list(r))]);
        assert_eq!(numbers(&tile(&[1, 2]).unwrap()), [0., 1., 0., 1., 2., 3., 2., 3.]);
        assert_eq!(numbers(&tile(&[2, 1]).unwrap()), [0., 1., 2., 3., 0., 1., 2., 3.]);
        assert!(matches!(tile(&[1 << 20, 1 << 20]), Err(EvalError::Memory { .. })));
        assert!(tile(&[1 << 40, 1 << 40]).is_err() && tile(&[-1, 1]).is_err());
        // numpy.flip(x, 1), numpy.flip(x)
        let x = ints(&[2, 3]);
        let y = on("reverse", &[("x", x.clone()), ("axes", int_list(&[-1]))]).unwrap();
        assert_eq!(numbers(&y), [2., 1., 0., 5., 4., 3.]);
        assert_eq!(numbers(&on("reverse", &[("x", x)]).unwrap()), [5., 4., 3., 2., 1., 0.]);
        // tensorflow.reverse_sequence(x, [2, 3], seq_axis=0, batch_axis=1) of arange(6).reshape(3, 2)
        let args = [
            ("x", ints(&[3, 2])),
            ("lengths", int_list(&[2, 3])),
            ("seq_axis", int(0)),
            ("batch_axis", int(-1)),
        ];
        assert_eq!(numbers(&on("reverse_sequence", &args).unwrap()), [2., 5., 0., 3., 4., 1.]);
    }

    #[test]
    fn pads() {
        let x = floats(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
        let pad = |p: &[i64], mode: &str| {
            on(
                "pad",
                &[
                    ("x", x.clone()),
                    ("pad", int_list(p)),
                    ("mode", text(mode)),
                    ("constant_val", floats(&[], &[0.5])),
                ],
            )
        };
        // torch.nn.functional.pad(x, (2, 1), mode) and numpy.pad(x, ((1, 0), (0, 2)), mode)
        assert_eq!(numbers(&pad(&[2, 1], "reflect").unwrap())[..6], [3., 2., 1., 2., 3., 2.]);
        assert_eq!(numbers(&pad(&[4, 1], "replicate").unwrap())[..8], [1., 1., 1., 1., 1., 2., 3., 3.]);
        let y = pad(&[1, 0, 0, 2], "reflect").unwrap();
        assert_eq!(numbers(&y), [4., 5., 6., 5., 4., 1., 2., 3., 2., 1., 4., 5., 6., 5., 4.]);
        let y = pad(&[0, 1, 1, 0], "constant").unwrap();
        assert_eq!(numbers(&y), [0.5, 1., 2., 3., 0.5, 4., 5., 6., 0.5, 0.5, 0.5, 0.5]);
        assert!(pad(&[3, 0], "reflect").is_err() && pad(&[1], "constant").is_err());
        assert!(matches!(pad(&[0, 1 << 40], "replicate"), Err(EvalError::Memory { .. })));
        assert!(pad(&[i64::MAX, i64::MAX], "constant").is_err());
    }
}

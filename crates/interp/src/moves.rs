//! Ops that put elements elsewhere and change none: one answer for every dtype of whole bytes.

use anewrite_tensor::{Payload, Tensor};
use bytes_of::Source;

use crate::error::FoldError;
use crate::fold::{Call, broadcast, each_index, normal, position};

pub(crate) fn evaluate(call: &Call<'_>) -> Result<Tensor, FoldError> {
    match call.kind {
        "identity" | "reshape" | "squeeze" | "expand_dims" | "flatten2d" => {
            Ok(call.get("x")?.reshaped(call.dims.iter().copied())?)
        }
        "transpose" => transpose(call),
        "reverse" => reverse(call),
        "slice_by_index" => slice(call),
        "slice_by_size" => slice_by_size(call),
        "concat" => concat(call),
        "stack" => stack(call),
        "gather" => gather(call),
        "tile" => tile(call),
        "select" => select(call),
        "fill" => fill(call),
        kind => Err(FoldError::Unsupported(kind.to_owned())),
    }
}

mod bytes_of {
    use anewrite_tensor::Tensor;

    use crate::error::FoldError;

    /// The elements of a constant as runs of bytes.
    pub(super) struct Source {
        bytes: Vec<u8>,
        width: usize,
    }

    impl Source {
        pub(super) fn of(t: &Tensor) -> Result<Source, FoldError> {
            let bits = t.dtype().bits();
            if bits == 0 || !bits.is_multiple_of(8) {
                return Err(FoldError::Unsupported(format!("an op on {}", t.dtype())));
            }
            Ok(Source { bytes: t.bytes()?.to_vec(), width: bits as usize / 8 })
        }

        pub(super) fn element(&self, at: u64) -> Result<&[u8], FoldError> {
            let at = at as usize * self.width;
            let outside = || FoldError::Bad("an index is outside the operand".into());
            self.bytes.get(at..at + self.width).ok_or_else(outside)
        }
    }
}

/// Builds the result by asking for the position of each element in the source.
fn pick(
    call: &Call<'_>,
    x: &Tensor,
    mut from: impl FnMut(&[u64]) -> Result<u64, FoldError>,
) -> Result<Tensor, FoldError> {
    let source = Source::of(x)?;
    let mut out = Vec::new();
    each_index(&call.dims, |index| {
        out.extend_from_slice(source.element(from(index)?)?);
        Ok(())
    })?;
    Ok(Tensor::new(x.dtype(), call.dims.iter().copied(), Payload::from(out))?)
}

fn transpose(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let perm = call.ints("perm")?.ok_or(FoldError::Missing("perm"))?;
    let perm: Vec<usize> = perm.iter().map(|&a| normal(a, x.rank())).collect::<Result<_, _>>()?;
    if perm.len() != x.rank() || call.dims.len() != x.rank() {
        return Err(FoldError::Bad("perm has not the rank of x".into()));
    }
    let mut at = vec![0; x.rank()];
    pick(call, x, |index| {
        for (i, &axis) in perm.iter().enumerate() {
            at[axis] = index[i];
        }
        Ok(position(x.dims(), &at))
    })
}

fn reverse(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let axes: Vec<usize> = match call.ints("axes")? {
        Some(a) => a.iter().map(|&a| normal(a, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    pick(call, x, |index| {
        let mut at = index.to_vec();
        for &a in &axes {
            at[a] = x.dims()[a] - 1 - at[a];
        }
        Ok(position(x.dims(), &at))
    })
}

/// First element and step of one sliced axis, and whether the axis goes.
struct Cut {
    first: i64,
    step: i64,
    squeezed: bool,
}

fn cut(call: &Call<'_>, x: &Tensor, cuts: &[Cut]) -> Result<Tensor, FoldError> {
    pick(call, x, |index| {
        let mut rest = index.iter();
        let mut at = Vec::with_capacity(cuts.len());
        for c in cuts {
            let i = if c.squeezed { 0 } else { rest.next().copied().unwrap_or(0) };
            let value = c.first + c.step * i as i64;
            at.push(
                u64::try_from(value)
                    .map_err(|_| FoldError::Bad("a slice begins before the tensor".into()))?,
            );
        }
        if at.iter().zip(x.dims()).any(|(&i, &d)| i >= d) {
            return Err(FoldError::Bad("a slice passes the end of the tensor".into()));
        }
        Ok(position(x.dims(), &at))
    })
}

fn slice(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let rank = x.rank();
    let begin = call.ints("begin")?.ok_or(FoldError::Missing("begin"))?;
    let stride = call.ints("stride")?.unwrap_or_else(|| vec![1; rank]);
    let mask = call.ints("begin_mask")?.unwrap_or_else(|| vec![0; rank]);
    let squeeze = call.ints("squeeze_mask")?.unwrap_or_else(|| vec![0; rank]);
    if [begin.len(), stride.len(), mask.len(), squeeze.len()] != [rank; 4] {
        return Err(FoldError::Bad("begin, stride and masks have not the rank of x".into()));
    }
    let cuts = (0..rank).map(|i| {
        let extent = x.dims()[i] as i64;
        let given = if begin[i] < 0 { begin[i] + extent } else { begin[i] };
        let first = match (mask[i] != 0, stride[i] > 0) {
            (false, _) => given,
            (true, true) => 0,
            (true, false) => extent - 1,
        };
        Cut { first, step: stride[i], squeezed: squeeze[i] != 0 }
    });
    cut(call, x, &cuts.collect::<Vec<_>>())
}

fn slice_by_size(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let begin = call.ints("begin")?.ok_or(FoldError::Missing("begin"))?;
    if begin.len() != x.rank() {
        return Err(FoldError::Bad("begin has not the rank of x".into()));
    }
    let front = |(&b, &d): (&i64, &u64)| if b < 0 { b + d as i64 } else { b };
    let cuts = begin.iter().zip(x.dims()).map(|p| Cut { first: front(p), step: 1, squeezed: false });
    cut(call, x, &cuts.collect::<Vec<_>>())
}

fn concat(call: &Call<'_>) -> Result<Tensor, FoldError> {
    if call.int_or("interleave", 0)? != 0 {
        return Err(FoldError::Unsupported("concat with interleave".into()));
    }
    let parts: Vec<&Tensor> = call.all("values").collect();
    let axis = call.axis("axis", 0, call.dims.len())?;
    let sources: Vec<Source> = parts.iter().map(|t| Source::of(t)).collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    each_index(&call.dims, |index| {
        let mut at = index.to_vec();
        for (t, source) in parts.iter().zip(&sources) {
            let extent = t.dims().get(axis).copied().unwrap_or(1);
            if at[axis] < extent {
                out.extend_from_slice(source.element(position(t.dims(), &at))?);
                return Ok(());
            }
            at[axis] -= extent;
        }
        Err(FoldError::Bad("the parts are shorter than the result".into()))
    })?;
    Ok(Tensor::new(call.dtype, call.dims.iter().copied(), Payload::from(out))?)
}

fn stack(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let sources: Vec<Source> = call.all("values").map(Source::of).collect::<Result<_, _>>()?;
    let axis = call.axis("axis", 0, call.dims.len())?;
    let mut inner = call.dims.clone();
    inner.remove(axis);
    let mut out = Vec::new();
    each_index(&call.dims, |index| {
        let mut at = index.to_vec();
        let which = at.remove(axis) as usize;
        let source = sources.get(which).ok_or_else(|| FoldError::Bad("the result has more parts".into()))?;
        out.extend_from_slice(source.element(position(&inner, &at))?);
        Ok(())
    })?;
    Ok(Tensor::new(call.dtype, call.dims.iter().copied(), Payload::from(out))?)
}

fn gather(call: &Call<'_>) -> Result<Tensor, FoldError> {
    if call.int_or("batch_dims", 0)? != 0 {
        return Err(FoldError::Unsupported("gather with batch dims".into()));
    }
    let (x, indices) = (call.get("x")?, call.get("indices")?);
    let axis = call.axis("axis", 0, x.rank())?;
    let (which, rank) = (indices.to_i64s()?, indices.rank());
    let extent = x.dims()[axis] as i64;
    pick(call, x, |index| {
        let (before, rest) = index.split_at(axis.min(index.len()));
        let (chosen, after) = rest.split_at(rank.min(rest.len()));
        let i = which.get(position(indices.dims(), chosen) as usize).copied().unwrap_or(-1);
        let i = if i < 0 { i + extent } else { i };
        let i = u64::try_from(i).ok().filter(|&i| (i as i64) < extent);
        let i = i.ok_or_else(|| FoldError::Bad("an index is outside the axis".into()))?;
        let at: Vec<u64> = before.iter().copied().chain([i]).chain(after.iter().copied()).collect();
        Ok(position(x.dims(), &at))
    })
}

fn tile(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    if call.dims.len() != x.rank() {
        return Err(FoldError::Bad("the result has not the rank of x".into()));
    }
    pick(call, x, |index| {
        let at: Vec<u64> = index.iter().zip(x.dims()).map(|(&i, &d)| i % d.max(1)).collect();
        Ok(position(x.dims(), &at))
    })
}

fn select(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let (cond, a, b) = (call.get("cond")?, call.get("a")?, call.get("b")?);
    let (choice, from_a, from_b) = (cond.to_i64s()?, Source::of(a)?, Source::of(b)?);
    let mut out = Vec::new();
    each_index(&call.dims, |index| {
        let yes = choice.get(broadcast(cond.dims(), index) as usize).is_some_and(|&c| c != 0);
        let element = match yes {
            true => from_a.element(broadcast(a.dims(), index))?,
            false => from_b.element(broadcast(b.dims(), index))?,
        };
        out.extend_from_slice(element);
        Ok(())
    })?;
    Ok(Tensor::new(a.dtype(), call.dims.iter().copied(), Payload::from(out))?)
}

fn fill(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let value = call.get("value")?;
    pick(call, value, |_| Ok(0))
}

#[cfg(test)]
mod tests {
    use anewrite_ir::TensorType;
    use anewrite_tensor::DType;

    use super::*;
    use crate::fold::fold;

    fn x(dims: &[u64]) -> Tensor {
        let n = dims.iter().product::<u64>() as i32;
        Tensor::i32s(0..n).reshaped(dims.iter().copied()).unwrap()
    }

    fn run(kind: &str, args: &[(&str, &Tensor)], dims: &[u64]) -> Vec<i64> {
        let ty = TensorType::fixed(DType::I32, dims.iter().copied());
        fold(kind, args, &ty, 1 << 20).unwrap().to_i64s().unwrap()
    }

    #[test]
    fn transpose_of_rank_three() {
        // numpy.arange(12).reshape(2, 3, 2).transpose(1, 2, 0).ravel()
        let got = run("transpose", &[("x", &x(&[2, 3, 2])), ("perm", &Tensor::i32s([1, -1, 0]))], &[3, 2, 2]);
        assert_eq!(got, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
    }

    #[test]
    fn slice_backwards_with_masks_and_a_squeezed_axis() {
        // numpy.arange(24).reshape(2, 4, 3)[1, ::-2, 1:]
        let args: [(&str, &Tensor); 6] = [
            ("x", &x(&[2, 4, 3])),
            ("begin", &Tensor::i32s([-1, 0, 1])),
            ("end", &Tensor::i32s([0, 0, 3])),
            ("stride", &Tensor::i32s([1, -2, 1])),
            ("begin_mask", &Tensor::bools([false, true, false])),
            ("squeeze_mask", &Tensor::bools([true, false, false])),
        ];
        assert_eq!(run("slice_by_index", &args, &[2, 2]), [22, 23, 16, 17]);
    }

    #[test]
    fn gather_of_a_matrix_of_indices() {
        // numpy.take(numpy.arange(6).reshape(2, 3), [[2, -3], [1, 1]], axis=1)
        let i = Tensor::i32s([2, -3, 1, 1]).reshaped([2, 2]).unwrap();
        let got =
            run("gather", &[("x", &x(&[2, 3])), ("indices", &i), ("axis", &Tensor::i32(1))], &[2, 2, 2]);
        assert_eq!(got, [2, 0, 1, 1, 5, 3, 4, 4]);
        let out = Tensor::i32s([3]);
        let ty = TensorType::fixed(DType::I32, [2, 1]);
        assert!(
            fold("gather", &[("x", &x(&[2, 3])), ("indices", &out), ("axis", &Tensor::i32(1))], &ty, 99)
                .is_err()
        );
    }

    #[test]
    fn concat_stack_tile_and_reverse() {
        let (a, b) = (x(&[2, 1]), Tensor::i32s([7, 8, 9, 10]).reshaped([2, 2]).unwrap());
        let args = [("values", &a), ("values", &b), ("axis", &Tensor::i32(-1))];
        assert_eq!(run("concat", &args, &[2, 3]), [0, 7, 8, 1, 9, 10]);
        let (a, b) = (Tensor::i32s([1, 2]), Tensor::i32s([3, 4]));
        assert_eq!(
            run("stack", &[("values", &a), ("values", &b), ("axis", &Tensor::i32(1))], &[2, 2]),
            [1, 3, 2, 4]
        );
        // numpy.tile([[0, 1]], (2, 2)) and numpy.flip([[0, 1, 2], [3, 4, 5]], 1)
        assert_eq!(
            run("tile", &[("x", &x(&[1, 2])), ("reps", &Tensor::i32s([2, 2]))], &[2, 4]),
            [0, 1, 0, 1, 0, 1, 0, 1]
        );
        assert_eq!(
            run("reverse", &[("x", &x(&[2, 3])), ("axes", &Tensor::i32s([-1]))], &[2, 3]),
            [2, 1, 0, 5, 4, 3]
        );
    }

    #[test]
    fn a_result_over_the_budget_is_not_made() {
        let ty = TensorType::fixed(DType::F16, [1_000_000, 1_000_000]);
        let e = fold("fill", &[("shape", &Tensor::i32s([1, 1])), ("value", &Tensor::i32(0))], &ty, 1 << 20);
        assert!(matches!(e, Err(FoldError::TooLarge(_))));
    }
}

//! Ops that trade height and width against channels or batch.

use crate::array::Array;
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::ops::movement::viewed;
use crate::ops::shape::product;
use crate::view::{View, put};

pub(crate) const TABLE: Table = &[
    ("batch_to_space", Kernel::Any(batch_to_space)),
    ("depth_to_space", Kernel::Any(|call| to_space(call, "block_size", [0, 3, 4, 1, 5, 2]))),
    ("pixel_shuffle", Kernel::Any(|call| to_space(call, "upscale_factor", [0, 1, 4, 2, 5, 3]))),
    ("pixel_unshuffle", Kernel::Any(|call| to_depth(call, "downscale_factor", [0, 1, 3, 5, 2, 4]))),
    ("space_to_batch", Kernel::Any(space_to_batch)),
    ("space_to_depth", Kernel::Any(|call| to_depth(call, "block_size", [0, 3, 5, 1, 2, 4]))),
];

fn nchw(x: &Array) -> Result<[u64; 4], EvalError> {
    x.dims().try_into().map_err(|_| EvalError::bad("x", format!("rank 4 is needed, this is {x:?}")))
}

fn factor(call: &Call<'_>, param: &str) -> Result<u64, EvalError> {
    match call.counts(param)?.as_slice() {
        [f] if *f > 0 => Ok(*f),
        f => Err(EvalError::bad(param, format!("one positive factor is needed, not {f:?}"))),
    }
}

fn over(n: u64, by: u64) -> Result<u64, EvalError> {
    match n.checked_rem(by) {
        Some(0) => Ok(n / by),
        _ => Err(EvalError::bad("x", format!("an extent of {n}, which {by} does not divide"))),
    }
}

/// The elements with axes parted as `parts` and reordered by `perm`.
fn rearranged(
    call: &Call<'_>,
    x: &Array,
    parts: [u64; 6],
    perm: [usize; 6],
    dims: [u64; 4],
) -> Result<Array, EvalError> {
    viewed(call, x, &View::of(&parts).permuted(perm), &dims)
}

/// Channels are parted into `[block, block, channel]` or `[channel, block, block]`, which decides `perm`.
fn to_space(call: &Call<'_>, param: &str, perm: [usize; 6]) -> Computed {
    let x = call.array("x")?;
    let ([n, c, h, w], f) = (nchw(x)?, factor(call, param)?);
    let out = over(c, product(&[f, f])?)?;
    let parts = if perm[1] == 1 { [n, out, f, f, h, w] } else { [n, f, f, out, h, w] };
    one(rearranged(call, x, parts, perm, [n, out, product(&[h, f])?, product(&[w, f])?])?)
}

fn to_depth(call: &Call<'_>, param: &str, perm: [usize; 6]) -> Computed {
    let x = call.array("x")?;
    let ([n, c, h, w], f) = (nchw(x)?, factor(call, param)?);
    let (oh, ow) = (over(h, f)?, over(w, f)?);
    one(rearranged(call, x, [n, c, oh, f, ow, f], perm, [n, product(&[c, f, f])?, oh, ow])?)
}

/// Block height and width, and what is added or taken before and after each: `[top, bottom, left, right]`.
fn blocks(call: &Call<'_>, edges: &str) -> Result<([u64; 2], [u64; 4]), EvalError> {
    let block = call.counts("block_shape")?;
    let block = <[u64; 2]>::try_from(block).ok().filter(|b| !b.contains(&0));
    let block = block.ok_or_else(|| EvalError::bad("block_shape", "two positive extents are needed"))?;
    let edge = <[u64; 4]>::try_from(call.counts(edges)?);
    Ok((block, edge.map_err(|_| EvalError::bad(edges, "two rows of two extents are needed"))?))
}

fn space_to_batch(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let ([n, c, h, w], ([bh, bw], [top, bottom, left, right])) = (nchw(x)?, blocks(call, "paddings")?);
    let padded = |n: u64, a: u64, b: u64| {
        let n = n.checked_add(a).and_then(|n| n.checked_add(b));
        n.ok_or_else(|| EvalError::bad("paddings", format!("{a} and {b}")))
    };
    let (h, w) = (padded(h, top, bottom)?, padded(w, left, right)?);
    let (oh, ow) = (over(h, bh)?, over(w, bw)?);
    let dims = [product(&[n, bh, bw])?, c, oh, ow];
    let place =
        |view: View, like: &[u64]| view.cut(2, top as i64, 1, like[2]).cut(3, left as i64, 1, like[3]);
    let x = match [top, bottom, left, right] {
        [0, 0, 0, 0] => x.clone(),
        _ => {
            let dims = [n, c, h, w];
            fn pad<T: crate::number::Number>(
                call: &Call<'_>,
                x: &Array,
                items: &[T],
                dims: &[u64],
                place: &View,
            ) -> Result<Array, EvalError> {
                let mut out = call.zeros::<T>(dims)?;
                put(&mut out, place, items, &View::of(x.dims()))?;
                call.make(x.dtype(), dims, out)
            }
            each!(x, |items| pad(call, x, items, &dims, &place(View::of(&dims), x.dims())))?
        }
    };
    one(rearranged(call, &x, [n, c, oh, bh, ow, bw], [3, 5, 0, 1, 2, 4], dims)?)
}

fn batch_to_space(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let ([n, c, h, w], ([bh, bw], [top, bottom, left, right])) = (nchw(x)?, blocks(call, "crops")?);
    let on = over(n, product(&[bh, bw])?)?;
    let (wide_h, wide_w) = (product(&[h, bh])?, product(&[w, bw])?);
    let whole = rearranged(call, x, [bh, bw, on, c, h, w], [2, 3, 4, 0, 5, 1], [on, c, wide_h, wide_w])?;
    let cropped = |n: u64, a: u64, b: u64| {
        let left = n.checked_sub(a).and_then(|n| n.checked_sub(b));
        left.ok_or_else(|| EvalError::bad("crops", format!("{a} and {b} of {n}")))
    };
    let (oh, ow) = (cropped(wide_h, top, bottom)?, cropped(wide_w, left, right)?);
    let view = View::of(whole.dims()).cut(2, top as i64, 1, oh).cut(3, left as i64, 1, ow);
    one(viewed(call, &whole, &view, &[on, c, oh, ow])?)
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, int, int_list, ints, numbers, on};

    #[test]
    fn channels_become_space_and_back() {
        // onnx DepthToSpace, mode DCR and CRD, of arange(16).reshape(1, 8, 1, 2): the latter is torch.pixel_shuffle
        let x = ints(&[1, 8, 1, 2]);
        let deep = on("depth_to_space", &[("x", x.clone()), ("block_size", int(2))]).unwrap();
        assert_eq!(dims(&deep), [1, 2, 2, 4]);
        assert_eq!(numbers(&deep), [0., 4., 1., 5., 8., 12., 9., 13., 2., 6., 3., 7., 10., 14., 11., 15.]);
        let shuffled = on("pixel_shuffle", &[("x", x.clone()), ("upscale_factor", int(2))]).unwrap();
        assert_eq!(
            numbers(&shuffled),
            [0., 2., 1., 3., 4., 6., 5., 7., 8., 10., 9., 11., 12., 14., 13., 15.]
        );
        let back = on("space_to_depth", &[("x", deep), ("block_size", int(2))]).unwrap();
        assert_eq!((dims(&back), numbers(&back)), (dims(&x), numbers(&x)));
        let back = on("pixel_unshuffle", &[("x", shuffled), ("downscale_factor", int(2))]).unwrap();
        assert_eq!((dims(&back), numbers(&back)), (dims(&x), numbers(&x)));
        assert!(on("depth_to_space", &[("x", x), ("block_size", int(3))]).is_err());
    }

    #[test]
    fn space_becomes_batch_and_back() {
        // tensorflow.space_to_batch of arange(1, 17).reshape(2, 1, 2, 4), blocks of 2, two columns before
        let x = int_list(&(1..17).collect::<Vec<_>>()).tensor().unwrap().reshaped([2, 1, 2, 4]).unwrap();
        let args = [
            ("x", x.clone().into()),
            ("block_shape", int_list(&[2, 2])),
            ("paddings", int_list(&[0, 0, 2, 0])),
        ];
        let y = on("space_to_batch", &args).unwrap();
        assert_eq!(dims(&y), [8, 1, 1, 3]);
        assert_eq!(numbers(&y)[..12], [0., 1., 3., 0., 9., 11., 0., 2., 4., 0., 10., 12.]);
        assert_eq!(numbers(&y)[12..], [0., 5., 7., 0., 13., 15., 0., 6., 8., 0., 14., 16.]);
        let args = [("x", y), ("block_shape", int_list(&[2, 2])), ("crops", int_list(&[0, 0, 2, 0]))];
        let back = on("batch_to_space", &args).unwrap();
        assert_eq!((dims(&back), numbers(&back)), (vec![2, 1, 2, 4], x.to_f64s().unwrap()));
    }
}

//! A program of any number of ops, in the mix that converters give: convolutions with their five small arguments,
//! normalisations, attention, and the transposes and reshapes around them. There are about three constants an op.

use std::io;
use std::path::Path;

use super::program::{Arg, Builder, Tensor, half};
use super::refused;

/// Channels, rows and columns of the tensor that goes from block to block, all different.
const C: i64 = 24;
const H: i64 = 12;
const W: i64 = 10;
const S: i64 = H * W;
const IMAGE: &[i64] = &[1, C, H, W];
const SEQUENCE: &[i64] = &[1, C, S];

/// Writes a package with `ops` computing ops, and about three times as many constants, at `path`, which must not exist.
///
/// A fixed round of blocks in a shuffled order: convolutions with and without batch normalisation, depthwise ones,
/// residual sums, pooling, slices and concatenations, layer normalisation, attention and feed-forward blocks; among
/// them pairs of transposes that cancel through a relu and chains of reshapes.
///
/// # Errors
/// Where the system cannot write there, or `ops` is below 3: the casts at both ends and one op between.
pub fn mixed_program(path: &Path, ops: usize, seed: u64) -> io::Result<()> {
    if ops < 3 {
        return Err(refused(format!("a program needs 3 computing ops at least, not {ops}")));
    }
    let mut b = Builder::create(path, seed)?;
    let mut x = b.input("x", IMAGE)?;
    let mut earlier = x.clone();
    let mut round: Vec<&Block> = Vec::new();
    // The cast to 32 bits at the end is one of the ops.
    while b.computing() + 1 < ops {
        let left = ops - 1 - b.computing();
        if round.is_empty() {
            round = BLOCKS.iter().flat_map(|block| std::iter::repeat_n(block, block.times)).collect();
            for end in (1..round.len()).rev() {
                let other = b.random.below(end + 1);
                round.swap(end, other);
            }
        }
        let next = match round.pop() {
            Some(block) if block.ops <= left => (block.write)(&mut b, &x, &earlier)?,
            _ => relu(&mut b, &x)?,
        };
        earlier = std::mem::replace(&mut x, next);
    }
    b.finish(path, &x)
}

/// Some ops that take an image and one from earlier, and give an image.
struct Block {
    /// How often it comes in a round.
    times: usize,
    /// Computing ops in it.
    ops: usize,
    write: fn(&mut Builder, &Tensor, &Tensor) -> io::Result<Tensor>,
}

const BLOCKS: &[Block] = &[
    Block { times: 3, ops: 3, write: residual },
    Block { times: 3, ops: 6, write: inverted_residual },
    Block { times: 3, ops: 3, write: normalised_convolution },
    Block { times: 1, ops: 3, write: scale_and_shift },
    Block { times: 1, ops: 3, write: cancelling_transposes },
    Block { times: 1, ops: 3, write: channels_last_norm },
    Block { times: 1, ops: 3, write: reshapes },
    Block { times: 1, ops: 8, write: attention },
    Block { times: 1, ops: 5, write: feed_forward },
    Block { times: 1, ops: 2, write: concatenated },
    Block { times: 2, ops: 1, write: pool },
    Block { times: 1, ops: 3, write: shuffled_slices },
];

fn relu(b: &mut Builder, x: &Tensor) -> io::Result<Tensor> {
    b.op("relu", &[("x", Arg::Of(x))], &x.shape)
}

fn add(b: &mut Builder, x: &Tensor, y: &Tensor) -> io::Result<Tensor> {
    b.op("add", &[("x", Arg::Of(x)), ("y", Arg::Of(y))], &x.shape)
}

/// A convolution that keeps rows and columns: `kernel` is odd.
fn conv(b: &mut Builder, x: &Tensor, out: i64, kernel: i64, groups: i64) -> io::Result<Tensor> {
    let pad = (kernel / 2) as i32;
    let args = [
        ("x", Arg::Of(x)),
        ("weight", Arg::Weights(&[out, x.shape[1] / groups, kernel, kernel])),
        ("bias", Arg::Weights(&[out])),
        ("strides", Arg::Ints(&[1, 1])),
        ("pad_type", Arg::Text("custom")),
        ("pad", Arg::Ints(&[pad, pad, pad, pad])),
        ("dilations", Arg::Ints(&[1, 1])),
        ("groups", Arg::Int(groups as i32)),
    ];
    b.op("conv", &args, &[1, out, H, W])
}

fn clip(b: &mut Builder, x: &Tensor) -> io::Result<Tensor> {
    let args = [("x", Arg::Of(x)), ("alpha", Arg::Half(half::ZERO)), ("beta", Arg::Half(half::SIX))];
    b.op("clip", &args, &x.shape)
}

fn transpose(b: &mut Builder, x: &Tensor, perm: &[i32]) -> io::Result<Tensor> {
    let shape: Vec<i64> = perm.iter().map(|&axis| x.shape[axis as usize]).collect();
    b.op("transpose", &[("x", Arg::Of(x)), ("perm", Arg::Ints(perm))], &shape)
}

fn reshape(b: &mut Builder, x: &Tensor, shape: &[i64]) -> io::Result<Tensor> {
    let extents: Vec<i32> = shape.iter().map(|&extent| extent as i32).collect();
    b.op("reshape", &[("x", Arg::Of(x)), ("shape", Arg::Ints(&extents))], shape)
}

fn linear(b: &mut Builder, x: &Tensor, out: i64) -> io::Result<Tensor> {
    let (last, front) = x.shape.split_last().map_or((1, &[][..]), |(last, front)| (*last, front));
    let shape = [front, &[out]].concat();
    let args = [("x", Arg::Of(x)), ("weight", Arg::Weights(&[out, last])), ("bias", Arg::Weights(&[out]))];
    b.op("linear", &args, &shape)
}

fn residual(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = conv(b, x, C, 3, 1)?;
    let y = relu(b, &y)?;
    add(b, x, &y)
}

fn inverted_residual(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = conv(b, x, 2 * C, 1, 1)?;
    let y = clip(b, &y)?;
    let y = conv(b, &y, 2 * C, 3, 2 * C)?;
    let y = clip(b, &y)?;
    let y = conv(b, &y, C, 1, 1)?;
    add(b, x, &y)
}

fn normalised_convolution(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = conv(b, x, C, 3, 1)?;
    let args = [
        ("x", Arg::Of(&y)),
        ("mean", Arg::Weights(&[C])),
        ("variance", Arg::Weights(&[C])),
        ("gamma", Arg::Weights(&[C])),
        ("beta", Arg::Weights(&[C])),
        ("epsilon", Arg::Half(half::EPSILON)),
    ];
    let y = b.op("batch_norm", &args, IMAGE)?;
    relu(b, &y)
}

fn scale_and_shift(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = b.op("mul", &[("x", Arg::Of(x)), ("y", Arg::Weights(&[1, C, 1, 1]))], IMAGE)?;
    // With nothing between, coremltools 9.0 fuses the two into a batch normalisation of mixed types, and refuses it.
    let y = relu(b, &y)?;
    b.op("add", &[("x", Arg::Of(&y)), ("y", Arg::Weights(&[1, C, 1, 1]))], IMAGE)
}

fn cancelling_transposes(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = transpose(b, x, &[0, 2, 3, 1])?;
    let y = relu(b, &y)?;
    transpose(b, &y, &[0, 3, 1, 2])
}

fn channels_last_norm(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = transpose(b, x, &[0, 2, 3, 1])?;
    let args = [
        ("x", Arg::Of(&y)),
        ("axes", Arg::Ints(&[-1])),
        ("gamma", Arg::Weights(&[C])),
        ("beta", Arg::Weights(&[C])),
        ("epsilon", Arg::Half(half::EPSILON)),
    ];
    let y = b.op("layer_norm", &args, &y.shape)?;
    transpose(b, &y, &[0, 3, 1, 2])
}

fn reshapes(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let y = reshape(b, x, &[1, C * H, W])?;
    let y = reshape(b, &y, SEQUENCE)?;
    reshape(b, &y, IMAGE)
}

fn attention(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let matmul = |b: &mut Builder, x: &Tensor, y: &Tensor, transpose_y: bool, shape: &[i64]| {
        let flags = [("transpose_x", Arg::Bool(false)), ("transpose_y", Arg::Bool(transpose_y))];
        let [tx, ty] = flags;
        b.op("matmul", &[("x", Arg::Of(x)), ("y", Arg::Of(y)), tx, ty], shape)
    };
    let s = reshape(b, x, SEQUENCE)?;
    let q = linear(b, &s, S)?;
    let k = linear(b, &s, S)?;
    let scores = matmul(b, &q, &k, true, &[1, C, C])?;
    let scores = b.op("mul", &[("x", Arg::Of(&scores)), ("y", Arg::Half(half::EIGHTH))], &[1, C, C])?;
    let shares = b.op("softmax", &[("x", Arg::Of(&scores)), ("axis", Arg::Int(-1))], &[1, C, C])?;
    let y = matmul(b, &shares, &s, false, SEQUENCE)?;
    reshape(b, &y, IMAGE)
}

fn feed_forward(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let s = reshape(b, x, SEQUENCE)?;
    let y = linear(b, &s, 2 * S)?;
    let y = b.op("gelu", &[("x", Arg::Of(&y)), ("mode", Arg::Text("EXACT"))], &y.shape)?;
    let y = linear(b, &y, S)?;
    reshape(b, &y, IMAGE)
}

fn concatenated(b: &mut Builder, x: &Tensor, earlier: &Tensor) -> io::Result<Tensor> {
    let both = [x, earlier];
    let args = [("values", Arg::All(&both)), ("axis", Arg::Int(1)), ("interleave", Arg::Bool(false))];
    let y = b.op("concat", &args, &[1, 2 * C, H, W])?;
    conv(b, &y, C, 1, 1)
}

fn pool(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let args = [
        ("x", Arg::Of(x)),
        ("kernel_sizes", Arg::Ints(&[3, 3])),
        ("strides", Arg::Ints(&[1, 1])),
        ("pad_type", Arg::Text("custom")),
        ("pad", Arg::Ints(&[1, 1, 1, 1])),
        ("exclude_padding_from_average", Arg::Bool(false)),
        ("ceil_mode", Arg::Bool(false)),
    ];
    b.op("avg_pool", &args, IMAGE)
}

fn shuffled_slices(b: &mut Builder, x: &Tensor, _: &Tensor) -> io::Result<Tensor> {
    let slice = |b: &mut Builder, from: i64, to: i64| {
        let args = [
            ("x", Arg::Of(x)),
            ("begin", Arg::Ints(&[0, from as i32, 0, 0])),
            ("end", Arg::Ints(&[1, to as i32, H as i32, W as i32])),
            ("begin_mask", Arg::Bools(&[true, false, true, true])),
            ("end_mask", Arg::Bools(&[true, false, true, true])),
        ];
        b.op("slice_by_index", &args, &[1, to - from, H, W])
    };
    let split = C / 3;
    let (head, tail) = (slice(b, 0, split)?, slice(b, split, C)?);
    let swapped = [&tail, &head];
    let args = [("values", Arg::All(&swapped)), ("axis", Arg::Int(1)), ("interleave", Arg::Bool(false))];
    b.op("concat", &args, IMAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_proto::mil::Operation;
    use coreml_proto::spec::{Model, model};
    use prost::Message;

    fn operations(ops: usize) -> (Vec<Operation>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.mlpackage");
        mixed_program(&path, ops, 7).unwrap();
        let bytes = std::fs::read(path.join("Data/com.apple.CoreML/model.mlmodel")).unwrap();
        let weights = std::fs::metadata(path.join("Data/com.apple.CoreML/weights/weight.bin")).unwrap().len();
        let Some(model::Type::MlProgram(program)) = Model::decode(&bytes[..]).unwrap().r#type else {
            panic!()
        };
        let function = program.functions.into_values().next().unwrap();
        (function.block_specializations.into_values().next().unwrap().operations, weights)
    }

    #[test]
    fn the_number_of_computing_ops_is_what_was_asked_for() {
        for ops in [3, 4, 30, 97, 500] {
            let (operations, _) = operations(ops);
            assert_eq!(operations.iter().filter(|op| op.r#type != "const").count(), ops);
        }
    }

    #[test]
    fn there_are_about_three_constants_an_op() {
        let (operations, weights) = operations(2000);
        let share = operations.len() as f64 / 2000.0;
        assert!((3.8..4.2).contains(&share), "{share}");
        assert!(weights < 40_000_000, "{weights}");
    }

    #[test]
    fn the_same_arguments_give_the_same_bytes() {
        let (a, b) = (operations(300), operations(300));
        assert_eq!(a.0, b.0);
        assert_eq!(a.1, b.1);
    }

    #[test]
    fn fewer_than_three_ops_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(mixed_program(&folder.path().join("m.mlpackage"), 2, 7).is_err());
    }
}

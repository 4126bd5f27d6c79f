//! Programs of one shape only: what costs more than its length here is quadratic somewhere.

use std::io;
use std::path::Path;

use super::program::{Arg, Builder, Tensor, half};
use super::refused;

/// What a program consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Reshapes of reshapes: all of them are one.
    Reshapes,
    /// Transposes of transposes, three of which do nothing: all of them are one at most.
    Transposes,
    /// One transpose, elementwise ops, and the transpose that undoes it: one long group to move it through.
    TransposeAround,
    /// Pairs of transposes that cancel through an elementwise op each.
    TransposePairs,
    /// Casts to 32 bits and back.
    Casts,
    /// Additions of zero.
    Zeros,
    /// Ops whose results nothing uses, each used by the next.
    Dead,
    /// Two chains of equal ops: each pair is equal only once the pair before is merged.
    Twins,
    /// Ops of one value, all equal.
    Equals,
    /// Different ops of one value, all joined by one op.
    Fan,
    /// Ops that do nothing, all of one value and joined by one op: each is taken out of the one op's operands.
    ZeroFan,
}

impl Chain {
    /// All of them.
    pub const ALL: &'static [Chain] = &[
        Chain::Reshapes,
        Chain::Transposes,
        Chain::TransposeAround,
        Chain::TransposePairs,
        Chain::Casts,
        Chain::Zeros,
        Chain::Dead,
        Chain::Twins,
        Chain::Equals,
        Chain::Fan,
        Chain::ZeroFan,
    ];
}

const SHAPE: &[i64] = &[2, 3, 5];
const FLAT: &[i64] = &[2, 15];

/// Writes a package of one chain with about `ops` computing ops at `path`, which must not exist.
///
/// # Errors
/// Where the system cannot write there, or `ops` is below 8.
pub fn chain_program(path: &Path, chain: Chain, ops: usize) -> io::Result<()> {
    if ops < 8 {
        return Err(refused(format!("a chain needs 8 computing ops at least, not {ops}")));
    }
    let mut b = Builder::create(path, 1)?;
    let x = b.input("x", SHAPE)?;
    let y = links(&mut b, &x, chain, ops - 4)?;
    b.finish(path, &y)
}

fn links(b: &mut Builder, x: &Tensor, chain: Chain, ops: usize) -> io::Result<Tensor> {
    let mut y = x.clone();
    match chain {
        Chain::Reshapes => {
            for _ in 0..ops / 2 {
                y = reshape(b, &y, FLAT)?;
                y = reshape(b, &y, SHAPE)?;
            }
        }
        Chain::Transposes => {
            for _ in 0..ops {
                y = transpose(b, &y, &[1, 2, 0])?;
            }
            let turns = ops % 3;
            for _ in 0..(3 - turns) % 3 {
                y = transpose(b, &y, &[1, 2, 0])?;
            }
        }
        Chain::TransposeAround => {
            y = transpose(b, &y, &[1, 2, 0])?;
            for at in 0..ops {
                y = unary(b, at, &y)?;
            }
            y = transpose(b, &y, &[2, 0, 1])?;
        }
        Chain::TransposePairs => {
            for at in 0..ops / 3 {
                y = transpose(b, &y, &[1, 2, 0])?;
                y = unary(b, at, &y)?;
                y = transpose(b, &y, &[2, 0, 1])?;
            }
        }
        Chain::Casts => {
            for _ in 0..ops / 2 {
                y = b.widened(&y)?;
                y = b.op("cast", &[("x", Arg::Of(&y)), ("dtype", Arg::Text("fp16"))], SHAPE)?;
            }
        }
        Chain::Zeros => {
            for _ in 0..ops {
                y = b.op("add", &[("x", Arg::Of(&y)), ("y", Arg::Half(half::ZERO))], SHAPE)?;
            }
        }
        Chain::Dead => {
            for at in 0..ops {
                y = unary(b, at, &y)?;
            }
            y = unary(b, 0, x)?;
        }
        Chain::Twins => {
            let mut twin = x.clone();
            for at in 0..ops / 2 {
                y = unary(b, at, &y)?;
                twin = unary(b, at, &twin)?;
            }
            y = b.op("add", &[("x", Arg::Of(&y)), ("y", Arg::Of(&twin))], SHAPE)?;
        }
        Chain::Equals | Chain::Fan | Chain::ZeroFan => {
            let mut all = Vec::new();
            for at in 0..ops {
                let addend = match chain {
                    // All finite and none zero; they repeat past 16,384 ops.
                    Chain::Fan => half::EIGHTH + (at % 0x4000) as u16,
                    Chain::Equals => half::EIGHTH,
                    _ => half::ZERO,
                };
                all.push(b.op("add", &[("x", Arg::Of(x)), ("y", Arg::Half(addend))], SHAPE)?);
            }
            let values: Vec<&Tensor> = all.iter().collect();
            let args =
                [("values", Arg::All(&values)), ("axis", Arg::Int(0)), ("interleave", Arg::Bool(false))];
            y = b.op("concat", &args, &[SHAPE[0] * ops as i64, SHAPE[1], SHAPE[2]])?;
        }
    }
    Ok(y)
}

/// An elementwise op that is not the same as the one before it.
fn unary(b: &mut Builder, at: usize, x: &Tensor) -> io::Result<Tensor> {
    let kind = ["tanh", "relu", "sigmoid"][at % 3];
    b.op(kind, &[("x", Arg::Of(x))], &x.shape)
}

fn reshape(b: &mut Builder, x: &Tensor, shape: &[i64]) -> io::Result<Tensor> {
    let extents: Vec<i32> = shape.iter().map(|&extent| extent as i32).collect();
    b.op("reshape", &[("x", Arg::Of(x)), ("shape", Arg::Ints(&extents))], shape)
}

fn transpose(b: &mut Builder, x: &Tensor, perm: &[i32]) -> io::Result<Tensor> {
    let shape: Vec<i64> = perm.iter().map(|&axis| x.shape[axis as usize]).collect();
    b.op("transpose", &[("x", Arg::Of(x)), ("perm", Arg::Ints(perm))], &shape)
}

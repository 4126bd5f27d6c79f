//! A package whose weights are large and whose rewrite needs none of them.

use std::io;
use std::path::Path;

use super::program::{Arg, Builder, Tensor};
use super::refused;

/// Rows that go through the layers, their width, and the width inside a layer.
const ROWS: i64 = 7;
const WIDTH: i64 = 2048;
const INNER: i64 = 4096;

/// Writes a package with at least `weight_bytes` bytes of weights at `path`, which must not exist.
///
/// Feed-forward layers of 32 MiB of 16-bit weights each. In every layer stand a pair of transposes that cancel and a
/// chain of reshapes, so that clean-up changes the program and no weight.
///
/// # Errors
/// Where the system cannot write there, or no weights are asked for.
pub fn large_program(path: &Path, weight_bytes: u64, seed: u64) -> io::Result<()> {
    if weight_bytes == 0 {
        return Err(refused("a large program has some weights"));
    }
    let shape = [1, ROWS, WIDTH];
    let mut b = Builder::create(path, seed)?;
    let mut x = b.input("x", &shape)?;
    while b.weight_bytes() < weight_bytes {
        let y = linear(&mut b, &x, &[INNER, WIDTH])?;
        let y = b.op("relu", &[("x", Arg::Of(&y))], &[1, ROWS, INNER])?;
        let y = linear(&mut b, &y, &[WIDTH, INNER])?;
        let perm = || ("perm", Arg::Ints(&[0, 2, 1]));
        let y = b.op("transpose", &[("x", Arg::Of(&y)), perm()], &[1, WIDTH, ROWS])?;
        let y = b.op("relu", &[("x", Arg::Of(&y))], &[1, WIDTH, ROWS])?;
        let y = b.op("transpose", &[("x", Arg::Of(&y)), perm()], &shape)?;
        let flat = [1, ROWS * WIDTH];
        let y = b.op("reshape", &[("x", Arg::Of(&y)), ("shape", Arg::Ints(&[1, flat[1] as i32]))], &flat)?;
        let y = b.op(
            "reshape",
            &[("x", Arg::Of(&y)), ("shape", Arg::Ints(&[1, ROWS as i32, WIDTH as i32]))],
            &shape,
        )?;
        x = b.op("add", &[("x", Arg::Of(&x)), ("y", Arg::Of(&y))], &shape)?;
    }
    b.finish(path, &x)
}

fn linear(b: &mut Builder, x: &Tensor, weight: &[i64; 2]) -> io::Result<Tensor> {
    let args = [("x", Arg::Of(x)), ("weight", Arg::Weights(weight)), ("bias", Arg::Weights(&weight[..1]))];
    b.op("linear", &args, &[1, ROWS, weight[0]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_at_least_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.mlpackage");
        large_program(&path, 1, 1).unwrap();
        let weights = std::fs::metadata(path.join("Data/com.apple.CoreML/weights/weight.bin")).unwrap().len();
        let layer = 2 * (2 * WIDTH * INNER + WIDTH + INNER) as u64;
        assert!((layer..layer + 1000).contains(&weights), "{weights}");
    }
}

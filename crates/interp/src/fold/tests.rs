use super::*;

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
    let args: [(&str, &Tensor); 7] = [
        ("x", &x(&[2, 4, 3])),
        ("begin", &Tensor::i32s([-1, 0, 1])),
        ("end", &Tensor::i32s([0, 0, 3])),
        ("stride", &Tensor::i32s([1, -2, 1])),
        ("begin_mask", &Tensor::bools([false, true, false])),
        ("end_mask", &Tensor::bools([false, true, false])),
        ("squeeze_mask", &Tensor::bools([true, false, false])),
    ];
    assert_eq!(run("slice_by_index", &args, &[2, 2]), [22, 23, 16, 17]);
}

#[test]
fn gather_of_a_matrix_of_indices() {
    // numpy.take(numpy.arange(6).reshape(2, 3), [[2, -3], [1, 1]], axis=1)
    let i = Tensor::i32s([2, -3, 1, 1]).reshaped([2, 2]).unwrap();
    let got = run("gather", &[("x", &x(&[2, 3])), ("indices", &i), ("axis", &Tensor::i32(1))], &[2, 2, 2]);
    assert_eq!(got, [2, 0, 1, 1, 5, 3, 4, 4]);
    let out = Tensor::i32s([3]);
    let ty = TensorType::fixed(DType::I32, [2, 1]);
    assert!(
        fold("gather", &[("x", &x(&[2, 3])), ("indices", &out), ("axis", &Tensor::i32(1))], &ty, 99).is_err()
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

fn int(kind: &str, x: [i32; 4], y: [i32; 4]) -> Result<Vec<i64>, FoldError> {
    let (x, y) = (Tensor::i32s(x), Tensor::i32s(y));
    Ok(fold(kind, &[("x", &x), ("y", &y)], &TensorType::fixed(DType::I32, [4]), 99)?.to_i64s()?)
}

#[test]
fn division_follows_the_floor() {
    // numpy.floor_divide and numpy.mod
    assert_eq!(int("floor_div", [7, -7, 7, -7], [2, 2, -2, -2]).unwrap(), [3, -4, -4, 3]);
    assert_eq!(int("mod", [7, -7, 7, -7], [3, 3, -3, -3]).unwrap(), [1, 2, -2, -1]);
    assert_eq!(int("floor_div", [1; 4], [0; 4]), Err(FoldError::Overflow));
    assert_eq!(int("mul", [i32::MAX; 4], [2; 4]), Err(FoldError::Overflow));
}

#[test]
fn sums_over_axes() {
    // numpy.arange(12).reshape(2, 3, 2).sum((0, 2)) and .prod(1) of the first rows
    let x = Tensor::i32s(0..12).reshaped([2, 3, 2]).unwrap();
    let (axes, ty) = (Tensor::i32s([0, -1]), TensorType::fixed(DType::I32, [3]));
    let got = fold("reduce_sum", &[("x", &x), ("axes", &axes)], &ty, 99).unwrap();
    assert_eq!(got.to_i64s().unwrap(), [14, 22, 30]);
}

#[test]
fn floats_are_not_computed_with() {
    let x = Tensor::from_f64s(DType::F16, &[1], &[0.1]).unwrap();
    let e = fold("add", &[("x", &x), ("y", &x)], &TensorType::fixed(DType::F16, [1]), 99);
    assert!(matches!(e, Err(FoldError::Rounds { .. })));
}

#[test]
fn casts_truncate_and_round() {
    let x = Tensor::from_f64s(DType::F32, &[3], &[-2.75, 2.75, 1e6]).unwrap();
    let got = fold("cast", &[("x", &x)], &TensorType::fixed(DType::I32, [3]), 99).unwrap();
    assert_eq!(got.to_i64s().unwrap(), [-2, 2, 1_000_000]);
    let got = fold("cast", &[("x", &x)], &TensorType::fixed(DType::F16, [3]), 99).unwrap();
    assert_eq!(got.to_f64s().unwrap(), [-2.75, 2.75, f64::INFINITY]);
}

#[test]
fn floats_that_move_keep_their_bits() {
    // quiet and signalling NaN with payloads, and the negative zero
    let words: Vec<u8> = [0x7fc0_1234u32, 0xff80_0001, 0x8000_0000, 0x3f80_0000]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let x = Tensor::new(DType::F32, [4], Payload::from(words.clone())).unwrap();
    let ty = TensorType::fixed(DType::F32, [4]);
    let y = fold("reverse", &[("x", &x)], &ty, 99).unwrap();
    let turned: Vec<u8> = words.as_chunks::<4>().0.iter().rev().flatten().copied().collect();
    assert_eq!(&y.bytes().unwrap()[..], &turned[..]);
    let cond = Tensor::bools([true, true, true, false]);
    let y = fold("select", &[("cond", &cond), ("a", &x), ("b", &y)], &ty, 99).unwrap();
    assert_eq!(y.bytes().unwrap()[..12], words[..12]);
    assert_eq!(y.bytes().unwrap()[12..], words[..4]);
}

#[test]
fn what_overflows_is_not_folded() {
    let x = Tensor::i32s([i32::MAX; 40]);
    let ty = TensorType::fixed(DType::I32, [1]);
    let axes = Tensor::i32s([0]);
    let keep = Tensor::bools([true]).reshaped([]).unwrap();
    let args = [("x", &x), ("axes", &axes), ("keep_dims", &keep)];
    assert!(matches!(fold("reduce_prod", &args, &ty, 999), Err(FoldError::Overflow)));
    assert!(matches!(fold("reduce_sum", &args, &ty, 999), Err(FoldError::Overflow)));
    assert_eq!(int("pow", [3; 4], [41; 4]), Err(FoldError::Overflow));
    assert_eq!(int("pow", [2; 4], [-1; 4]), Err(FoldError::Overflow));
    // python: [3**3, (-2)**5, 0**0, 7**1]
    assert_eq!(int("pow", [3, -2, 0, 7], [3, 5, 0, 1]).unwrap(), [27, -32, 1, 7]);
}

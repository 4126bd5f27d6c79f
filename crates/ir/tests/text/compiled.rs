//! The text that Core ML's compiler wrote, and forms that it is known to write.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anewrite_ir::text::{BlobRef, BlobText, ParseOptions, PrintOptions, Style, parse, parse_with, print};
use anewrite_ir::{Attr, Binding, Id, Program, TensorType, ValueId};
use anewrite_tensor::Tensor;

use crate::{body, full, same_ops, stable};

const SILERO: &str = include_str!("../../../../testdata/mil/silero-vad-unified-v6.0.0.mil");
const WEIGHTS: &str = "@model_path/weights/weight.bin";

/// The program, its large constants filled with bytes that depend on their offset, and the offsets asked for.
fn read_silero() -> (Program, Vec<u64>) {
    let offsets = RefCell::new(Vec::new());
    let blobs = |blob: &BlobText, ty: &TensorType| {
        assert_eq!((blob.path.as_deref(), &blob.digest), (Some(WEIGHTS), &None));
        let offset = blob.offset.unwrap();
        offsets.borrow_mut().push(offset);
        let bytes = ty.count().unwrap() as usize * ty.dtype.bits() as usize / 8;
        let fill = vec![(offset / 64 % 61) as u8; bytes];
        Tensor::new(ty.dtype, ty.known_dims().unwrap(), fill).map_err(|e| e.to_string())
    };
    let p = parse_with(SILERO, &ParseOptions { blobs: Some(&blobs), dialect: None }).unwrap();
    (p, offsets.into_inner())
}

/// Offsets in the compiled text by the constant's name.
fn places() -> BTreeMap<String, u64> {
    let place = |line: &str| {
        let name = line.split("> ").nth(1)?.split(" =").next()?;
        let offset = line.split("offset = tensor<uint64, []>(").nth(1)?.split(')').next()?;
        Some((name.to_owned(), offset.parse().ok()?))
    };
    SILERO.lines().filter_map(place).collect()
}

#[test]
fn a_compiled_model_prints_line_for_line() {
    let (p, offsets) = read_silero();
    assert_eq!(offsets.len(), SILERO.matches("BLOBFILE").count());
    let places = places();
    let blob = |v: ValueId| {
        let offset = *places.get(&*p.value(v).name)?;
        Some(BlobRef { path: WEIGHTS.into(), offset })
    };
    let options = PrintOptions { blobs: Some(&blob), digest: false, ..Default::default() };
    let ours = print(&p, &options);

    // ours puts a constant before its first user and shows lengths
    let normal = |line: &str| {
        let line = line.trim().replace("<ios15>", "<CoreML5>");
        match line.split_once(", length = tensor<uint64, []>(") {
            Some((before, after)) => format!("{before}{}", after.split_once(')').unwrap().1),
            None => line,
        }
    };
    let mut theirs: Vec<String> = SILERO.lines().map(normal).collect();
    let mut ours: Vec<String> = ours.lines().map(normal).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    let differ: Vec<&String> = theirs.iter().filter(|l| !ours.contains(l)).collect();
    // blobs of up to 64 elements print as literals
    assert!(
        differ.iter().all(|l| l.contains("BLOBFILE") && l.contains("tensor<fp16, [64]>(")),
        "{differ:#?}"
    );
    assert_eq!((differ.len(), ours.len()), (2, theirs.len()), "{differ:#?}");
}

#[test]
fn both_styles_of_a_compiled_model_read_back() {
    let (p, _) = read_silero();
    for style in [Style::Full, Style::Short] {
        let place = |v: ValueId| Some(BlobRef { path: "w".into(), offset: v.index() as u64 });
        let text = print(&p, &PrintOptions { style, blobs: Some(&place), ..Default::default() });
        let fetch = |b: &BlobText, _: &TensorType| {
            let id = ValueId::from_index(b.offset.ok_or("no offset")? as usize);
            Ok(p.constant(id).ok_or("no constant")?.tensor.clone())
        };
        let q = parse_with(&text, &ParseOptions { blobs: Some(&fetch), dialect: None }).unwrap();
        same_ops(&p, &q);
        // lengths and digests, unlike places, are the same in both
        let options = PrintOptions { style, ..Default::default() };
        assert_eq!(print(&q, &options), print(&p, &options));
    }
}

#[test]
fn a_blob_of_another_type_is_refused() {
    let source = body("tensor<fp16, [2]> w = const()[val = tensor<fp16, [2]>(BLOBFILE(path = \"a\"))];");
    let wrong = |_: &BlobText, _: &TensorType| Ok(Tensor::i32s([1, 2]));
    let e = parse_with(&source, &ParseOptions { blobs: Some(&wrong), dialect: None }).unwrap_err();
    assert_eq!(e.what, "the file holds tensor<int32, [2]> here, the text says tensor<fp16, [2]>");
    let none = |_: &BlobText, _: &TensorType| Err("a has no blob there".to_owned());
    let e = parse_with(&source, &ParseOptions { blobs: Some(&none), dialect: None }).unwrap_err();
    assert_eq!((e.line, e.column, &*e.what), (2, 37, "a has no blob there"));
}

#[test]
fn states_several_functions_and_attributes() {
    let source = r#"program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3520.5.1"}, {"a b", "q\""}}), depth = 3]
{
    func main<ios18>(state<tensor<fp16, [1, 4]>> kv, tensor<fp32, [?, 3]> x, tensor<int32, [...]> any, list<tensor<fp16, [2]>, ?> l) [FlexibleShapeInformation = tuple<tuple<string, dict<string, tensor<int32, [?]>>>, tuple<string, dict<string, list<tensor<int32, [2]>, ?>>>>((("DefaultShapes", {{"x", [1, 3]}}), ("RangeDims", {{"x", [[1, 5], [3, 3]]}})))] {
        fp16 s = const()[name = string("s"), val = fp16(0x1p-1)];
        tensor<fp16, [1, 4]> old = read_state(input = kv)[name = string("old")];
        write_state(data = old, input = kv)[name = string("w")];
        dict<tensor<int64, []>, tensor<fp32, []>> d, list<tensor<fp32, [2]>, 7> m, tuple<tensor<bool, []>> t, unknown u = strange(x = x, s = s);
    } -> (d, s);

    func `other one`<CoreML8>(tensor<fp32, [?, 3]> x) {
    } -> (x);
}
"#;
    let text = stable(source, &PrintOptions::default());
    let p = parse(source).unwrap();
    let (_, main) = p.functions().next().unwrap();
    assert_eq!(&*main.opset, "CoreML8");
    let ints = |n: &[i64]| Attr::List(n.iter().map(|n| Attr::Int(*n)).collect());
    let entry = |name: &str, value| {
        Attr::List(vec![Attr::Text(name.into()), Attr::Message(vec![("x".into(), value)])])
    };
    let ranges = Attr::List(vec![ints(&[1, 5]), ints(&[3, 3])]);
    let shapes = Attr::List(vec![entry("DefaultShapes", ints(&[1, 3])), entry("RangeDims", ranges)]);
    assert_eq!(main.attrs, [("FlexibleShapeInformation".into(), shapes)]);
    assert!(text.contains(
        r#"[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-version", "3520.5.1"}, {"a b", "q\""}}), depth = 3]"#
    ));
    assert!(
        text.contains("state<tensor<fp16, [1, 4]>> kv, tensor<fp32, [?, 3]> x, tensor<int32, [...]> any")
    );
    assert!(
        text.contains("        write_state(data = old, input = kv)[name = tensor<string, []>(\"w\")];\n")
    );
    assert!(text.contains("tuple<tensor<bool, []>> t, unknown u = strange(x = x, s = s);"), "{text}");
}

#[test]
fn constants_in_the_attributes_of_constexprs() {
    let source = body(
        r#"tensor<fp16, [2, 2]> w = constexpr_affine_dequantize()[axis = int32(0), name = string("wdeq"),
            quantized_data = tensor<uint8, [2, 2]>([[0, 255], [7, 9]]),
            scale = tensor<fp16, [2]>([0x1p-2, 0x1p-3]), zero_point = uint8(3)];
        tensor<fp16, [3]> v = constexpr_lut_to_dense()[indices = tensor<uint4, [3]>([15, 0, 9]),
            lut = tensor<fp8e4m3fn, [2]>([448.0, nan])];"#,
    );
    let text = stable(&source, &PrintOptions::short());
    assert!(
        text.contains(
            r#"[name = "wdeq", axis = int32(0), quantized_data = tensor<uint8, [2, 2]>([[0, 255], [7, 9]])"#
        ),
        "{text}"
    );
    let p = parse(&source).unwrap();
    let op = p.op(p.all_ops().next().unwrap());
    assert!(op.operands.len() == 4 && op.operands.iter().all(|o| o.binding == Binding::Attribute));
    same_ops(&p, &parse(&stable(&source, &full())).unwrap());
}

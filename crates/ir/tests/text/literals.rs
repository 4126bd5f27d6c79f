//! Constants: dtypes, shapes, places.

use anewrite_ir::text::{PrintOptions, Style, parse, print};
use anewrite_ir::{Const, ConstOrigin, DialectId, NewOp, Place, Program, Type};
use anewrite_tensor::{DType, Payload, Tensor};

use crate::{body, full, same_ops, stable};

#[test]
fn short_literals_get_their_types() {
    let text = stable(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           // a comment
           a = add(x = x, y = 0.1);
           b = mul(x = a, y = [[1.5, -2.0, inf], [0.25, nan, 0.0]],);
           c = transpose(x = b, perm = [1, 0]);
         } -> (c, a);",
        &PrintOptions::short(),
    );
    assert_eq!(
        text,
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    tensor<fp16, [2, 3]> a = add(x = x, y = 0.1);
    tensor<fp16, [2, 3]> b = mul(x = a, y = [[1.5, -2.0, inf], [0.25, nan, 0.0]]);
    tensor<fp16, [3, 2]> c = transpose(x = b, perm = [1, 0]);
} -> (c, a);
"
    );
    // numpy.float16(0.1).hex() is 0x1.998p-4
    let text = stable(&text, &full());
    assert!(text.contains("y = tensor<fp16, []>(0x1.998p-4)"), "{text}");
    assert!(text.contains("[[0x1.8p+0, -0x1p+1, inf], [0x1p-2, nan, 0x0p+0]]"), "{text}");
}

#[test]
fn float_literals_take_the_dtype_of_x() {
    let source = "func main<CoreML6>(tensor<fp32, [3]> x, tensor<fp16, [3]> h) {
        a = add(y = 0.5, x = x);
        b = add(x = 0.5, y = h);
        c = add(x = fp16(0.5), y = h);
        d = add(x = x, y = tensor<fp32, [3]>([1, 2, 3]));
        tensor<fp32, [3]> e = add(x = x, y = fp16(0.5));
    } -> (a, b, c, d);";
    let text = stable(source, &PrintOptions::short());
    assert!(text.contains("a = add(y = 0.5, x = x)"), "{text}");
    assert!(text.contains("b = add(x = 0.5, y = h)") && text.contains("c = add(x = 0.5, y = h)"), "{text}");
    assert!(text.contains("y = [1.0, 2.0, 3.0]") && text.contains("y = fp16(0.5)"), "{text}");
    let p = parse(source).unwrap();
    let constant = |op| p.op(op).operands.iter().find_map(|o| p.constant(o.value)).unwrap().tensor.dtype();
    let dtypes: Vec<DType> = p.all_ops().map(constant).collect();
    assert_eq!(dtypes, [DType::F32, DType::F16, DType::F16, DType::F32, DType::F16]);
}

#[test]
fn const_ops_stand_before_their_first_user_in_operand_order() {
    let source = body(
        "tensor<int32, [2]> unused = const()[val = [7, 8]];
         tensor<fp16, [3]> k2 = const()[name = \"k2\", val = tensor<fp16, [3]>([1, 2, 3])];
         tensor<fp16, [1]> k1 = const()[name = \"other\", val = tensor<fp16, [1]>([4])];
         a = relu(x = x);
         tensor<fp16, [2, 3]> b = foo.bar(p = k1, q = k2, x = a)[name = \"b\"];
         c = add(x = a, y = k2);",
    );
    let text = stable(&source, &full());
    let defined = |l: &str| l.split(" = ").next().and_then(|l| l.split(' ').next_back()).unwrap().to_owned();
    let order: Vec<String> = text.lines().map(defined).collect();
    assert_eq!(order, ["{", "a", "k1", "k2", "b", "c", "unused", "(x);"]);
    assert!(
        text.contains("const()[name = tensor<string, []>(\"other\"), val = tensor<fp16, [1]>([0x1p+2])]")
    );
}

#[test]
fn random_constants_are_the_same_every_time() {
    let source = "func main<CoreML6>(tensor<fp16, [1, 4, 9, 20]> x) {
    w = const()[val = random<fp16, [8, 4, 1, 17]>(7)];
    tensor<fp16, [1, 8, 9, 4]> y = conv(x = x, weight = w, bias = random<fp16, [8]>(8));
} -> (y);";
    let p = parse(source).unwrap();
    let text = print(&p, &PrintOptions::short());
    let start = "    w = const()[val = tensor<fp16, [8, 4, 1, 17]>(BLOBFILE(length = 1088, digest = \"";
    assert!(text.contains(start), "{text}");
    assert_eq!(print(&parse(source).unwrap(), &PrintOptions::short()), text);
    let undigested = PrintOptions { digest: false, ..PrintOptions::short() };
    assert!(print(&p, &undigested).contains("(BLOBFILE(length = 1088))"));
    let e = parse(&text).unwrap_err();
    assert_eq!((e.line, e.column), (2, 23));
    assert!(
        e.to_string().ends_with("are not in the text (read the text together with its weight file)"),
        "{e}"
    );
}

#[test]
fn digests_are_those_of_the_dense_bytes() {
    // python: hashlib.sha256(numpy.arange(100, dtype="<i4").tobytes()).hexdigest()[:16]
    let digest = "077897d1b034053b";
    let bytes: Vec<u8> = (0..100i32).flat_map(i32::to_le_bytes).collect();
    let (a, b) = bytes.split_at(48);
    let chunks = [a.to_vec().into(), b.to_vec().into()];
    let varints: Vec<u8> = (0..100u8).collect();
    for payload in [
        Payload::from(bytes.clone()),
        Payload::Chunks(chunks.into_iter().collect()),
        Payload::Varints(varints.into()),
    ] {
        let mut p = Program::new(DialectId::Mil);
        let (_, b) = p.add_function("main", "CoreML5");
        let tensor = Tensor::new(DType::I32, [100], payload).unwrap();
        let c = p.add_const(b, "c", Const { tensor, origin: ConstOrigin::New, sealed: false });
        p.add_output(b, c);
        let text = print(&p, &full());
        assert!(
            text.contains(&format!(
                "length = tensor<uint64, []>(400), digest = tensor<string, []>(\"{digest}\")"
            )),
            "{text}"
        );
    }
}

#[test]
fn every_dtype_and_shape_reads_back() {
    let mut p = Program::new(DialectId::Mil);
    let (_, b) = p.add_function("main", "CoreML8");
    let shapes = [vec![], vec![1], vec![3], vec![2, 3], vec![0], vec![2, 0, 3], vec![1, 1, 1], vec![64]];
    for (n, dtype) in DType::ALL.into_iter().enumerate() {
        for (m, dims) in shapes.iter().enumerate() {
            let tensor = patterned(dtype, dims, 11 * n as u64);
            let origin = ConstOrigin::ConstOp { name: None };
            let c = p.add_const(b, &format!("c{n}_{m}"), Const { tensor, origin, sealed: m == 3 });
            let op = NewOp::new("use").operand("x", c).result(&format!("r{n}_{m}"), Type::Unknown);
            p.add_op(Place::End(b), op);
        }
    }
    for style in [Style::Full, Style::Short] {
        let options = PrintOptions { style, ..Default::default() };
        let text = print(&p, &options);
        let q = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        same_ops(&p, &q);
        assert_eq!(print(&q, &options), text);
    }
}

/// Elements of all sorts of bits; those after the last element are 0, as files have them.
fn patterned(dtype: DType, dims: &[u64], salt: u64) -> Tensor {
    let count: u64 = dims.iter().product();
    if dtype == DType::String {
        let words = (0..count).map(|i| format!("a\"{i}\n").into()).collect();
        return Tensor::new(dtype, dims.to_vec(), Payload::Strings(words)).unwrap();
    }
    let bits = count * u64::from(dtype.bits());
    let mut data: Vec<u8> = (0..bits.div_ceil(8)).map(|i| (i * 37 + salt) as u8).collect();
    if let Some(last) = data.last_mut() {
        *last &= 0xff >> (bits.next_multiple_of(8) - bits);
    }
    if dtype == DType::Bool {
        data.iter_mut().for_each(|b| *b &= 1);
    }
    Tensor::new(dtype, dims.to_vec(), data).unwrap()
}

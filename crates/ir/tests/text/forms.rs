//! Nested blocks, NeuralNetwork ops, names, comments and symbols.

use anewrite_ir::text::{PrintOptions, parse, print};
use anewrite_ir::{Attr, Binding, ConstOrigin, DialectId, Type, infer, mil};

use crate::{full, same_ops, stable};

#[test]
fn nested_blocks_read_back() {
    let source = "func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<bool, []> p) {
        tensor<fp16, [3]> k = const()[val = tensor<fp16, [3]>([1, 2, 3])];
        tensor<fp16, [2, 3]> c = cond(pred = p)[name = \"c\"] {
            t = add(x = x, y = k);
        } -> (t), {
            u = mul(x = x, y = k);
        } -> (u);
        tensor<int32, []> i, tensor<fp16, [2, 3]> r = while_loop(loop_vars = (int32(0), c)) (i_x, r_x) {
            tensor<bool, []> go = less(x = i_x, y = 3);
        } -> (go), (tensor<int32, []> i_y, r_y) {
            tensor<int32, []> j = add(x = i_y, y = 1);
            tensor<fp16, [2, 3]> s = while_loop(loop_vars = r_y) (q) {
                tensor<bool, []> no = less(x = j, y = i_y);
            } -> (no), (q2) {
                s1 = relu(x = q2);
            } -> (s1);
        } -> (j, s);
    } -> (r);";
    let short = stable(source, &PrintOptions::short());
    let p = parse(source).unwrap();
    same_ops(&p, &parse(&short).unwrap());
    let text = stable(source, &full());
    same_ops(&p, &parse(&text).unwrap());
    // the constant that both branches use belongs to the function's body
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("    tensor<fp16, [3]> k = const()"), "{text}");
    assert!(lines[2].ends_with("c = cond(pred = p)[name = tensor<string, []>(\"c\")] {"), "{text}");
    assert_eq!(lines[3], "        tensor<fp16, [2, 3]> t = add(x = x, y = k);");
    assert_eq!(lines[4], "    } -> (t), {");
    let head = "while_loop(loop_vars = (tensor<int32, []>(0), c)) (tensor<int32, []> i_x, tensor<fp16, [2, 3]> r_x) {";
    assert!(text.contains(head), "{text}");
}

#[test]
fn neural_network_ops_read_back() {
    let source = r#"func main(tensor<fp32, [1, 3, 8, 8]> image) {
        conv1 = nn.convolution(input = image)[name = "conv1",
            weights = tensor<fp32, [2, 3, 1, 1]>([1, 2, 3, 4, 5, 6]), outputChannels = 2, kernelSize = [1, 1],
            valid = {paddingAmounts = {borderAmounts = [{}, {startEdgeSize = 1}]}}, same = SAME_MODE,
            hasBias = false, eps = 0.1f, alpha = 0.1, beta = -3.0, big = 1e300, raw = bytes("00ff"), `name` = "n"];
        `conv 1/relu:0`@0 = nn.activation(input = conv1)[ReLU = {}];
        `conv 1/relu:0`@1 = nn.activation(input = `conv 1/relu:0`@0)[PReLU = {alpha = inf}] sealed;
        a, b = nn.split(input = `conv 1/relu:0`@1);
        `true`, `12` = nn.split(input = (a, b));
    } -> (`true`, `12`);"#;
    let text = stable(source, &full());
    let p = parse(source).unwrap();
    assert_eq!(p.dialect, DialectId::Nn);
    same_ops(&p, &parse(&text).unwrap());
    let ops: Vec<_> = p.all_ops().collect();
    let conv = p.op(ops[0]);
    assert_eq!(conv.operands[1].binding, Binding::Attribute);
    assert_eq!(p.constant(conv.operands[1].value).unwrap().origin, ConstOrigin::InPlace);
    assert_eq!(conv.attr("eps"), Some(&Attr::Float(f64::from(0.1f32))));
    assert_eq!(conv.attr("alpha"), Some(&Attr::Float(0.1)));
    assert_eq!(conv.attr("same"), Some(&Attr::Enum("SAME_MODE".into())));
    assert_eq!(conv.attr("raw"), Some(&Attr::Bytes([0u8, 255].as_slice().into())));
    assert_eq!(conv.attr("name"), Some(&Attr::Text("n".into())));
    let (r0, r1) = (p.op(ops[1]).results[0], p.op(ops[2]).results[0]);
    assert_eq!(p.value(r0).name, p.value(r1).name);
    assert!(p.value(r0).pinned && p.op(ops[2]).sealed && *p.ty(r0) == Type::Unknown);
    let attrs = "eps = 0.1f, alpha = 0.1, beta = -3.0, big = 1e300, raw = bytes(\"00ff\"), `name` = \"n\"]";
    assert!(text.contains(attrs), "{text}");
    assert!(text.contains("`conv 1/relu:0`@1 = nn.activation(input = `conv 1/relu:0`@0)"), "{text}");
}

#[test]
fn comments_and_symbols_show_where_asked() {
    let p = parse(
        "func main<CoreML6>(tensor<fp16, [?, 3]> x) {
            a = add(x = x, y = 1.0);
            t = transpose(x = a, perm = [1, 0]);
        } -> (t);",
    )
    .unwrap();
    let inferred = infer::infer(&p, &mil::Mil);
    let comment = |op| (&*p.op(op).kind == "add").then(|| "fine\nreally".to_owned());
    let options = PrintOptions {
        types: Some((&inferred.facts, &inferred.dims)),
        comments: Some(&comment),
        ..PrintOptions::short()
    };
    let text = print(&p, &options);
    assert_eq!(
        text,
        "func main<CoreML6>(tensor<fp16, [s0, 3]> x) {
    tensor<fp16, [s0, 3]> a = add(x = x, y = 1.0); // fine really
    tensor<fp16, [3, s0]> t = transpose(x = a, perm = [1, 0]);
} -> (t);
"
    );
    same_ops(&p, &parse(&text).unwrap());
    same_ops(&p, &parse(&text.replace("s0", "floor((2*s0 - 1) / (2))")).unwrap());
}

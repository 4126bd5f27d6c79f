//! Diffs of programs: what a reviewer sees, and that both texts can be read off a diff.

use anewrite_diff::{ChangeKind, DiffOptions, FunctionStatus, LineSign, ProgramDiff, Summary, compare};
use anewrite_ir::text::{PrintOptions, parse, print};
use anewrite_ir::{NewOp, Place, Program};
use insta::assert_snapshot;

fn read(text: &str) -> Program {
    parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The diff, after checking that it holds both texts.
fn diff(before: &str, after: &str) -> ProgramDiff {
    let (p, q) = (read(before), read(after));
    check(&p, &q);
    compare(&p, &q, &DiffOptions { context: 1, ..Default::default() })
}

/// With all lines as context, the old lines make the old text and the new lines the new one.
fn check(p: &Program, q: &Program) {
    let whole = compare(p, q, &DiffOptions { context: usize::MAX, ..Default::default() });
    for (f, g) in [(p, LineSign::New), (q, LineSign::Old)] {
        let text = print(f, &PrintOptions::short());
        for function in whole.functions.iter().filter(|f| f.status == FunctionStatus::Changed) {
            let lines = function.hunks.iter().flatten().filter(|l| l.sign != g);
            let side: String = lines.map(|l| format!("{}\n", l.text)).collect();
            assert!(text.contains(&side), "{side}\n is not in\n{text}");
        }
    }
}

#[test]
fn equal_programs() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 3]> x) { a = add(x = x, y = 0.5); } -> (a);";
    let d = diff(text, text);
    assert!(d.is_empty());
    assert_eq!((d.text(), d.summary()), (String::new(), Summary::default()));
}

#[test]
fn a_pool_split_in_two() {
    let d = diff(
        "func main<CoreML6>(tensor<fp16, [1, 4, 33, 35]> x) {
            a = relu(x = x);
            b = sigmoid(x = a);
            tensor<fp16, [1, 4, 25, 27]> c = max_pool(x = b, kernel_sizes = [9, 9], strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], ceil_mode = false)[name = \"pool\"];
            d = relu(x = c);
            e = sigmoid(x = d);
        } -> (e);",
        "func main<CoreML6>(tensor<fp16, [1, 4, 33, 35]> x) {
            a = relu(x = x);
            b = sigmoid(x = a);
            tensor<fp16, [1, 4, 29, 31]> c_1 = max_pool(x = b, kernel_sizes = [5, 5], strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], ceil_mode = false);
            tensor<fp16, [1, 4, 25, 27]> c = max_pool(x = c_1, kernel_sizes = [5, 5], strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], ceil_mode = false)[name = \"pool\"];
            d = relu(x = c);
            e = sigmoid(x = d);
        } -> (e);",
    );
    assert_snapshot!(d.text(), @r#"
@@ main @@
     tensor<fp16, [1, 4, 33, 35]> b = sigmoid(x = a);
-    tensor<fp16, [1, 4, 25, 27]> c = max_pool(x = b, kernel_sizes = [9, 9], strides = [1, 1], pad_type = "valid", pad = [0, 0, 0, 0], ceil_mode = false)[name = "pool"];
+    tensor<fp16, [1, 4, 29, 31]> c_1 = max_pool(x = b, kernel_sizes = [5, 5], strides = [1, 1], pad_type = "valid", pad = [0, 0, 0, 0], ceil_mode = false);
+    tensor<fp16, [1, 4, 25, 27]> c = max_pool(x = c_1, kernel_sizes = [5, 5], strides = [1, 1], pad_type = "valid", pad = [0, 0, 0, 0], ceil_mode = false)[name = "pool"];
     tensor<fp16, [1, 4, 25, 27]> d = relu(x = c);
"#);
    assert_eq!(d.summary().to_string(), "1 ops added, 0 removed, 1 changed, 0 moved");
}

#[test]
fn renamed_ops_pair_by_what_they_do() {
    let d = diff(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
            a = relu(x = x);
            b = sigmoid(x = a);
            c = relu(x = b);
        } -> (c);",
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
            q = relu(x = x);
            r = sigmoid(x = q);
            c = relu(x = r);
        } -> (c);",
    );
    assert_snapshot!(d.text(), @r"
@@ main @@
 func main<CoreML6>(tensor<fp16, [2, 3]> x) {
-    tensor<fp16, [2, 3]> a = relu(x = x);
+    tensor<fp16, [2, 3]> q = relu(x = x);
-    tensor<fp16, [2, 3]> b = sigmoid(x = a);
+    tensor<fp16, [2, 3]> r = sigmoid(x = q);
-    tensor<fp16, [2, 3]> c = relu(x = b);
+    tensor<fp16, [2, 3]> c = relu(x = r);
 } -> (c);
");
    assert_eq!(d.summary().changed, 3);
}

#[test]
fn constants_with_lines_of_their_own() {
    let head = "func main<CoreML6>(tensor<fp16, [1, 4, 9, 20]> x) {";
    let conv = "tensor<fp16, [1, 8, 9, 4]> y = conv(x = x, weight = w, bias = b); } -> (y);";
    let before = format!(
        "{head} w = const()[val = random<fp16, [8, 4, 1, 17]>(7)];
            b = const()[val = random<fp16, [32]>(8)]; {conv}"
    );
    let after = format!(
        "{head} w = const()[val = random<fp16, [8, 4, 1, 17]>(9)];
            b = const()[val = random<fp16, [32]>(8)]; {conv}"
    );
    let d = diff(&before, &after);
    assert_eq!((d.functions[0].changes.len(), d.summary()), (1, Summary::default()));
    let change = &d.functions[0].changes[0];
    assert_eq!((change.kind, change.name.as_deref()), (ChangeKind::Changed, Some("w")));
    // the same bytes under another name
    let renamed = before.replace("w = const", "w2 = const").replace("weight = w,", "weight = w2,");
    assert_snapshot!(diff(&before, &renamed).text(), @r#"
@@ main @@
 func main<CoreML6>(tensor<fp16, [1, 4, 9, 20]> x) {
-    w = const()[val = tensor<fp16, [8, 4, 1, 17]>(BLOBFILE(length = 1088, digest = "1115d4563084061c"))];
+    w2 = const()[val = tensor<fp16, [8, 4, 1, 17]>(BLOBFILE(length = 1088, digest = "1115d4563084061c"))];
     b = const()[val = tensor<fp16, [32]>([-0.375, -0.6094, 0.91, 0.02344, -0.4453, -0.5586, 0.10156, 0.922, 0.6055, -0.633, 0.715, -0.04688, -0.05078, 0.0742, -0.7227, -0.496, -0.293, -0.4648, -0.375, -0.1758, -0.7188, 0.8438, 0.867, -0.539, -0.496, 0.0547, -0.1445, -0.543, -0.2578, 0.3945, 0.8516, -0.5547])];
-    tensor<fp16, [1, 8, 9, 4]> y = conv(x = x, weight = w, bias = b);
+    tensor<fp16, [1, 8, 9, 4]> y = conv(x = x, weight = w2, bias = b);
 } -> (y);
"#);
}

#[test]
fn moved_ops_show_at_both_places_and_count_once() {
    let head = "func main<CoreML6>(tensor<fp16, [2, 3]> x) {";
    let ops: Vec<String> = (0..12).map(|i| format!("v{i} = relu(x = x);")).collect();
    let mut other = ops.clone();
    let last = other.pop().unwrap();
    other.insert(2, last);
    let d = diff(
        &format!("{head} {} }} -> (v0);", ops.join("\n")),
        &format!("{head} {} }} -> (v0);", other.join("\n")),
    );
    assert_snapshot!(d.text(), @r"
@@ main @@
     tensor<fp16, [2, 3]> v1 = relu(x = x);
+    tensor<fp16, [2, 3]> v11 = relu(x = x);
     tensor<fp16, [2, 3]> v2 = relu(x = x);
@@ main @@
     tensor<fp16, [2, 3]> v10 = relu(x = x);
-    tensor<fp16, [2, 3]> v11 = relu(x = x);
 } -> (v0);
");
    assert_eq!(d.summary().to_string(), "0 ops added, 0 removed, 0 changed, 1 moved");
}

#[test]
fn functions_blocks_and_neural_networks() {
    let d = diff(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<bool, []> p) {
            tensor<fp16, [2, 3]> y = cond(pred = p) {
                t = add(x = x, y = 1.0);
            } -> (t), {
                u = mul(x = x, y = 2.0);
                v = relu(x = u);
            } -> (v);
        } -> (y);
        func gone<CoreML6>(tensor<fp16, [2, 3]> x) { } -> (x);
        func kept<CoreML6>(tensor<fp16, [2, 3]> x) { } -> (x);",
        "func kept<CoreML6>(tensor<fp16, [2, 3]> x) { } -> (x);
        func new<CoreML6>(tensor<fp16, [2, 3]> x) { r = relu(x = x); } -> (r);
        func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<bool, []> p) {
            tensor<fp16, [2, 3]> y = cond(pred = p) {
                t = add(x = x, y = 1.0);
            } -> (t), {
                v = relu(x = x);
            } -> (v);
        } -> (y);",
    );
    assert_snapshot!(d.text(), @r"
@@ main @@
     } -> (t), {
-        tensor<fp16, [2, 3]> u = mul(x = x, y = 2.0);
-        tensor<fp16, [2, 3]> v = relu(x = u);
+        tensor<fp16, [2, 3]> v = relu(x = x);
     } -> (v);
@@ gone @@
-func gone<CoreML6>(tensor<fp16, [2, 3]> x) {
-} -> (x);
@@ new @@
+func new<CoreML6>(tensor<fp16, [2, 3]> x) {
+    tensor<fp16, [2, 3]> r = relu(x = x);
+} -> (r);
");
    let status: Vec<_> = d.functions.iter().map(|f| (&*f.name, f.status)).collect();
    use FunctionStatus::{Added, Changed, Removed, Same};
    assert_eq!(status, [("main", Changed), ("gone", Removed), ("kept", Same), ("new", Added)]);
    let d = diff(
        "func main(image) { a = nn.convolution(input = image)[kernelSize = [3, 3], eps = 0.1f]; y = nn.activation(input = a)[ReLU = {}]; } -> (y);",
        "func main(image) { a = nn.convolution(input = image)[kernelSize = [3, 5], eps = 0.1f]; y = nn.activation(input = a)[ReLU = {}]; } -> (y);",
    );
    assert_snapshot!(d.text(), @r"
@@ main @@
 func main(image) {
-    a = nn.convolution(input = image)[kernelSize = [3, 3], eps = 0.1f];
+    a = nn.convolution(input = image)[kernelSize = [3, 5], eps = 0.1f];
     y = nn.activation(input = a)[ReLU = {}];
");
}

#[test]
fn json_and_comments() {
    let before =
        read("func main<CoreML6>(tensor<fp16, [2, 3]> x) { a = relu(x = x); y = relu(x = a); } -> (y);");
    let after = read(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) { y = relu(x = x); z = add(x = y, y = y); } -> (y);",
    );
    let comment = |op| Some(format!("C001 made {op:?}"));
    let options = DiffOptions { comments: Some(&comment), ..Default::default() };
    let mut d = compare(&before, &after, &options);
    let facts = |v: &str| vec![("license".to_owned(), v.to_owned()), ("author".to_owned(), "x".to_owned())];
    d.facts = anewrite_diff::compare_facts(&facts("MIT"), &facts("two\nlines"));
    assert_snapshot!(d.text(), @r"
@@ description and metadata @@
-license: MIT
+license: two
+    lines
@@ main @@
 func main<CoreML6>(tensor<fp16, [2, 3]> x) {
-    tensor<fp16, [2, 3]> a = relu(x = x);
-    tensor<fp16, [2, 3]> y = relu(x = a);
+    tensor<fp16, [2, 3]> y = relu(x = x); // C001 made op0
+    tensor<fp16, [2, 3]> z = add(x = y, y = y); // C001 made op1
 } -> (y);
");
    assert_snapshot!(serde_json::to_string_pretty(&d).unwrap(), @r#"
{
  "facts": [
    {
      "key": "license",
      "before": "MIT",
      "after": "two\nlines"
    }
  ],
  "functions": [
    {
      "name": "main",
      "status": "changed",
      "changes": [
        {
          "kind": "removed",
          "what": "op",
          "name": "a",
          "op": "relu",
          "before": "tensor<fp16, [2, 3]> a = relu(x = x);"
        },
        {
          "kind": "changed",
          "what": "op",
          "name": "y",
          "op": "relu",
          "before": "tensor<fp16, [2, 3]> y = relu(x = a);",
          "after": "tensor<fp16, [2, 3]> y = relu(x = x);"
        },
        {
          "kind": "added",
          "what": "op",
          "name": "z",
          "op": "add",
          "after": "tensor<fp16, [2, 3]> z = add(x = y, y = y);"
        }
      ]
    }
  ]
}
"#);
}

#[test]
fn random_edits_keep_both_texts() {
    let mut seed = 1u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    for round in 0..60 {
        let mut lines = vec!["v0 = relu(x = x);".to_owned()];
        for i in 1..40 {
            let (a, b) = (next(i), next(i));
            lines.push(match next(3) {
                0 => format!("v{i} = add(x = v{a}, y = v{b});"),
                1 => format!("v{i} = mul(x = v{a}, y = {}.5);", next(3)),
                _ => format!("v{i} = sigmoid(x = v{a});"),
            });
        }
        let text = format!("func main<CoreML6>(tensor<fp16, [2, 3]> x) {{ {} }} -> (v39);", lines.join("\n"));
        let before = read(&text);
        let mut after = before.clone();
        let body = after.functions().next().unwrap().1.body;
        for edit in 0..next(12) {
            let ops: Vec<_> = after.ops(body).collect();
            let op = ops[next(ops.len() as u64) as usize];
            let result = after.op(op).result().unwrap();
            match next(4) {
                0 => {
                    let source = after.op(op).operands[0].value;
                    after.replace_uses(result, source);
                    after.remove_op(op);
                }
                1 => {
                    let ty = after.ty(result).clone();
                    let x = after.op(op).operands[0].value;
                    let new = NewOp::new("tanh").operand("x", x).result(&format!("n{edit}"), ty);
                    after.add_op(Place::Before(op), new);
                }
                2 => after.rename(result, &format!("renamed{round}_{edit}")),
                _ => {
                    let x = after.block(body).args[0];
                    after.set_operand(op, 0, x);
                }
            }
        }
        check(&before, &after);
        check(&after, &before);
    }
}

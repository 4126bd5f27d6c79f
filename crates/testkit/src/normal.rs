use std::fmt::Write;

use anewrite_ir::{Binding, BlockId, Operand, Program, ValueId};
use anewrite_tensor::Tensor;
use rustc_hash::FxHashMap;

/// A program as text in which only what matters shows: values that are not inputs or outputs are numbered in order,
/// constants stand where they are used, parameters are sorted.
pub fn normal_form(p: &Program) -> String {
    let mut out = String::new();
    for (_, f) in p.functions() {
        let mut n = Normal { p, names: FxHashMap::default(), out: &mut out };
        for &v in p.block(f.body).args.iter().chain(&p.block(f.body).outputs) {
            n.names.insert(v, p.value(v).name.to_string());
        }
        n.block(f.body, 0);
    }
    out
}

struct Normal<'a> {
    p: &'a Program,
    names: FxHashMap<ValueId, String>,
    out: &'a mut String,
}

impl Normal<'_> {
    fn block(&mut self, block: BlockId, depth: usize) {
        let pad = "  ".repeat(depth);
        let b = self.p.block(block);
        for &a in &b.args {
            let (name, ty) = (self.name(a), self.p.ty(a).to_string());
            let _ = writeln!(self.out, "{pad}{name}: {ty}");
        }
        for op in self.p.ops(block) {
            let o = self.p.op(op);
            let mut args: Vec<String> = o.operands.iter().map(|x| self.operand(x)).collect();
            args.sort_by(|a, b| a.split(" = ").next().cmp(&b.split(" = ").next()));
            args.extend(o.attrs.iter().map(|(n, a)| format!("{n}: {a:?}")));
            let results: Vec<String> = o.results.iter().map(|&r| self.name(r)).collect();
            let _ = writeln!(self.out, "{pad}{} = {}({})", results.join(", "), o.kind, args.join(", "));
            for &nested in &o.blocks {
                self.block(nested, depth + 1);
            }
        }
        let outputs: Vec<String> = b.outputs.iter().map(|&v| self.name(v)).collect();
        let _ = writeln!(self.out, "{pad}-> {}", outputs.join(", "));
    }

    /// A constant that stands in a field of the op is not one that the op names.
    fn operand(&mut self, x: &Operand) -> String {
        let field = if x.binding == Binding::Attribute { " (field)" } else { "" };
        format!("{} = {}{field}", x.param, self.name(x.value))
    }

    fn name(&mut self, v: ValueId) -> String {
        if let Some(c) = self.p.constant(v) {
            return literal(&c.tensor);
        }
        let next = self.names.len();
        self.names.entry(v).or_insert_with(|| format!("%{next}")).clone()
    }
}

fn literal(t: &Tensor) -> String {
    let elements = match t.strings() {
        Some(s) => format!("{s:?}"),
        None => format!("{:?}", t.to_f64s().unwrap_or_default()),
    };
    format!("{}{:?}{elements}", t.dtype(), t.dims())
}

//! Parts of programs as programs of their own.

use anewrite_ir::{BlockId, NewOp, OpId, Place, Program, ValueId};
use rustc_hash::FxHashMap;

/// The function that parts are copied into.
pub(crate) const PART: &str = "part";

/// Copies ops of one program into a new one.
pub(crate) struct Copier<'a> {
    from: &'a Program,
    /// The new program, of one function called [`PART`].
    pub(crate) program: Program,
    /// The new program's values for those of the old one.
    pub(crate) values: FxHashMap<ValueId, ValueId>,
    body: BlockId,
    replaced: FxHashMap<ValueId, anewrite_tensor::Tensor>,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(from: &'a Program, opset: &str) -> Copier<'a> {
        let mut program = Program::new(from.dialect);
        program.attrs.clone_from(&from.attrs);
        let (_, body) = program.add_function(PART, opset);
        Copier { from, program, values: FxHashMap::default(), body, replaced: FxHashMap::default() }
    }

    /// Makes a value an argument of the function; the name of that.
    pub(crate) fn argument(&mut self, value: ValueId, dtype: Option<anewrite_ir::Type>) -> anewrite_ir::Str {
        let v = self.from.value(value);
        let ty = dtype.unwrap_or_else(|| v.ty.clone()).erased();
        let arg = self.program.add_arg(self.body, &v.name, ty);
        self.values.insert(value, arg);
        v.name.clone()
    }

    /// Makes the copies of ops that read a constant read another one, of the same dtype and extents.
    pub(crate) fn replace(&mut self, value: ValueId, tensor: anewrite_tensor::Tensor) {
        self.replaced.insert(value, tensor);
    }

    /// Makes a value an output of the function.
    pub(crate) fn output(&mut self, value: ValueId) {
        let v = self.value(value);
        self.program.add_output(self.body, v);
    }

    /// Copies an op, with its blocks, to the end.
    pub(crate) fn op(&mut self, op: OpId) {
        self.copy(op, self.body);
    }

    fn copy(&mut self, op: OpId, block: BlockId) {
        let o = self.from.op(op);
        let mut new = NewOp::new(&o.kind);
        new.op.name.clone_from(&o.name);
        new.op.attrs.clone_from(&o.attrs);
        for x in &o.operands {
            let value = self.value(x.value);
            new = new.operand(&x.param, value);
            if let Some(last) = new.op.operands.last_mut() {
                last.binding = x.binding;
            }
        }
        for &r in &o.results {
            let v = self.from.value(r);
            new.results.push((v.name.clone(), v.ty.erased()));
        }
        let copied = self.program.add_op(Place::End(block), new);
        for &inner in &o.blocks {
            let to = self.program.add_block(copied);
            for &arg in &self.from.block(inner).args {
                let v = self.from.value(arg);
                let new = self.program.add_arg(to, &v.name, v.ty.erased());
                self.values.insert(arg, new);
            }
            for op in self.from.ops(inner).collect::<Vec<_>>() {
                self.copy(op, to);
            }
            for &out in &self.from.block(inner).outputs {
                let v = self.value(out);
                self.program.add_output(to, v);
            }
        }
        let results = self.program.op(copied).results.clone();
        self.values.extend(o.results.iter().copied().zip(results));
    }

    /// The new program's value; constants come along at their first use. A value that was neither copied nor made an
    /// argument becomes one.
    fn value(&mut self, value: ValueId) -> ValueId {
        if let Some(&v) = self.values.get(&value) {
            return v;
        }
        match self.from.constant(value) {
            Some(c) => {
                let name = self.from.value(value).name.clone();
                let mut c = c.clone();
                if let Some(tensor) = self.replaced.get(&value) {
                    c.tensor.clone_from(tensor);
                }
                let new = self.program.add_const(self.body, &name, c);
                self.values.insert(value, new);
                new
            }
            None => {
                self.argument(value, None);
                self.values[&value]
            }
        }
    }
}

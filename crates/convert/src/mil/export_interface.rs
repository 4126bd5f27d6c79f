//! Writing the interfaces of functions and blocks: names and types of arguments, names of outputs.

use anewrite_ir::{BlockId, ValueId};
use coreml_proto::rope::Rope;
use coreml_proto::wire::Value;

use super::encode::{self, push_text};
use super::export::Writer;
use super::source::{BlockSource, FunctionSource};
use super::types::value_type;
use super::view::{NamedView, named};
use crate::export::ExportProblem;
use crate::read::{Depth, Span, each_field};

impl Writer<'_, '_> {
    /// Gives a `NamedValueType`, which is in field `number`, its value's name, or makes it anew.
    pub(super) fn edit_named(
        &mut self,
        view: &NamedView,
        value: ValueId,
        old: &str,
        number: u32,
    ) -> Result<(), ExportProblem> {
        let name = self.name(value);
        let mut field = Rope::new();
        let spec = self.sheet.spec;
        let whole = |ty: &Span| Ok::<_, ExportProblem>(value_type(spec, ty.clone(), Depth::default())?.whole);
        let is_whole = self.sheet.anew && view.plain && view.ty.as_ref().map_or(Ok(false), whole)?;
        if is_whole {
            field.push_bytes_field(number, encode::named(&name, self.program.ty(value))?);
            self.sheet.replace(view.field.clone(), field);
        } else if *name != *old
            && let Some((at, _)) = &view.name
        {
            push_text(&mut field, 1, &name);
            self.sheet.replace(at.clone(), field);
        }
        Ok(())
    }

    /// Writes names and types of a function's inputs, which no rewrite changes.
    pub(super) fn function_inputs(&mut self, from: &FunctionSource) -> Result<(), ExportProblem> {
        let (source, program) = (self.source, self.program);
        let Some(block) = source.block(from.body) else { return Ok(()) };
        let old = source.names_of(block.args);
        let args = &program.block(from.body).args;
        let outputs = source.names_of(block.outputs);
        let renamed = self.differ(args.iter().copied(), block.args)
            || outputs.len() != program.block(from.body).outputs.len()
            || (program.block(from.body).outputs.iter().zip(outputs))
                .any(|(&v, (_, name))| program.value(v).name != *name);
        if renamed {
            return Err(ExportProblem::Interface("inputs or outputs of a function were renamed".into()));
        }
        if self.sheet.anew {
            let views = inputs_at(self.sheet.spec, &from.content)?;
            for (view, (value, name)) in views.iter().zip(old) {
                self.edit_named(view, *value, name, 1)?;
            }
        }
        Ok(())
    }

    /// Writes the arguments of a block that is in the source.
    pub(super) fn block_arguments(
        &mut self,
        block: BlockId,
        from: &BlockSource,
    ) -> Result<(), ExportProblem> {
        let now = self.program.block(block);
        let old = self.source.names_of(from.args);
        if now.args.len() != old.len() {
            return Err(ExportProblem::Interface("arguments were added to a block".into()));
        }
        let is_nested = now.parent.is_some();
        if is_nested && (self.sheet.anew || self.differ(now.args.iter().copied(), from.args)) {
            let views = inputs_at(self.sheet.spec, &from.content)?;
            for (view, (&value, (_, name))) in views.iter().zip(now.args.iter().zip(old)) {
                self.edit_named(view, value, name, 1)?;
            }
        }
        Ok(())
    }

    /// Writes the outputs of a block that is in the source.
    pub(super) fn block_outputs(&mut self, block: BlockId, from: &BlockSource) -> Result<(), ExportProblem> {
        let (now, anew) = (self.program.block(block), self.sheet.anew);
        let old = self.source.names_of(from.outputs);
        if now.outputs.len() != old.len() {
            return Err(ExportProblem::Interface("outputs were added to a block".into()));
        }
        if !anew && !self.differ(now.outputs.iter().copied(), from.outputs) {
            return Ok(());
        }
        let mut fields = Vec::new();
        each_field(self.sheet.spec, from.content.clone(), |number, value, span| {
            if let (2, Value::Bytes(_)) = (number, value) {
                fields.push(span);
            }
            Ok(true)
        })?;
        for (field, (&value, (_, old))) in fields.into_iter().zip(now.outputs.iter().zip(old)) {
            let name = self.name(value);
            if anew || name != *old {
                let mut rope = Rope::new();
                rope.push_header(2, name.len() as u64);
                rope.push_slice(name.as_bytes());
                self.sheet.replace(field, rope);
            }
        }
        Ok(())
    }
}

/// The inputs of a `Function` or `Block`, both of which have them in field 1.
fn inputs_at(spec: &bytes::Bytes, content: &Span) -> Result<Vec<NamedView>, ExportProblem> {
    let mut views = Vec::new();
    each_field(spec, content.clone(), |number, value, span| {
        if let (1, Value::Bytes(r)) = (number, value) {
            views.push(named(spec, r.clone(), span)?);
        }
        Ok(true)
    })?;
    Ok(views)
}

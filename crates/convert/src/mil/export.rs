//! Writing an ML Program: what changed in each block of the source, as edits.

use anewrite_ir::{BlockId, Const, ConstOrigin, FuncId, Id, OpId, Opset, Program, Str, ValueId};
use coreml_proto::rope::Rope;
use coreml_proto::splice::Edits;
use rustc_hash::{FxHashMap, FxHashSet};

use super::encode::{self, push_text};
use super::source::{Item, ItemKind, ProgramSource};
use super::view::OpView;
use crate::document::Part;
use crate::export::{ExportError, ExportProblem, Sheet};
use crate::place::{Place, Step, end, steps};

/// Field number of the ops in `Block`.
const OPERATIONS: u32 = 3;

/// Adds the edits for the program of `part`.
pub(crate) fn export(
    sheet: &mut Sheet<'_>,
    index: usize,
    part: &Part,
    source: &ProgramSource,
) -> Result<(), ExportError> {
    let program = &part.program;
    let mut writer = Writer {
        sheet,
        part: index,
        program,
        source,
        opset: None,
        func: None,
        written: vec![false; program.value_bound()],
        given: FxHashMap::default(),
        taken: FxHashSet::default(),
        frames: Vec::new(),
        place: String::new(),
    };
    let functions: Vec<_> = program.functions().collect();
    if functions.len() != source.functions.len() {
        return Err(writer.error(ExportProblem::Interface("a function was added".into())));
    }
    for (&(id, function), from) in functions.iter().zip(&source.functions) {
        writer.func = Some(id);
        writer.opset = Opset::from_name(&function.opset);
        writer.place = format!("function {:?}", function.name);
        let written = writer.function_inputs(from).and_then(|()| writer.block(from.body));
        written.map_err(|problem| writer.error(problem))?;
    }
    Ok(())
}

pub(super) struct Writer<'w, 'a> {
    pub(super) sheet: &'w mut Sheet<'a>,
    pub(super) part: usize,
    pub(super) program: &'w Program,
    pub(super) source: &'w ProgramSource,
    pub(super) opset: Option<Opset>,
    func: Option<FuncId>,
    /// Constants that stand in the output by now, by index of their values.
    written: Vec<bool>,
    /// Names given to constants that had none.
    given: FxHashMap<ValueId, Str>,
    taken: FxHashSet<Str>,
    /// The blocks that are being written, from the outermost in.
    frames: Vec<Frame>,
    /// The op that is being written, for errors.
    place: String,
}

/// A block that is being written, and where its next op goes.
struct Frame {
    block: BlockId,
    to: Sink,
}

enum Sink {
    /// Among the fields of the source.
    At(Place),
    /// Into a new message.
    New(Rope),
}

impl<'w> Writer<'w, '_> {
    fn error(&self, problem: ExportProblem) -> ExportError {
        ExportError::new(self.place.clone(), problem)
    }

    /// The name under which a value is written.
    pub(super) fn name(&self, value: ValueId) -> Str {
        self.given.get(&value).unwrap_or(&self.program.value(value).name).clone()
    }

    /// Writes a block of the source.
    pub(super) fn block(&mut self, block: BlockId) -> Result<(), ExportProblem> {
        let (source, program) = (self.source, self.program);
        let Some(from) = source.block(block) else {
            return Err(ExportProblem::Interface("a block was added to an op".into()));
        };
        self.block_arguments(block, from)?;
        let op_of = |item: &Item| match item.what {
            ItemKind::Op(op) => Some(op),
            ItemKind::Const { .. } => None,
        };
        let items: Vec<_> = from.items.iter().map(|item| (&item.field, op_of(item))).collect();
        let steps = steps(program, block, &items, &from.content, |op| source.op(op).is_none())?;
        let end = end(&items, &from.content);
        self.frames.push(Frame { block, to: Sink::At(end.clone()) });
        for step in steps {
            match step {
                Step::New(op, place) => {
                    self.move_to(place);
                    self.at_op(op);
                    let message = self.new_op(op)?;
                    self.put(self.frames.len().saturating_sub(1), message);
                }
                Step::Gone(i) => {
                    let Some(item) = from.items.get(i) else { continue };
                    self.sheet.drop(item.field.clone());
                }
                Step::Item(i) => match from.items.get(i) {
                    Some(Item { field, what: ItemKind::Op(op), .. }) => {
                        self.move_to(Place::Before(field.start));
                        self.at_op(*op);
                        self.source_op(*op)?;
                    }
                    Some(item) => self.source_const(item)?,
                    None => {}
                },
            }
        }
        self.move_to(end);
        self.output_constants(block)?;
        self.frames.pop();
        self.block_outputs(block, from)
    }

    /// Makes constants stand that are outputs of the block on top.
    pub(super) fn output_constants(&mut self, block: BlockId) -> Result<(), ExportProblem> {
        for &value in &self.program.block(block).outputs {
            if self.program.constant(value).is_some() {
                self.need(value, None, "output")?;
            }
        }
        Ok(())
    }

    fn move_to(&mut self, place: Place) {
        if let Some(frame) = self.frames.last_mut() {
            frame.to = Sink::At(place);
        }
    }

    fn at_op(&mut self, op: OpId) {
        let op = self.program.op(op);
        let name = op.result().map(|r| self.program.value(r).name.clone()).or_else(|| op.name.clone());
        self.place.clear();
        self.place.push_str(&op.kind);
        if let Some(name) = name {
            self.place.push_str(" that gives ");
            self.place.push_str(&name);
        }
    }

    /// Writes an `Operation` into the block at `level`.
    fn put(&mut self, level: usize, message: Rope) {
        let mut field = Rope::new();
        field.push_field(OPERATIONS, &message);
        self.put_field(level, field);
    }

    fn put_field(&mut self, level: usize, field: Rope) {
        match self.frames.get_mut(level).map(|frame| &mut frame.to) {
            Some(Sink::At(place)) => self.sheet.insert(place, field),
            Some(Sink::New(rope)) => rope.push_rope(&field),
            None => {}
        }
    }

    /// Writes the ops of a new block and gives their fields.
    pub(super) fn new_block(&mut self, block: BlockId) -> Result<Rope, ExportProblem> {
        self.frames.push(Frame { block, to: Sink::New(Rope::new()) });
        let mut cursor = self.program.ops(block).next();
        while let Some(op) = cursor {
            let message = self.new_op(op)?;
            self.put(self.frames.len() - 1, message);
            cursor = self.program.next_op(op);
        }
        self.output_constants(block)?;
        match self.frames.pop() {
            Some(Frame { to: Sink::New(rope), .. }) => Ok(rope),
            _ => Ok(Rope::new()),
        }
    }

    fn source_const(&mut self, item: &Item) -> Result<(), ExportProblem> {
        let ItemKind::Const { value, ref name, unused } = item.what else { return Ok(()) };
        if self.is_written(value) {
            // It was needed earlier, and stands there.
            return Ok(());
        }
        let sealed = self.program.constant(value).is_some_and(|c| c.sealed);
        if self.program.use_count(value) == 0 && !unused && !sealed {
            self.sheet.drop(item.field.clone());
            return Ok(());
        }
        self.mark_written(value);
        if self.sheet.anew || self.program.value(value).name != *name {
            let mut edits = std::mem::take(&mut self.sheet.edits);
            let changed = self.edit_const(item, value, &mut edits);
            self.sheet.edits = edits;
            changed?;
        }
        Ok(())
    }

    fn is_written(&self, value: ValueId) -> bool {
        self.written.get(value.index()).copied().unwrap_or(false)
    }

    fn mark_written(&mut self, value: ValueId) {
        if let Some(written) = self.written.get_mut(value.index()) {
            *written = true;
        }
    }

    /// Makes sure that a constant that is used by name stands before what is written next. `user` and `param` name it
    /// where it has no name.
    pub(super) fn need(
        &mut self,
        value: ValueId,
        user: Option<OpId>,
        param: &str,
    ) -> Result<(), ExportProblem> {
        if self.is_written(value) {
            return Ok(());
        }
        let home = self.program.value_block(value);
        let Some(level) = self.frames.iter().rposition(|frame| frame.block == home) else {
            return Err(ExportProblem::NotVisible(self.program.value(value).name.to_string()));
        };
        self.mark_written(value);
        if let Some(item) = self.place_of(home, value) {
            let mut inner = Edits::new();
            let renamed = matches!(&item.what, ItemKind::Const { name, .. } if *name != self.name(value));
            if renamed || self.sheet.anew {
                self.edit_const(item, value, &mut inner)?;
            }
            let field = self.sheet.take(item.field.clone(), inner)?;
            self.put_field(level, field);
            return Ok(());
        }
        if self.program.value(value).name.is_empty() {
            self.give_name(value, user, param);
        }
        let Some(data) = self.program.constant(value) else { return Ok(()) };
        let message = self.const_message(value, data)?;
        self.put(level, message);
        Ok(())
    }

    /// Where the source has a constant.
    fn place_of(&self, home: BlockId, value: ValueId) -> Option<&'w Item> {
        let source: &'w ProgramSource = self.source;
        source.block(home)?.items.get(source.places[value]? as usize)
    }

    /// Names a constant after its first use.
    fn give_name(&mut self, value: ValueId, user: Option<OpId>, param: &str) {
        let result = user.and_then(|op| self.program.op(op).result());
        let base = match result {
            Some(r) => format!("{}_{param}", self.program.value(r).name),
            None => param.to_owned(),
        };
        let is_free = |name: &str| {
            !self.func.is_some_and(|f| self.program.has_name(f, name)) && !self.taken.contains(name)
        };
        let mut name = base.clone();
        let mut n = 0u32;
        while !is_free(&name) {
            n += 1;
            name = format!("{base}_{n}");
        }
        let name: Str = name.into();
        self.taken.insert(name.clone());
        self.given.insert(value, name);
    }

    /// A new `const` op.
    fn const_message(&mut self, value: ValueId, data: &Const) -> Result<Rope, ExportProblem> {
        let name = self.name(value);
        let op_name = match &data.origin {
            ConstOrigin::ConstOp { name: Some(op_name) } => op_name.clone(),
            _ => name.clone(),
        };
        let mut head = Vec::with_capacity(96);
        encode::put_field(&mut head, 1, b"const");
        encode::put_field(&mut head, 3, &encode::named(&name, self.program.ty(value))?);
        let mut message = Rope::new();
        message.push_slice(&head);
        message.push_field(5, &entry("name", &encode::text_value(&op_name)));
        let val = self.new_value(value, data)?;
        message.push_field(5, &entry("val", &val));
        Ok(message)
    }

    /// The `Value` of a constant that the source does not have in this place.
    pub(super) fn new_value(&mut self, value: ValueId, data: &Const) -> Result<Rope, ExportProblem> {
        match self.sheet.blobs.of_new(self.part, value, &data.tensor, self.opset)? {
            Some((file, offset)) => {
                encode::value(self.sheet.spec, &data.tensor, encode::Home::File(&file, offset))
            }
            None => encode::value(self.sheet.spec, &data.tensor, encode::Home::Message(None)),
        }
    }

    /// Adds the edits of a `const` op of the source: another name, or all of it anew.
    fn edit_const(&mut self, item: &Item, value: ValueId, edits: &mut Edits) -> Result<(), ExportProblem> {
        let mut view = OpView::default();
        view.read(self.sheet.spec, item.content.clone())?;
        let name = self.name(value);
        if self.sheet.anew {
            return self.anew_const(&view, value, edits);
        }
        if let Some((field, _)) = view.outputs.first().and_then(|o| o.name.clone()) {
            let mut rope = Rope::new();
            push_text(&mut rope, 1, &name);
            edits.replace(field, rope);
        }
        Ok(())
    }
}

/// A map entry with a message.
pub(super) fn entry(key: &str, value: &Rope) -> Rope {
    let mut rope = Rope::new();
    push_text(&mut rope, 1, key);
    rope.push_field(2, value);
    rope
}

//! From pairs of lines to changes and hunks.

use anewrite_ir::text::{CommentOf, Line, LineContent, PrintOptions, Printer};
use anewrite_ir::{FuncId, Program};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::matching::{longest_growing, pair_lines};
use crate::report::{
    Change, ChangeKind, DiffLine, FunctionDiff, FunctionStatus, LineKind, LineSign, ProgramDiff,
};
use crate::same::{Side, same_line};

/// How two programs are compared and shown.
#[derive(Clone, Copy)]
pub struct DiffOptions<'a> {
    /// Unchanged lines shown before and after each change.
    pub context: usize,
    /// Whether large constants that differ show a digest, which takes reading them.
    pub digest: bool,
    /// Comments on the new program's ops, such as the rule that made them.
    pub comments: Option<&'a CommentOf<'a>>,
}

impl Default for DiffOptions<'_> {
    fn default() -> Self {
        DiffOptions { context: 3, digest: true, comments: None }
    }
}

/// Compares two programs, function by function.
///
/// The time is that of sorting the lines; weights are read only where two constants of one type are paired and do
/// not share their bytes, or are shown.
pub fn compare(before: &Program, after: &Program, options: &DiffOptions<'_>) -> ProgramDiff {
    let print = PrintOptions { digest: options.digest, ..PrintOptions::short() };
    let old = Side { p: before, printer: Printer::new(before, print) };
    let new = Side { p: after, printer: Printer::new(after, print) };
    let commented = options
        .comments
        .map(|comments| Printer::new(after, PrintOptions { comments: Some(comments), ..print }));
    let both = Both { old, new, commented, context: options.context };
    let new_functions: FxHashMap<&str, FuncId> = after.functions().map(|(id, f)| (&*f.name, id)).collect();
    let mut functions = Vec::new();
    let mut seen: FxHashSet<&str> = FxHashSet::default();
    for (id, f) in before.functions() {
        seen.insert(&f.name);
        functions.push(both.function(&f.name, Some(id), new_functions.get(&*f.name).copied()));
    }
    for (id, f) in after.functions().filter(|(_, f)| !seen.contains(&*f.name)) {
        functions.push(both.function(&f.name, None, Some(id)));
    }
    ProgramDiff { facts: Vec::new(), functions }
}

struct Both<'a> {
    old: Side<'a>,
    new: Side<'a>,
    /// Prints the new program's lines with comments.
    commented: Option<Printer<'a>>,
    context: usize,
}

/// A step through both programs' lines.
#[derive(Clone, Copy)]
enum Step {
    Same {
        new: usize,
    },
    /// Old and new line of one thing at one place.
    Changed {
        old: usize,
        new: usize,
    },
    /// Gone, or, with a partner, gone from here.
    Old {
        old: usize,
        partner: Option<usize>,
    },
    /// New, or, with a partner, new here.
    New {
        new: usize,
        partner: Option<usize>,
    },
}

impl Both<'_> {
    fn function(&self, name: &str, old: Option<FuncId>, new: Option<FuncId>) -> FunctionDiff {
        let olds = old.map_or_else(Vec::new, |f| self.old.printer.lines(f));
        let news = new.map_or_else(Vec::new, |f| self.new.printer.lines(f));
        let steps = self.steps(&olds, &news);
        let changes: Vec<Change> = steps.iter().filter_map(|step| self.change(*step, &olds, &news)).collect();
        let status = match (old, new) {
            (None, _) => FunctionStatus::Added,
            (_, None) => FunctionStatus::Removed,
            _ if changes.is_empty() => FunctionStatus::Same,
            _ => FunctionStatus::Changed,
        };
        let hunks = self.hunks(&steps, &olds, &news);
        FunctionDiff { name: name.to_owned(), status, changes, hunks }
    }

    fn steps(&self, olds: &[Line], news: &[Line]) -> Vec<Step> {
        let pairs = pair_lines(&self.old, olds, &self.new, news);
        let mut partner = vec![None; olds.len()];
        for (new, old) in pairs.iter().enumerate() {
            if let Some(slot) = old.and_then(|o| partner.get_mut(o)) {
                *slot = Some(new);
            }
        }
        let mut steps = Vec::with_capacity(news.len());
        let (mut o, mut n) = (0, 0);
        let mut up_to = |steps: &mut Vec<Step>, old: usize, new: usize| {
            let gone = o..old;
            let come = n..new;
            (o, n) = (old + 1, new + 1);
            steps.extend(gone.map(|old| Step::Old { old, partner: partner.get(old).copied().flatten() }));
            steps.extend(come.map(|new| Step::New { new, partner: pairs.get(new).copied().flatten() }));
        };
        for new in longest_growing(&pairs) {
            let Some(old) = pairs.get(new).copied().flatten() else { continue };
            up_to(&mut steps, old, new);
            steps.push(match self.same(olds, old, news, new) {
                true => Step::Same { new },
                false => Step::Changed { old, new },
            });
        }
        up_to(&mut steps, olds.len(), news.len());
        steps
    }

    fn same(&self, olds: &[Line], old: usize, news: &[Line], new: usize) -> bool {
        match (olds.get(old), news.get(new)) {
            (Some(&a), Some(&b)) => same_line(&self.old, a, &self.new, b),
            _ => false,
        }
    }

    fn change(&self, step: Step, olds: &[Line], news: &[Line]) -> Option<Change> {
        let (kind, old, new) = match step {
            Step::Same { .. } => return None,
            // what only moved, or also moved, is told at its new place
            Step::Old { partner: Some(_), .. } => return None,
            Step::Changed { old, new } => (ChangeKind::Changed, Some(old), Some(new)),
            Step::New { new, partner: Some(old) } if self.same(olds, old, news, new) => {
                (ChangeKind::Moved, Some(old), Some(new))
            }
            Step::New { new, partner: Some(old) } => (ChangeKind::Changed, Some(old), Some(new)),
            Step::New { new, partner: None } => (ChangeKind::Added, None, Some(new)),
            Step::Old { old, .. } => (ChangeKind::Removed, Some(old), None),
        };
        let old = old.and_then(|i| olds.get(i)).copied();
        let new = new.and_then(|i| news.get(i)).copied();
        let (p, line) = match (old, new) {
            (_, Some(line)) => (self.new.p, line),
            (Some(line), None) => (self.old.p, line),
            (None, None) => return None,
        };
        let value_name = |v| p.value(v).name.to_string();
        let (what, name, op) = match line.content {
            LineContent::Op(op) => {
                let op = p.op(op);
                (LineKind::Op, op.result().map(value_name), Some(op.kind.to_string()))
            }
            LineContent::Constant(v) => (LineKind::Constant, Some(value_name(v)), None),
            _ => (LineKind::Frame, None, None),
        };
        let before = old.map(|l| self.old.printer.line(l));
        let after = new.map(|l| self.new.printer.line(l));
        Some(Change { kind, what, name, op, before, after })
    }

    /// Runs of lines around the changes.
    fn hunks(&self, steps: &[Step], olds: &[Line], news: &[Line]) -> Vec<Vec<DiffLine>> {
        let mut hunks: Vec<Vec<DiffLine>> = Vec::new();
        let mut shown_to = 0;
        // where the old line of a changed thing goes: before the new lines that lead up to it
        let mut mark = 0;
        for (i, _) in steps.iter().enumerate().filter(|(_, s)| !matches!(s, Step::Same { .. })) {
            let start = i.saturating_sub(self.context).max(shown_to);
            let end = (i + 1).saturating_add(self.context).min(steps.len());
            if start > shown_to || hunks.is_empty() {
                hunks.push(Vec::new());
                mark = 0;
            }
            let Some(hunk) = hunks.last_mut() else { continue };
            for step in steps.get(start..end).unwrap_or_default() {
                self.show(*step, olds, news, mark, hunk);
                if !matches!(step, Step::New { .. }) {
                    mark = hunk.len();
                }
            }
            shown_to = shown_to.max(end);
        }
        hunks
    }

    fn show(&self, step: Step, olds: &[Line], news: &[Line], mark: usize, out: &mut Vec<DiffLine>) {
        let (old, new, sign) = match step {
            Step::Same { new } => (None, Some(new), LineSign::Both),
            Step::Changed { old, new } => (Some(old), Some(new), LineSign::New),
            Step::Old { old, .. } => (Some(old), None, LineSign::New),
            Step::New { new, .. } => (None, Some(new), LineSign::New),
        };
        let indented = |printer: &Printer<'_>, line: Line| {
            format!("{}{}", "    ".repeat(line.depth as usize), printer.line(line))
        };
        if let Some(&line) = old.and_then(|i| olds.get(i)) {
            let at = if new.is_some() { mark.min(out.len()) } else { out.len() };
            out.insert(at, DiffLine { sign: LineSign::Old, text: indented(&self.old.printer, line) });
        }
        if let Some(&line) = new.and_then(|i| news.get(i)) {
            let plain = &self.new.printer;
            let printer =
                if sign == LineSign::New { self.commented.as_ref().unwrap_or(plain) } else { plain };
            out.push(DiffLine { sign, text: indented(printer, line) });
        }
    }
}

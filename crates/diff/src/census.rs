//! How many ops of each kind, how many parameters: before and after.

use std::collections::BTreeMap;
use std::fmt;

use anewrite_ir::{Program, Side, ValueId};
use anewrite_tensor::{DType, Payload, Tensor};
use rustc_hash::FxHashSet;
use serde::Serialize;

/// What a program is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Number of ops by kind, nested ones included; constants are not counted.
    pub ops: BTreeMap<String, u64>,
    /// Elements of the constants that ops use, those of `int32`, `bool` and `string` left out, for they say what an
    /// op does. Data that several constants share counts once.
    pub parameters: u64,
    /// Bytes of the same constants.
    pub parameter_bytes: u64,
}

impl Census {
    /// Counts a program.
    pub fn of(program: &Program) -> Census {
        let mut census = Census::default();
        let mut seen: Side<ValueId, bool> = Side::new(false);
        let mut data: FxHashSet<(usize, usize)> = FxHashSet::default();
        for op in program.all_ops() {
            let op = program.op(op);
            match census.ops.get_mut(&*op.kind) {
                Some(n) => *n += 1,
                None => drop(census.ops.insert(op.kind.to_string(), 1)),
            }
            for o in &op.operands {
                let Some(c) = program.constant(o.value) else { continue };
                if std::mem::replace(seen.entry(o.value), true) {
                    continue;
                }
                census.add_constant(&c.tensor, &mut data);
            }
        }
        census
    }

    fn add_constant(&mut self, t: &Tensor, data: &mut FxHashSet<(usize, usize)>) {
        if matches!(t.dtype(), DType::I32 | DType::Bool | DType::String) {
            return;
        }
        if let Payload::Bytes(b) = t.payload()
            && !b.is_empty()
            && !data.insert((b.as_ptr() as usize, b.len()))
        {
            return;
        }
        self.parameters = self.parameters.saturating_add(t.count());
        let bits = t.count().saturating_mul(u64::from(t.dtype().bits()));
        self.parameter_bytes = self.parameter_bytes.saturating_add(bits.div_ceil(8));
    }

    /// Adds the counts of another program of the same model.
    pub fn merge(&mut self, other: &Census) {
        for (kind, n) in &other.ops {
            *self.ops.entry(kind.clone()).or_insert(0) += n;
        }
        self.parameters = self.parameters.saturating_add(other.parameters);
        self.parameter_bytes = self.parameter_bytes.saturating_add(other.parameter_bytes);
    }

    /// Number of all ops.
    pub fn op_count(&self) -> u64 {
        self.ops.values().sum()
    }
}

/// A table of numbers before and after; displays with aligned columns.
///
/// ```
/// use anewrite_diff::{Census, Table};
/// use anewrite_ir::text::parse;
/// let head = "func main<CoreML6>(tensor<fp16, [2]> x)";
/// let before = parse(&format!("{head} {{ a = relu(x = x); y = add(x = a, y = 0.5); }} -> (y);")).unwrap();
/// let after = parse(&format!("{head} {{ y = add(x = x, y = 0.5); }} -> (y);")).unwrap();
/// let mut table = Table::new(&Census::of(&before), &Census::of(&after));
/// table.push("file size (bytes)", 1200, 1100);
/// let text = table.to_string();
/// let lines: Vec<&str> = text.lines().collect();
/// assert_eq!(lines[0], "                     before  after  change");
/// assert_eq!(lines[1], "ops                       2      1      -1");
/// assert_eq!(lines[2], "  add                     1      1");
/// assert_eq!(lines[3], "  relu                    1      0      -1");
/// assert_eq!(lines[6], "file size (bytes)      1200   1100    -100");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The rows from top to bottom.
    pub rows: Vec<Row>,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What is counted; the kinds of ops are indented by two spaces.
    pub what: String,
    /// How much there was.
    pub before: u64,
    /// How much there is.
    pub after: u64,
}

impl Table {
    /// The ops, in all and by kind, and the parameters.
    pub fn new(before: &Census, after: &Census) -> Table {
        let mut table = Table::default();
        table.push("ops", before.op_count(), after.op_count());
        let kinds: std::collections::BTreeSet<&String> = before.ops.keys().chain(after.ops.keys()).collect();
        let count = |census: &Census, kind: &String| census.ops.get(kind).copied().unwrap_or(0);
        for kind in kinds {
            table.push(&format!("  {kind}"), count(before, kind), count(after, kind));
        }
        table.push("parameters", before.parameters, after.parameters);
        table.push("bytes of parameters", before.parameter_bytes, after.parameter_bytes);
        table
    }

    /// Adds a row.
    pub fn push(&mut self, what: &str, before: u64, after: u64) {
        self.rows.push(Row { what: what.to_owned(), before, after });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = |row: &Row| match row.after.cmp(&row.before) {
            std::cmp::Ordering::Equal => String::new(),
            std::cmp::Ordering::Greater => format!("+{}", row.after - row.before),
            std::cmp::Ordering::Less => format!("-{}", row.before - row.after),
        };
        let cells: Vec<[String; 4]> = std::iter::once(["", "before", "after", "change"].map(str::to_owned))
            .chain(
                self.rows
                    .iter()
                    .map(|r| [r.what.clone(), r.before.to_string(), r.after.to_string(), change(r)]),
            )
            .collect();
        let width =
            |i: usize| cells.iter().filter_map(|c| Some(c.get(i)?.chars().count())).max().unwrap_or(0);
        let [what, before, after, change] = [0, 1, 2, 3].map(width);
        for [a, b, c, d] in &cells {
            let line = format!("{a:what$}  {b:>before$}  {c:>after$}  {d:>change$}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

//! Numbers for extents that are not known.

use anewrite_ir::dims::{DimTable, DimValues};
use anewrite_ir::infer::Facts;
use anewrite_ir::{Dim, Program, Type, ValueId};

/// One choice of numbers for the symbols of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Different odd numbers.
    Odd,
    /// Different larger numbers, odd and even.
    Larger,
    /// All the same.
    Equal(u64),
}

/// The choices that are tried, until enough of them fit.
pub(crate) const CHOICES: [Choice; 8] = [
    Choice::Odd,
    Choice::Larger,
    Choice::Equal(7),
    Choice::Equal(16),
    Choice::Equal(33),
    Choice::Equal(2),
    Choice::Equal(64),
    Choice::Equal(1),
];

impl Choice {
    /// In words.
    pub(crate) fn name(self) -> String {
        match self {
            Choice::Odd => "different odd numbers".into(),
            Choice::Larger => "different larger numbers".into(),
            Choice::Equal(n) => format!("all {n}"),
        }
    }

    fn number(self, symbol: u32) -> i64 {
        let n = i64::from(symbol);
        match self {
            Choice::Odd => 5 + 2 * ((n * 5) % 7),
            Choice::Larger => 16 + (n * 7) % 11,
            Choice::Equal(n) => n as i64,
        }
    }
}

/// The extents of a program's values under one choice.
pub(crate) struct Numbers<'a> {
    program: &'a Program,
    facts: &'a Facts,
    values: Option<DimValues>,
    choice: Choice,
}

impl<'a> Numbers<'a> {
    /// `dims` is asked only where symbols occur, for each of its expressions is computed.
    pub(crate) fn new(
        program: &'a Program,
        facts: &'a Facts,
        dims: &DimTable,
        symbols: bool,
        choice: Choice,
    ) -> Self {
        let values = symbols.then(|| dims.evaluate(|n| Some(choice.number(n))));
        Numbers { program, facts, values, choice }
    }

    /// The same numbers for another program whose types are written in the same symbols.
    pub(crate) fn of<'b>(&self, program: &'b Program, facts: &'b Facts) -> Numbers<'b> {
        Numbers { program, facts, values: self.values.clone(), choice: self.choice }
    }

    /// The extents of a tensor; `None` where not even their number is known, or one is negative.
    pub(crate) fn extents(&self, value: ValueId) -> Option<Vec<u64>> {
        let t = self.facts.tensor(self.program, value)?;
        let dims = t.shape.as_ref()?.iter().enumerate();
        dims.map(|(axis, &d)| match (d, &self.values) {
            (Dim::Known(n), _) => Some(n),
            (Dim::Unknown, _) => u64::try_from(self.choice.number(axis as u32 + 3)).ok(),
            (d, Some(values)) => values.dim(d),
            (Dim::Expr(_), None) => None,
        })
        .collect()
    }

    /// The elements of a small integer value that follow from extents.
    pub(crate) fn ints(&self, value: ValueId) -> Option<Vec<i64>> {
        let known = self.facts.ints(value)?;
        known.iter().map(|&n| n.known().or_else(|| self.values.as_ref()?.int(n))).collect()
    }
}

/// Whether the type of a value, or what is known of its elements, has symbols in it.
pub(crate) fn has_symbols(p: &Program, facts: &Facts, value: ValueId) -> bool {
    let shape = match facts.ty(p, value) {
        Type::Tensor(t) | Type::State(t) => t.shape.as_ref(),
        _ => None,
    };
    shape.is_some_and(|s| s.iter().any(|d| d.known().is_none()))
        || facts.ints(value).is_some_and(|n| n.iter().any(|n| n.known().is_none()))
}

//! Products by equation.

use crate::array::{Array, Data, Element};
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::gemm::{Matrix, View, accumulate};
use crate::kernel::{Table, real};
use crate::number::Number;
use crate::real::Real;
use crate::sums::Sums;

pub(crate) const TABLE: Table = &[("einsum", real!(einsum))];

/// A label with its extent, and how far apart its elements are in each operand; 0 where one stands for all.
#[derive(Clone, Debug)]
struct Label {
    name: char,
    extent: usize,
    steps: Vec<usize>,
    in_result: bool,
}

/// The labels of an equation over operands, those of the result first and in its order.
fn labels(equation: &str, values: &[&Array]) -> Result<Vec<Label>, EvalError> {
    let bad = |why: String| EvalError::bad("equation", format!("{equation:?}: {why}"));
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = text.split_once("->").ok_or_else(|| bad("it has no ->".into()))?;
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != values.len() {
        return Err(bad(format!("{} operands are given", values.len())));
    }
    let mut labels: Vec<Label> = Vec::new();
    for name in output.chars() {
        if labels.iter().any(|l| l.name == name) {
            return Err(bad(format!("{name:?} is twice in the result")));
        }
        labels.push(Label { name, extent: 0, steps: vec![0; values.len()], in_result: true });
    }
    for (i, (axes, value)) in inputs.iter().zip(values).enumerate() {
        if axes.chars().count() != value.rank() {
            return Err(bad(format!("{axes:?} does not name the axes of {value:?}")));
        }
        let mut step = 1;
        for (name, &extent) in axes.chars().rev().zip(value.dims().iter().rev()) {
            let extent = extent as usize;
            let at = labels.iter().position(|l| l.name == name).unwrap_or_else(|| {
                labels.push(Label { name, extent: 0, steps: vec![0; values.len()], in_result: false });
                labels.len() - 1
            });
            let label = &mut labels[at];
            if extent != 1 {
                if label.extent > 1 && label.extent != extent || label.extent == 0 && label.seen() {
                    return Err(bad(format!("{name:?} has the extents {} and {extent}", label.extent)));
                }
                label.extent = extent;
                label.steps[i] += step;
            } else if label.extent == 0 && !label.seen() {
                label.extent = 1;
            }
            step *= extent.max(1);
        }
    }
    match labels.iter().find(|l| l.extent == 0 && !l.seen()) {
        Some(l) => Err(bad(format!("{:?} is in no operand", l.name))),
        None => Ok(labels),
    }
}

impl Label {
    /// Whether an operand has it with an extent other than 1.
    fn seen(&self) -> bool {
        self.steps.iter().any(|&s| s > 0)
    }
}

/// An extent of 1 broadcasts; labels that are not in the result are summed over.
fn einsum<T: Real>(call: &Call<'_>) -> Computed {
    let values = call.all("values")?;
    let labels = labels(call.text("equation")?, &values)?;
    let Some(first) = values.first() else { return Err(EvalError::Missing("values".into())) };
    let dims: Vec<u64> = labels.iter().filter(|l| l.in_result).map(|l| l.extent as u64).collect();
    let dtype = first.dtype();
    if values.iter().all(|a| matches!(a.data(), Data::Int(_))) {
        let mut y = call.zeros::<i64>(&dims)?;
        each(&labels, &values, &mut y, 1, i64::wrapping_mul, i64::wrapping_add)?;
        y.iter_mut().for_each(|y| *y = y.within(dtype));
        return call.one(dtype, &dims, y);
    }
    let mut y = call.zeros::<T>(&dims)?;
    match values.as_slice() {
        [a, b] => pair(&labels, items::<T>(a)?, items::<T>(b)?, &mut y, Sums::of(call.arithmetic()))?,
        _ => each(&labels, &values, &mut y, T::one(), |a, b| a * b, |a, b| a + b)?,
    }
    call.one(dtype, &dims, y)
}

fn items<T: Element>(a: &Array) -> Result<&[T], EvalError> {
    a.items().ok_or_else(|| EvalError::bad("values", format!("{a:?} beside others")))
}

/// Where each position of some labels, in row-major order, lies in place `place`.
fn positions<'l>(labels: impl IntoIterator<Item = &'l Label>, place: usize) -> Vec<usize> {
    let mut at = vec![0];
    for label in labels {
        let step = label.steps.get(place).copied().unwrap_or(0);
        at = at.iter().flat_map(|&from| (0..label.extent).map(move |i| from + i * step)).collect();
    }
    at
}

/// Adds to each element of the result its products, one by one.
fn each<T: Element>(
    labels: &[Label],
    values: &[&Array],
    y: &mut [T],
    unit: T,
    mul: impl Fn(T, T) -> T,
    add: impl Fn(T, T) -> T,
) -> Result<(), EvalError> {
    let mut operands = Vec::with_capacity(values.len());
    for (place, a) in values.iter().enumerate() {
        let of = |in_result: bool| positions(labels.iter().filter(|l| l.in_result == in_result), place);
        operands.push((items::<T>(a)?, of(true), of(false)));
    }
    let terms = operands.first().map_or(0, |(_, _, summed)| summed.len());
    for (i, y) in y.iter_mut().enumerate() {
        for term in 0..terms {
            let factor =
                |(items, outer, summed): &(&[T], Vec<usize>, Vec<usize>)| items[outer[i] + summed[term]];
            *y = add(*y, operands.iter().map(factor).fold(unit, &mul));
        }
    }
    Ok(())
}

/// One step for all positions of labels, where they lie evenly.
fn even(labels: &[&Label], place: usize) -> Option<usize> {
    let mut labels = labels.iter().filter(|l| l.extent != 1).rev();
    let last = labels.next().map_or((1, 1), |l| (l.steps[place], l.extent));
    let mut next = last.0 * last.1;
    for l in labels {
        if l.steps[place] != next {
            return None;
        }
        next *= l.extent;
    }
    Some(last.0)
}

/// Two operands, as products of matrices: labels of both in the result count the matrices, labels of one are its rows or
/// columns, the rest is summed over.
fn pair<T: Real>(
    labels: &[Label],
    a: &[T],
    b: &[T],
    y: &mut [T],
    sums: Option<Sums>,
) -> Result<(), EvalError> {
    const RESULT: usize = 2;
    if y.is_empty() {
        return Ok(());
    }
    let mut labels = labels.to_vec();
    let mut step = 1;
    labels.iter_mut().filter(|l| l.in_result).rev().for_each(|l| {
        l.steps.push(step);
        step *= l.extent;
    });
    let of = |in_result: bool, kind: fn(bool, bool) -> bool| -> Vec<&Label> {
        let wanted = |l: &&Label| l.in_result == in_result && kind(l.steps[0] > 0, l.steps[1] > 0);
        labels.iter().filter(wanted).collect()
    };
    let (batch, rows) = (of(true, |a, b| a && b), of(true, |a, b| a || !b));
    let rows: Vec<&Label> = rows.into_iter().filter(|l| l.steps[0] == 0 || l.steps[1] == 0).collect();
    let (cols, summed) = (of(true, |a, b| !a && b), of(false, |_, _| true));
    let size = |labels: &[&Label]| labels.iter().map(|l| l.extent).product::<usize>();
    let (m, n, k) = (size(&rows), size(&cols), size(&summed));
    let mut left = Side::new(&rows, &summed, 0);
    let mut right = Side::new(&summed, &cols, 1);
    let at_y = Side::<T>::new(&rows, &cols, RESULT);
    let distinct = |v: View| v.row >= n * v.col && v.col > 0 || v.col >= m * v.row && v.row > 0;
    let direct = at_y.view.filter(|&v| distinct(v) || m * n == 1);
    let mut own = vec![T::zero(); if direct.is_some() { 0 } else { m * n }];
    let starts = |place| positions(batch.iter().copied(), place);
    for ((at_a, at_b), at) in starts(0).into_iter().zip(starts(1)).zip(starts(RESULT)) {
        let (a, b) = (left.matrix(a, at_a), right.matrix(b, at_b));
        match direct {
            Some(view) => {
                let view = if m * n == 1 { View::rows(0, 1) } else { view };
                accumulate(sums, (m, n, k), a, b, y, View { offset: at, ..view }, true)?;
            }
            None => {
                own.fill(T::zero());
                accumulate(sums, (m, n, k), a, b, &mut own, View::rows(0, n), true)?;
                for (&row, own) in at_y.rows.iter().zip(own.chunks(n)) {
                    at_y.cols.iter().zip(own).for_each(|(&col, &x)| y[at + row + col] = x);
                }
            }
        }
    }
    Ok(())
}

/// An operand as matrices: read in place where its rows and columns lie evenly, else copied.
struct Side<T> {
    view: Option<View>,
    rows: Vec<usize>,
    cols: Vec<usize>,
    copy: Vec<T>,
}

impl<T: Real> Side<T> {
    fn new(rows: &[&Label], cols: &[&Label], place: usize) -> Self {
        let view = even(rows, place).zip(even(cols, place));
        let view = view.map(|(row, col)| View { offset: 0, row, col });
        let at = |labels: &[&Label]| positions(labels.iter().copied(), place);
        Side { view, rows: at(rows), cols: at(cols), copy: Vec::new() }
    }

    fn matrix<'a>(&'a mut self, items: &'a [T], at: usize) -> Matrix<'a, T> {
        if let Some(view) = self.view {
            return Matrix { items, at: View { offset: at, ..view } };
        }
        self.copy.clear();
        for &row in &self.rows {
            self.copy.extend(self.cols.iter().map(|&col| items[at + row + col]));
        }
        Matrix { items: &self.copy, at: View::rows(0, self.cols.len()) }
    }
}

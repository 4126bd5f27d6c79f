//! Suppression of boxes that overlap better ones.

use anewrite_tensor::DType;
use smallvec::smallvec;

use crate::array::Array;
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::real::Real;
use crate::value::Value;

pub(crate) const TABLE: Table = &[("non_maximum_suppression", real!(suppress))];

/// Boxes and scores of one batch, one row a box whatever the form of the op.
struct Batch<'a, T> {
    boxes: &'a [T],
    scores: &'a [T],
    count: usize,
    classes: usize,
    /// Whether boxes are columns, as from iOS 17 on.
    columns: bool,
}

impl<T: Real> Batch<'_, T> {
    fn at(&self, items: &[T], width: usize, row: usize, column: usize) -> T {
        items[if self.columns { column * self.count + row } else { row * width + column }]
    }

    fn score(&self, row: usize, class: usize) -> T {
        self.at(self.scores, self.classes, row, class)
    }

    /// Class and score of what a box most likely shows; the first class among equals.
    fn best(&self, row: usize) -> (usize, T) {
        let mut best = (0, self.score(row, 0));
        for class in 1..self.classes {
            let score = self.score(row, class);
            if score > best.1 {
                best = (class, score);
            }
        }
        best
    }

    /// Left, bottom, right and top of a box, which is given as centre and size.
    fn corners(&self, row: usize) -> [T; 4] {
        let [x, y, w, h] = [0, 1, 2, 3].map(|c| self.at(self.boxes, 4, row, c));
        let half = T::of(0.5);
        let ([a, b], [c, d]) = ([x - half * w, x + half * w], [y - half * h, y + half * h]);
        [a.min(b), c.min(d), a.max(b), c.max(d)]
    }
}

/// What two boxes share in proportion to what they cover together; 0 where one has no area, as in TensorFlow.
fn overlap<T: Real>(a: &[T; 4], b: &[T; 4]) -> T {
    let area = |c: &[T; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let zero = T::zero();
    if area(a) <= zero || area(b) <= zero {
        return zero;
    }
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(zero);
    let shared = side(0) * side(1);
    shared / (area(a) + area(b) - shared)
}

/// Rows of the boxes that stay, best first. Where no box has the score that is needed the best one stays, as Core ML's
/// own tests have it.
fn kept<T: Real>(batch: &Batch<'_, T>, iou: T, least: Option<T>, most: usize, per_class: bool) -> Vec<usize> {
    if batch.count == 0 || batch.classes == 0 {
        return Vec::new();
    }
    let best: Vec<(usize, T)> = (0..batch.count).map(|row| batch.best(row)).collect();
    let mut order: Vec<usize> = (0..batch.count).collect();
    order.sort_by(|&a, &b| best[b].1.partial_cmp(&best[a].1).unwrap_or(std::cmp::Ordering::Equal));
    let first = order.first().copied();
    if let Some(least) = least {
        order.retain(|&row| best[row].1 >= least);
    }
    let mut chosen: Vec<(usize, [T; 4])> = Vec::new();
    for row in order {
        if chosen.len() == most {
            break;
        }
        let corners = batch.corners(row);
        let rivals = chosen.iter().filter(|(other, _)| !per_class || best[*other].0 == best[row].0);
        if !rivals.into_iter().any(|(_, other)| overlap(other, &corners) > iou) {
            chosen.push((row, corners));
        }
    }
    let mut rows: Vec<usize> = chosen.into_iter().map(|(row, _)| row).collect();
    if rows.is_empty() && most > 0 {
        rows.extend(first);
    }
    rows
}

/// Boxes are rows `[batch, box, 4]` before iOS 17, where a least score and the number of boxes that stay belong to the
/// op, and columns `[batch, 4, box]` from then on. What is left of `max_boxes` is zero, with −1 for indices.
fn suppress<T: Real>(call: &Call<'_>) -> Computed {
    let (boxes, scores) = (call.array("boxes")?, call.array("scores")?);
    let columns = call.schema.is_none_or(|s| s.param("score_threshold").is_none());
    let fits = |&[n, a, b]: &[u64; 3], &[m, c, d]: &[u64; 3]| {
        n == m && if columns { a == 4 && b == d } else { b == 4 && a == c }
    };
    let shape = |a: &Array| <[u64; 3]>::try_from(a.dims()).ok();
    let misfit = || EvalError::bad("scores", format!("{scores:?} for the boxes {boxes:?}"));
    let (bd, sd) = shape(boxes).zip(shape(scores)).filter(|(b, s)| fits(b, s)).ok_or_else(misfit)?;
    let (n, [count, classes]) = (bd[0], if columns { [bd[2], sd[1]] } else { [bd[1], sd[2]] });
    let most = match call.counts("max_boxes")?.as_slice() {
        [most] => *most,
        other => return Err(EvalError::bad("max_boxes", format!("{other:?}"))),
    };
    let wide = |width: u64| if columns { [n, width, most] } else { [n, most, width] };
    let (box_dims, score_dims) = (wide(4), wide(classes));
    let mut out_boxes = call.zeros::<T>(&box_dims)?;
    let mut out_scores = call.zeros::<T>(&score_dims)?;
    let mut out_index = call.zeros::<i64>(&[n, most])?;
    out_index.fill(-1);
    let mut out_count = call.zeros::<i64>(&[n])?;
    let (all_boxes, all_scores) = (call.items::<T>("boxes")?, call.items::<T>("scores")?);
    let iou = T::of(call.float("iou_threshold")?);
    let least = if columns { None } else { Some(T::of(call.float("score_threshold")?)) };
    let per_class = call.flag("per_class_suppression")?;
    let [count, classes, most] = [count, classes, most].map(|n| n as usize);
    for b in 0..n as usize {
        let part = |items: &'_ [T], width: usize| b * count * width..items.len().min((b + 1) * count * width);
        let batch = Batch {
            boxes: &all_boxes[part(all_boxes, 4)],
            scores: &all_scores[part(all_scores, classes)],
            count,
            classes,
            columns,
        };
        let rows = kept(&batch, iou, least, most, per_class);
        out_count[b] = rows.len() as i64;
        for (to, &row) in rows.iter().enumerate() {
            out_index[b * most + to] = row as i64;
            let place = |width: usize, column: usize| {
                b * width * most + if columns { column * most + to } else { to * width + column }
            };
            for c in 0..4 {
                out_boxes[place(4, c)] = batch.at(batch.boxes, 4, row, c);
            }
            for c in 0..classes {
                out_scores[place(classes, c)] = batch.score(row, c);
            }
        }
    }
    let mut out = smallvec![
        Value::Tensor(call.make(boxes.dtype(), &box_dims, out_boxes)?),
        Value::Tensor(call.make(scores.dtype(), &score_dims, out_scores)?),
        Value::Tensor(call.make(DType::I32, &[n, most as u64], out_index)?),
    ];
    if !columns {
        out.push(Value::Tensor(call.make(DType::I32, &[n], out_count)?));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_ir::{Dialect, Opset};

    use super::*;
    use crate::testing::{all_on, dims, flag, floats, int, numbers};
    use crate::{Arithmetic, Value};

    /// Two pairs of boxes that overlap by 0.6 and 1/3 of their union; the third has the best score.
    const BOXES: [f32; 16] = [1., 1., 2., 2., 1.5, 1., 2., 2., 8., 8., 4., 2., 8., 9., 4., 2.];

    fn old(scores: Value, iou: f32, least: f32, most: i64, per_class: bool) -> Vec<Vec<f64>> {
        let args: Vec<(anewrite_ir::Str, Value)> = [
            ("boxes", floats(&[1, 4, 4], &BOXES)),
            ("scores", scores),
            ("iou_threshold", floats(&[], &[iou])),
            ("score_threshold", floats(&[], &[least])),
            ("max_boxes", int(most)),
            ("per_class_suppression", flag(per_class)),
        ]
        .map(|(n, v)| (n.into(), v))
        .into();
        let shared = crate::call::Shared {
            arithmetic: Arithmetic::Fp32,
            meter: crate::budget::Meter::new(None),
            seed: 0,
            draws: 0.into(),
        };
        let schema = Mil.schema("non_maximum_suppression", Opset::Ios15);
        let call = Call { kind: "", schema, args: &args, results: &[], shared: &shared };
        suppress::<f32>(&call).unwrap().iter().map(numbers).collect()
    }

    #[test]
    fn worse_boxes_that_overlap_go() {
        // torchvision.ops.nms of the corners, scores [.5, .6, .9, .2]: iou 0.5 keeps 2, 1, 3, iou 0.3 keeps 2, 1
        let scores = || floats(&[1, 4, 1], &[0.5, 0.6, 0.9, 0.2]);
        let y = old(scores(), 0.5, 0.0, 4, false);
        assert_eq!((y[2].clone(), y[3].clone()), (vec![2., 1., 3., -1.], vec![3.]));
        assert_eq!(y[0][..8], [8., 8., 4., 2., 1.5, 1., 2., 2.]);
        assert_eq!(y[0][12..], [0.; 4]);
        assert_eq!(old(scores(), 0.3, 0.0, 3, false)[2], [2., 1., -1.]);
        assert_eq!(old(scores(), 0.5, 0.3, 3, false)[2], [2., 1., -1.]);
        assert_eq!(old(scores(), 0.5, 0.0, 1, false)[2], [2.]);
        // none is good enough: the best stays
        let y = old(scores(), 0.5, 2.0, 2, false);
        assert_eq!((y[2].clone(), y[3].clone()), (vec![2., -1.], vec![1.]));
    }

    #[test]
    fn classes_on_their_own() {
        // boxes 0 and 1 show different classes, so both stay
        let scores = floats(&[1, 4, 2], &[0.5, 0.1, 0.1, 0.6, 0.9, 0., 0.2, 0.]);
        assert_eq!(old(scores, 0.3, 0.0, 4, true)[2], [2., 1., 0., -1.]);
    }

    #[test]
    fn boxes_in_columns() {
        let mut columns = [0f32; 16];
        for (i, x) in BOXES.iter().enumerate() {
            columns[i % 4 * 4 + i / 4] = *x;
        }
        let args = [
            ("boxes", floats(&[1, 4, 4], &columns)),
            ("scores", floats(&[1, 1, 4], &[0.5, 0.6, 0.9, 0.2])),
            ("iou_threshold", floats(&[], &[0.3])),
            ("max_boxes", int(3)),
        ];
        let y = all_on("non_maximum_suppression", &args).unwrap();
        assert_eq!(y.iter().map(dims).collect::<Vec<_>>(), [vec![1, 4, 3], vec![1, 1, 3], vec![1, 3]]);
        assert_eq!(numbers(&y[0])[..6], [8., 1.5, 0., 8., 1., 0.]);
        assert_eq!((numbers(&y[2]), numbers(&y[1])[2]), (vec![2., 1., -1.], 0.));
    }
}

//! Rearrangements that most lowerings share. None computes an element.

use anewrite_ir::{Dim, ValueId};
use smallvec::{SmallVec, smallvec};

use super::{Cx, One};
use crate::error::Reason;
use crate::mapping::Mapping;

/// One extent that a reshape asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// A number.
    Size(u64),
    /// The extent of an axis of a value.
    Of(ValueId, usize),
    /// Whatever is left.
    Rest,
}

/// What [`Cx::fold`] did to the axes before the last ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lead {
    /// Nothing: there was exactly one.
    Kept,
    /// There was none, and one was added.
    Added,
    /// There were several, merged into one; the value holds their extents.
    Merged(ValueId, usize),
}

impl Cx<'_, '_> {
    /// Adds axes of extent 1, at these places of the result.
    pub(crate) fn expand(&mut self, v: ValueId, axes: &[i64]) -> One {
        let axes = self.ints(axes)?;
        self.op("expand_dims", &[("x", v), ("axes", axes)])
    }

    /// Removes axes of extent 1, by a reshape where an extent is not known: MIL's op leaves such an axis.
    pub(crate) fn squeeze(&mut self, v: ValueId, axes: &[i64]) -> One {
        let shape = self.shape(v)?;
        let mut gone = vec![false; shape.len()];
        let mut certain = true;
        for &a in axes {
            let axis = self.axis("axes", a, shape.len())?;
            match shape.get(axis) {
                Some(Dim::Known(1)) => {}
                Some(Dim::Known(n)) => {
                    return Err(Reason::field("axes", format!("axis {axis} is of extent {n} and cannot go")));
                }
                _ => certain = false,
            }
            if let Some(g) = gone.get_mut(axis) {
                *g = true;
            }
        }
        if certain {
            let axes = self.ints(axes)?;
            return self.op("squeeze", &[("x", v), ("axes", axes)]);
        }
        let to: Vec<To> = (0..shape.len()).zip(gone).filter(|(_, g)| !g).map(|(i, _)| To::Of(v, i)).collect();
        self.reshape(v, &to)
    }

    /// Permutes axes; nothing where the order stays.
    pub(crate) fn transpose(&mut self, v: ValueId, perm: &[i64]) -> One {
        if perm.iter().enumerate().all(|(i, &p)| p == i as i64) {
            return Ok(v);
        }
        let perm = self.ints(perm)?;
        self.op("transpose", &[("x", v), ("perm", perm)])
    }

    /// Reshapes; nothing where the shape is already that.
    pub(crate) fn reshape(&mut self, v: ValueId, to: &[To]) -> One {
        let mut want: Vec<Option<u64>> = Vec::with_capacity(to.len());
        for t in to {
            want.push(match *t {
                To::Size(n) => Some(n),
                To::Of(w, axis) => self.shape(w)?.get(axis).and_then(|d| d.known()),
                To::Rest => None,
            });
        }
        let here = self.shape(v)?;
        if here.len() == want.len() && here.iter().zip(&want).all(|(d, w)| w.is_some() && d.known() == *w) {
            return Ok(v);
        }
        if want.iter().filter(|w| w.is_none()).count() <= 1 {
            let dims: Vec<i64> =
                want.iter().map(|w| w.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX))).collect();
            let shape = self.ints(&dims)?;
            return self.op("reshape", &[("x", v), ("shape", shape)]);
        }
        let mut parts = Vec::with_capacity(to.len());
        for (t, w) in to.iter().zip(&want) {
            parts.push(match (*w, *t) {
                (Some(n), _) => self.sizes(&[n])?,
                (None, To::Of(w, axis)) => self.extent(w, axis)?,
                (None, _) => self.ints(&[-1])?,
            });
        }
        let shape = self.concat(&parts, 0)?;
        self.op("reshape", &[("x", v), ("shape", shape)])
    }

    /// The extent of an axis, as an integer vector of one element.
    pub(crate) fn extent(&mut self, v: ValueId, axis: usize) -> One {
        if let Some(Dim::Known(n)) = self.shape(v)?.get(axis) {
            let n = *n;
            return self.sizes(&[n]);
        }
        let shape = self.op("shape", &[("x", v)])?;
        let (begin, end) = (self.ints(&[axis as i64])?, self.ints(&[axis as i64 + 1])?);
        self.op("slice_by_index", &[("x", shape), ("begin", begin), ("end", end)])
    }

    /// The extents of a value, as an integer vector.
    pub(crate) fn extents(&mut self, v: ValueId) -> One {
        match self.b.tensor(v)?.known_dims() {
            Some(dims) => self.sizes(&dims),
            None => self.op("shape", &[("x", v)]),
        }
    }

    /// Concatenates values of one rank.
    pub(crate) fn concat(&mut self, values: &[ValueId], axis: i64) -> One {
        let mut args: Vec<(&str, ValueId)> = values.iter().map(|&v| ("values", v)).collect();
        args.push(("axis", self.int(axis)?));
        self.op("concat", &args)
    }

    /// Cuts along one axis: `[begin, end)` by `stride`, negative bounds counted from the end, `None` for open ones.
    pub(crate) fn cut(
        &mut self,
        v: ValueId,
        axis: usize,
        begin: Option<i64>,
        end: Option<i64>,
        stride: i64,
    ) -> One {
        let rank = self.rank(v)?;
        let at = |n: i64, other: i64| -> Vec<i64> {
            (0..rank).map(|i| if i == axis { n } else { other }).collect()
        };
        let open = |b: bool| -> Vec<bool> { (0..rank).map(|i| i != axis || b).collect() };
        let from = self.ints(&at(begin.unwrap_or(0), 0))?;
        let to = self.ints(&at(end.unwrap_or(0), 0))?;
        let (from_open, to_open) = (self.flags(&open(begin.is_none())), self.flags(&open(end.is_none())));
        let mut args: SmallVec<[(&str, ValueId); 6]> = smallvec![("x", v), ("begin", from), ("end", to)];
        if stride != 1 {
            args.push(("stride", self.ints(&at(stride, 1))?));
        }
        args.extend([("begin_mask", from_open), ("end_mask", to_open)]);
        self.op("slice_by_index", &args)
    }

    /// The value with exactly one axis before the last `keep`: as it is, with one added, or with several merged.
    pub(crate) fn fold(&mut self, v: ValueId, keep: usize) -> Result<(ValueId, Lead), Reason> {
        let rank = self.rank_from(v, keep)?;
        let lead = rank - keep;
        match lead {
            0 => Ok((self.expand(v, &[0])?, Lead::Added)),
            1 => Ok((v, Lead::Kept)),
            _ => {
                let tail = (lead..rank).map(|i| To::Of(v, i));
                let to: Vec<To> = std::iter::once(To::Rest).chain(tail).collect();
                Ok((self.reshape(v, &to)?, Lead::Merged(v, lead)))
            }
        }
    }

    /// Undoes [`Cx::fold`] on a result that keeps the first axis.
    pub(crate) fn unfold(&mut self, v: ValueId, lead: Lead) -> One {
        match lead {
            Lead::Kept => Ok(v),
            Lead::Added => self.squeeze(v, &[0]),
            Lead::Merged(from, n) => {
                let rank = self.rank(v)?;
                let to: Vec<To> =
                    (0..n).map(|i| To::Of(from, i)).chain((1..rank).map(|i| To::Of(v, i))).collect();
                self.reshape(v, &to)
            }
        }
    }

    /// A value without axes as a vector of one element: no tensor of a network has rank 0.
    pub(crate) fn at_least_vector(&mut self, v: ValueId) -> One {
        if self.rank(v)? > 0 { Ok(v) } else { self.expand(v, &[0]) }
    }

    /// Under the rank-5 mapping, the value with all of its five axes.
    pub(crate) fn explicit(&mut self, v: ValueId) -> One {
        if self.call.mapping == Mapping::Rank5 && self.rank(v)? == 4 {
            return self.expand(v, &[0]);
        }
        Ok(v)
    }

    /// Under the rank-5 mapping, the value without its first axis where the first two are 1.
    pub(crate) fn canonical(&mut self, v: ValueId) -> One {
        if self.call.mapping == Mapping::Rank5 {
            let shape = self.shape(v)?;
            if shape.len() == 5 && shape.starts_with(&[Dim::Known(1); 2]) {
                return self.squeeze(v, &[0]);
            }
        }
        Ok(v)
    }
}

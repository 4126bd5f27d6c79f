use smallvec::SmallVec;

use crate::family::Family;
use crate::judge::{Base, Settled};
use crate::table::{Confidence, Route, Row, Status, tables};
use crate::verdict::Why;

/// What the tables say of an op type on a family, before any op of the type is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The engine runs it; only what holds for every op can keep it off.
    Yes,
    /// It depends on the op: [`restrictions`] tell on what.
    Conditional,
    /// The engine does not run it.
    No,
    /// Nobody knows, or all that is known is a guess.
    Unknown,
}

/// What is known of an op type or layer on a family, whatever the op at hand.
///
/// ```
/// use anewrite_ane::{Family, Standing, standing};
///
/// assert_eq!(standing("softmax", Family::H16), Standing::Yes);
/// assert_eq!(standing("max_pool", Family::H16), Standing::Conditional);
/// assert_eq!(standing("cumsum", Family::H16), Standing::No);
/// ```
pub fn standing(op: &str, family: Family) -> Standing {
    let mut base = Base::default();
    let mut sometimes = false;
    for row in tables().rows_for(op).filter(|row| row.families.contains(family)) {
        let known = match row.confidence_on(family) {
            known if row.route == Route::Direct => known.min(Confidence::Reported),
            known => known,
        };
        let answer = match row.status {
            _ if row.os.is_some() || row.when.is_some() => {
                sometimes |= row.status == Status::Yes;
                continue;
            }
            Status::Yes => Ok(true),
            Status::No => Ok(false),
            Status::Unknown => Err(Why::NoEvidence),
            Status::Conditional | Status::Note => continue,
        };
        base.push(Settled { row, answer, confidence: known });
    }
    match base.settle() {
        Ok((settled, _)) if settled.confidence == Confidence::Guess => Standing::Unknown,
        Ok((_, false)) if !sometimes => Standing::No,
        Ok((_, true)) if restrictions(op, family).is_empty() => Standing::Yes,
        Ok(_) => Standing::Conditional,
        Err(_) if sometimes => Standing::Conditional,
        Err(_) => Standing::Unknown,
    }
}

/// The rows that can keep ops of this type, and not every op, off the engine of a family.
pub fn restrictions(op: &str, family: Family) -> SmallVec<[&'static Row; 4]> {
    let general = |row: &Row| row.ops.iter().any(|o| o.ends_with('*'));
    let restricts = |row: &Row| match row.status {
        Status::Conditional => true,
        Status::No | Status::Unknown => row.when.is_some() || row.os.is_some(),
        Status::Yes | Status::Note => false,
    };
    let rows = tables().rows_for(op).filter(|row| row.families.contains(family));
    rows.filter(|row| !general(row) && restricts(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::known_ops;

    #[test]
    fn what_never_runs_is_not_conditional() {
        let of = |op: &str| Family::ENGINES.map(|family| standing(op, family));
        assert_eq!(of("lstm"), [Standing::No; 8]);
        assert_eq!(of("nn.custom"), [Standing::No; 8]);
        assert_eq!(standing("sin", Family::H13), Standing::No);
        assert_eq!(standing("sin", Family::H16), Standing::Yes);
        assert_eq!(standing("gather", Family::H16), Standing::Conditional);
        assert_eq!(standing("nn.exp2", Family::H16), Standing::Unknown);
    }

    #[test]
    fn every_op_has_a_standing_somewhere() {
        let told = |op: &&str| Family::ENGINES.iter().any(|f| standing(op, *f) != Standing::Unknown);
        let ops: Vec<_> = known_ops().filter(|op| *op != "model").collect();
        assert!(ops.iter().filter(|op| told(op)).count() * 2 > ops.len());
    }
}

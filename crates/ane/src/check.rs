use std::collections::BTreeSet;

use crate::expr::Expr;
use crate::family::FamilySet;
use crate::table::{Row, Status, Tables, tables};

/// Every MIL op of the opsets from iOS 15 to iOS 18, every layer as `nn.` and its name, and `model`.
pub fn known_ops() -> impl Iterator<Item = &'static str> {
    include_str!("../data/ops.txt").lines().filter(|line| !line.starts_with('#'))
}

/// What is wrong with the data: one sentence for each fault, none if all is well.
///
/// Every row must have a name of its own, known sources, limits that exist, families of which it
/// measured only those that it speaks of, and the conditions that its status asks for. Every limit must
/// be compared with, stated by a row, or say why it is not. `known_ops` are ops and layers (`nn.concatND`)
/// that must have a row, and the only ones that may.
pub fn check<'o>(known_ops: impl IntoIterator<Item = &'o str>) -> Vec<String> {
    let tables = tables();
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let mut used = BTreeSet::new();
    for row in &tables.rows {
        if !ids.insert(row.id.as_str()) {
            faults.push(format!("row {}: the id stands twice", row.id));
        }
        check_row(tables, row, &mut used, &mut faults);
    }
    check_limits(tables, &used, &ids, &mut faults);
    let known: BTreeSet<_> = known_ops.into_iter().collect();
    let have: BTreeSet<_> = tables.ops().collect();
    if !known.is_empty() {
        faults.extend(known.difference(&have).map(|op| format!("{op} has no row")));
        faults.extend(have.difference(&known).map(|op| format!("{op} has a row and is no op that is known")));
    }
    faults
}

fn check_row<'t>(tables: &'t Tables, row: &'t Row, used: &mut BTreeSet<&'t str>, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("row {}: {what}", row.id));
    if row.sources.is_empty() {
        fault("no source".to_owned());
    }
    for key in row.sources.iter().filter(|key| !tables.sources.contains_key(*key)) {
        fault(format!("source {key} is not listed"));
    }
    if row.families.is_empty() || row.ops.is_empty() || (row.says.is_empty() && row.status != Status::Yes) {
        fault("families, ops and a sentence are needed".to_owned());
    }
    if row.measured.union(row.families) != row.families {
        fault("measured families that it does not speak of".to_owned());
    }
    if (row.status == Status::Conditional) != row.needs.is_some() {
        fault("`needs` goes with status conditional".to_owned());
    }
    let conditions = [&row.when, &row.needs, &row.tested].into_iter().flatten();
    for condition in conditions {
        for id in condition.limits() {
            match tables.limits.row(id) {
                Some(limit) => used.insert(limit.id.as_str()),
                None => {
                    fault(format!("there is no limit {id}"));
                    false
                }
            };
        }
        if outside_of_quantifier(condition) {
            fault(format!("`it` stands outside of any, all or total in `{condition}`"));
        }
    }
}

/// Whether a fact of `it` stands where no quantifier binds it.
fn outside_of_quantifier(expr: &Expr) -> bool {
    let mut found = false;
    let mut bound = false;
    expr.walk(&mut |e| match e {
        Expr::Quantified(..) => bound = true,
        Expr::Fact(crate::expr::Subject::It, _) => found = true,
        _ => {}
    });
    found && !bound
}

fn check_limits(tables: &Tables, used: &BTreeSet<&str>, rows: &BTreeSet<&str>, faults: &mut Vec<String>) {
    for limit in &tables.limits.rows {
        let mut fault = |what: String| faults.push(format!("limit {}: {what}", limit.id));
        let told = limit.unused.is_some() || !limit.stated_by.is_empty();
        if !told && !used.contains(limit.id.as_str()) {
            fault("no condition compares with it, and it does not say why".to_owned());
        }
        if limit.unused.is_some() && used.contains(limit.id.as_str()) {
            fault("it is said to be unused and is not".to_owned());
        }
        for row in limit.stated_by.iter().filter(|row| !rows.contains(row.as_str())) {
            fault(format!("there is no row {row}"));
        }
        let mut seen = FamilySet::EMPTY;
        for value in &limit.values {
            if !seen.intersection(value.families).is_empty() {
                fault("two values for one family".to_owned());
            }
            seen = seen.union(value.families);
            if value.value.is_none() == value.set.is_none() {
                fault("a value or a set is needed".to_owned());
            }
            if value.refused_from.is_some_and(|from| value.value.is_none_or(|value| from <= value)) {
                fault("refused at or below what is accepted".to_owned());
            }
        }
        let cited = limit
            .values
            .iter()
            .flat_map(|v| &v.sources)
            .chain(limit.dissents.iter().flat_map(|d| &d.sources));
        for key in cited.filter(|key| !tables.sources.contains_key(*key)) {
            fault(format!("source {key} is not listed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_sound() {
        let faults = Tables::load().map(|_| check(known_ops()));
        assert_eq!(faults, Ok(Vec::new()));
    }
}

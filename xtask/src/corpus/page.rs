//! Results in words: a line a model, a summary, a page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::Row;
use super::rewrite::Outcome;

/// One model in one line.
pub(super) fn line(row: &Row) -> String {
    let mut line = format!("{:52} {}", row.name, what(row));
    if let Some((ours, theirs)) = row.left() {
        let _ = write!(line, "; clean-up leaves {ours} ops, coremltools' {theirs}");
    }
    if let Some(failure) = row.failure() {
        let _ = write!(line, "; FAILS: {failure}");
    }
    line
}

fn what(row: &Row) -> String {
    match &row.outcome {
        Outcome::Unchanged { time } => format!("unchanged, byte for byte, {}", milliseconds(*time)),
        Outcome::Rewritten { time, firings } => {
            let rules: Vec<String> = firings.iter().map(|(code, times)| format!("{code}×{times}")).collect();
            format!("rewritten by {}, {}", rules.join(" "), milliseconds(*time))
        }
        Outcome::Refused { why } => format!("refused: {why}"),
        Outcome::Broken { .. } => "broken".to_owned(),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// The counts over all models.
pub(super) fn summary(rows: &[Row]) -> String {
    let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.outcome)).count();
    let mut text = format!(
        "{} models: {} unchanged byte for byte, {} rewritten, {} refused, {} failures.\n",
        rows.len(),
        count(|outcome| matches!(outcome, Outcome::Unchanged { .. })),
        count(|outcome| matches!(outcome, Outcome::Rewritten { .. })),
        count(|outcome| matches!(outcome, Outcome::Refused { .. })),
        rows.iter().filter(|row| row.failure().is_some()).count(),
    );
    let answers =
        || rows.iter().filter_map(|row| row.answer.as_ref()).filter(|answer| answer.error.is_none());
    let loads = answers().filter(|answer| answer.input_error.is_none()).count();
    let reloads =
        answers().filter(|answer| answer.input_error.is_none() && answer.output_error.is_none()).count();
    let _ = writeln!(text, "coremltools loads {loads} of the inputs and {reloads} of their outputs.");
    let left: Vec<(u64, u64)> = rows.iter().filter_map(Row::left).collect();
    let (ours, theirs) = left.iter().fold((0, 0), |(a, b), (x, y)| (a + x, b + y));
    let _ = writeln!(
        text,
        "Over {} ML Programs our clean-up leaves {ours} ops and coremltools' passes of the same kinds {theirs}; ours \
         leaves fewer on {} of them, as many on {}, more on {}.",
        left.len(),
        left.iter().filter(|(ours, theirs)| ours < theirs).count(),
        left.iter().filter(|(ours, theirs)| ours == theirs).count(),
        left.iter().filter(|(ours, theirs)| ours > theirs).count(),
    );
    let mut fired: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let Outcome::Rewritten { firings, .. } = &row.outcome else { continue };
        for (code, times) in firings {
            let (models, all) = fired.entry(code).or_default();
            (*models, *all) = (*models + 1, *all + times);
        }
    }
    let fired: Vec<String> =
        fired.iter().map(|(code, (models, times))| format!("{code} {times}× in {models}")).collect();
    let _ = writeln!(text, "Firings, and the models they are in: {}.", fired.join(", "));
    text
}

/// The page with everything.
pub(super) fn page(rows: &[Row], verdicts: &[String]) -> String {
    let mut text = String::from(
        "# Every model of the corpus\n\n\
         Made by `cargo xtask corpus --python PYTHON --models FOLDER… --judge SCRIPT --page docs/corpus.md`. Each model is \
         rewritten with the default options. Left by clean-up: ops after our clean-up rules alone (`--select C`), and \
         after coremltools 9.0's passes of the same kinds (xtask/python/judge_outputs.py lists them). Constants are not \
         counted.\n\n",
    );
    text.push_str(&summary(rows));
    for verdict in verdicts {
        let _ = writeln!(text, "\nThe evaluator's verdict: {verdict}.");
        if verdict.contains("differs") {
            text.push_str(
                "It also says that models differ which it cannot run: its output names the layer then.\n",
            );
        }
    }
    text.push_str(
        "\n| model | ops | after | result | left by ours | by coremltools |\n|---|---|---|---|---|---|\n",
    );
    let number = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    for row in rows {
        let ops = row.answer.as_ref().map_or([None; 4], |answer| answer.ops);
        let mut result = match &row.outcome {
            Outcome::Unchanged { .. } => "unchanged".to_owned(),
            Outcome::Rewritten { firings, .. } => {
                let rules: Vec<String> =
                    firings.iter().map(|(code, times)| format!("{code}×{times}")).collect();
                rules.join(" ")
            }
            Outcome::Refused { why } => format!("refused: {why}"),
            Outcome::Broken { .. } => String::new(),
        };
        if let Some(error) = row.answer.as_ref().and_then(|answer| answer.input_error.as_ref()) {
            let _ = write!(result, "; coremltools does not load the input: {error}");
        }
        if let Some(failure) = row.failure() {
            let _ = write!(result, " FAILS: {failure}");
        }
        let result = result.replace('|', "\\|").replace('\n', " ");
        let [before, after, ours, theirs] = ops.map(number);
        let _ = writeln!(text, "| {} | {before} | {after} | {result} | {ours} | {theirs} |", row.name);
    }
    let worse: Vec<&Row> =
        rows.iter().filter(|row| row.left().is_some_and(|(ours, theirs)| ours > theirs)).collect();
    if !worse.is_empty() {
        text.push_str("\n## Where coremltools leaves fewer\n\n| model | ops that are more: ours, coremltools |\n|---|---|\n");
        for row in worse {
            let more = row.answer.iter().flat_map(|answer| &answer.more);
            let more: Vec<String> =
                more.map(|(kind, (ours, theirs))| format!("{kind} {ours}, {theirs}")).collect();
            let _ = writeln!(text, "| {} | {} |", row.name, more.join("; "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::reload::Answer;
    use super::*;

    fn row(name: &str, outcome: Outcome, answer: Option<Answer>) -> Row {
        Row { name: name.to_owned(), outcome, answer }
    }

    fn left(ours: u64, theirs: u64) -> Answer {
        Answer { ops: [Some(9), Some(8), Some(ours), Some(theirs)], ..Default::default() }
    }

    fn rows() -> Vec<Row> {
        let time = Duration::from_millis(12);
        let mut more = left(8, 7);
        more.more.insert("reshape".to_owned(), (3, 2));
        let unloadable = Answer { output_error: Some("ValueError: shape".to_owned()), ..Default::default() };
        vec![
            row("a", Outcome::Unchanged { time }, Some(left(5, 5))),
            row("b", Outcome::Rewritten { time, firings: [("C012".to_owned(), 2)].into() }, Some(more)),
            row("c", Outcome::Refused { why: "error: no | weights".to_owned() }, None),
            row("d", Outcome::Unchanged { time }, Some(unloadable)),
        ]
    }

    #[test]
    fn outcomes_are_counted() {
        let text = summary(&rows());
        assert!(
            text.contains("4 models: 2 unchanged byte for byte, 1 rewritten, 1 refused, 1 failures."),
            "{text}"
        );
        assert!(text.contains("loads 3 of the inputs and 2 of their outputs"), "{text}");
        assert!(text.contains("leaves 13 ops and coremltools' passes of the same kinds 12"), "{text}");
        assert!(text.contains("fewer on 0 of them, as many on 1, more on 1"), "{text}");
        assert!(text.contains("C012 2× in 1"), "{text}");
    }

    #[test]
    fn the_page_has_a_row_a_model_and_names_what_is_worse() {
        let text = page(&rows(), &["4 models: 4 pass".to_owned()]);
        assert!(text.contains("| b | 9 | 8 | C012×2 | 8 | 7 |"), "{text}");
        assert!(text.contains("| c | – | – | refused: error: no \\| weights | – | – |"), "{text}");
        assert!(text.contains("FAILS: the output does not reload: ValueError: shape"), "{text}");
        assert!(text.contains("| b | reshape 3, 2 |"), "{text}");
        assert!(text.contains("verdict: 4 models: 4 pass."), "{text}");
    }
}

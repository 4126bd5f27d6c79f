//! What the suite said: by op and layer, and what is explained.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context;
use serde::Deserialize;

/// The first line of the report.
#[derive(Deserialize)]
struct Head {
    coremltools: String,
}

/// One test case.
#[derive(Deserialize)]
struct Case {
    id: String,
    outcome: String,
    /// The suite itself expects it to fail on Core ML.
    expected: bool,
    why: String,
    /// Predictions that it asked for.
    predictions: u64,
    /// Kinds of ops and layers of the models that it ran.
    kinds: BTreeSet<String>,
}

/// Failures whose reason lies outside of the evaluator: `[[explained]]` tables of explained.toml.
#[derive(Deserialize)]
struct Explanations {
    #[serde(default)]
    explained: Vec<Explanation>,
}

#[derive(Deserialize)]
struct Explanation {
    /// The test's id contains this.
    test: String,
    /// And what it failed with this, where the test alone does not say it.
    #[serde(default)]
    with: String,
    /// One sentence.
    because: String,
}

/// The cases, judged.
pub(super) struct Summary {
    version: String,
    cases: Vec<(Case, Verdict)>,
    explanations: Vec<Explanation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It predicted, and what it compared agreed.
    Passed,
    /// It failed by an error of ours.
    Failed,
    /// It failed for the reason of that number.
    Explained(usize),
    /// It was skipped, asked for no prediction, or the suite expects it to fail.
    NotJudged,
}

impl Summary {
    pub(super) fn read(report: &str, explained: &str) -> anyhow::Result<Summary> {
        let mut lines = report.lines();
        let head = lines.next().context("the report of the suite is empty")?;
        let head: Head = serde_json::from_str(head).context("the report of the suite")?;
        let cases: Vec<Case> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
        let explanations: Explanations = toml::from_str(explained).context("explained.toml")?;
        let explanations = explanations.explained;
        let judge = |case: Case| {
            let verdict = match case.outcome.as_str() {
                _ if case.expected => Verdict::NotJudged,
                "failed" => explanations
                    .iter()
                    .position(|e| case.id.contains(&e.test) && case.why.contains(&e.with))
                    .map_or(Verdict::Failed, Verdict::Explained),
                "passed" if case.predictions > 0 => Verdict::Passed,
                _ => Verdict::NotJudged,
            };
            (case, verdict)
        };
        let cases = cases.into_iter().map(judge).collect();
        Ok(Summary { version: head.coremltools, cases, explanations })
    }

    fn count(&self, wanted: impl Fn(Verdict) -> bool) -> usize {
        self.cases.iter().filter(|(_, v)| wanted(*v)).count()
    }

    /// Failures without a reason.
    pub(super) fn unexplained(&self) -> usize {
        self.count(|v| v == Verdict::Failed)
    }

    /// Passed, of those that were judged.
    pub(super) fn share(&self) -> f64 {
        let judged = self.count(|v| v != Verdict::NotJudged);
        self.count(|v| v == Verdict::Passed) as f64 / judged.max(1) as f64
    }

    /// Explanations that explain nothing.
    pub(super) fn stale(&self) -> Vec<&str> {
        let used: BTreeSet<usize> = self
            .cases
            .iter()
            .filter_map(|(_, v)| if let Verdict::Explained(i) = v { Some(*i) } else { None })
            .collect();
        let unused = self.explanations.iter().enumerate().filter(|(i, _)| !used.contains(i));
        unused.map(|(_, e)| e.test.as_str()).collect()
    }

    /// By kind of op or layer: passed, failed, explained.
    fn kinds(&self) -> BTreeMap<&str, [usize; 3]> {
        let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (case, verdict) in &self.cases {
            let at = match verdict {
                Verdict::Passed => 0,
                Verdict::Failed => 1,
                Verdict::Explained(_) => 2,
                Verdict::NotJudged => continue,
            };
            for kind in &case.kinds {
                kinds.entry(kind).or_default()[at] += 1;
            }
        }
        kinds
    }

    /// The page of the docs.
    pub(super) fn page(&self, most: usize) -> String {
        let judged = self.count(|v| v != Verdict::NotJudged);
        let passed = self.count(|v| v == Verdict::Passed);
        let mut out = format!(
            "# coremltools' own tests\n\nWritten by `cargo xtask ops-suite --python PYTHON --page docs/ops-suite.md`.\n\n\
             coremltools {} tests its ops and layers against the Core ML runtime. The same tests run here with the \
             evaluator in the runtime's place, in fp32: of each test function the {most} cases whose ids have the least \
             hashes. A case counts where it predicted.\n\n\
             **{passed} of {judged} pass ({:.2}%)**; {} fail for the reasons below; {} more cases have no prediction, \
             are skipped (TensorFlow is not installed), or are expected by the suite to fail.\n",
            self.version,
            100.0 * self.share(),
            self.count(|v| matches!(v, Verdict::Explained(_))),
            self.count(|v| v == Verdict::NotJudged),
        );
        out += "\n## What does not pass\n\n| tests | cases | reason |\n|---|---:|---|\n";
        for (i, e) in self.explanations.iter().enumerate() {
            let n = self.count(|v| v == Verdict::Explained(i));
            out += &format!("| `{}` | {n} | {} |\n", e.test, e.because);
        }
        out += "\n## Ops and layers\n\nCases that passed and that are explained, by what their models contain.\n\n\
                | op or layer | passed | explained |\n|---|---:|---:|\n";
        for (kind, [passed, _, explained]) in self.kinds() {
            out += &format!(
                "| `{kind}` | {passed} | {} |\n",
                if explained == 0 { String::new() } else { explained.to_string() }
            );
        }
        out
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, [passed, failed, explained]) in self.kinds() {
            writeln!(f, "{kind}: {passed} passed, {failed} failed, {explained} explained")?;
        }
        for (case, verdict) in &self.cases {
            if *verdict == Verdict::Failed {
                writeln!(f, "FAILED {}: {}", case.id, case.why)?;
            }
        }
        let judged = self.count(|v| v != Verdict::NotJudged);
        writeln!(
            f,
            "{} of {judged} cases pass ({:.2}%), {} are explained, {} are not judged",
            self.count(|v| v == Verdict::Passed),
            100.0 * self.share(),
            self.count(|v| matches!(v, Verdict::Explained(_))),
            self.count(|v| v == Verdict::NotJudged),
        )
    }
}

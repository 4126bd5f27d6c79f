use anewrite_ir::infer::Facts;
use anewrite_ir::{Dialect, Program, text};
use anewrite_rewrite::{
    Code, Context, Doubt, DriverError, Objective, Oracle, Outcome, Price, Pricing, Rule, Scenario, Stretch,
    run,
};

use crate::normal::normal_form;

/// One rule on a bench: its limits are given, and whatever it builds counts as better.
pub struct Bench<'a> {
    /// The rule under test.
    pub rule: &'a dyn Rule,
    /// The ops of the texts.
    pub dialect: &'a dyn Dialect,
    /// The limits that the rule asks for, by id.
    pub limits: &'a [(&'a str, u64)],
}

impl Objective for Bench<'_> {
    fn limit(&self, id: &str) -> Option<u64> {
        self.limits.iter().find(|(name, _)| *name == id).map(|(_, value)| *value)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        vec![Scenario { target: "the bench".to_owned(), doubt: Doubt::Refused }]
    }

    fn pricing(&self) -> Box<dyn Pricing + '_> {
        Box::new(AlwaysBetter)
    }

    fn on_record(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Finds hazards of all kinds in whatever stood there before, and none after.
struct AlwaysBetter;

impl Pricing for AlwaysBetter {
    fn price(&mut self, _: &Program, _: &Facts, _: &Stretch) -> Vec<[Price; 2]> {
        vec![[Price { hazards: 1, overflows: 1, ..Price::default() }, Price::default()]]
    }
}

impl Bench<'_> {
    fn run(&self, program: Program) -> Outcome {
        self.try_run(program, None).unwrap_or_else(|e| panic!("{}: {e}", self.rule.info().code))
    }

    /// What the rule makes of a program where an oracle judges its patches.
    ///
    /// # Errors
    /// What the oracle says against a patch.
    ///
    /// # Panics
    /// Where the text does not parse, or the rule does not fire.
    pub fn judged(&self, text: &str, oracle: &dyn Oracle) -> Result<Outcome, DriverError> {
        let out = self.try_run(parse(text), Some(oracle))?;
        assert!(!out.firings.is_empty(), "{} does not fire: {:?}", self.rule.info().code, out.near_misses);
        Ok(out)
    }

    fn try_run(&self, program: Program, oracle: Option<&dyn Oracle>) -> Result<Outcome, DriverError> {
        let rules = [self.rule];
        let code: Code = self.rule.info().code;
        let cx = Context {
            dialect: self.dialect,
            rules: &rules,
            objective: self,
            oracle,
            approximate: true,
            forced: &[],
            why: Some(code),
            verify: true,
        };
        run(program, &cx)
    }

    /// The program after the rule, in normal form.
    ///
    /// # Panics
    /// Where the text does not parse, or the rule does not fire.
    pub fn fires(&self, text: &str) -> String {
        let out = self.run(parse(text));
        assert!(!out.firings.is_empty(), "{} does not fire: {:?}", self.rule.info().code, out.near_misses);
        normal_form(&out.program)
    }

    /// Asserts that the rule makes `before` into `after`.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    pub fn rewrites(&self, before: &str, after: &str) {
        let (got, want) = (self.fires(before), normal_form(&parse(after)));
        assert!(got == want, "{}\n--- wanted\n{want}\n--- got\n{got}", self.rule.info().code);
    }

    /// The reason why the rule leaves a program as it is.
    ///
    /// # Panics
    /// Where the text does not parse, or the rule fires.
    #[track_caller]
    pub fn declines(&self, text: &str) -> String {
        let out = self.run(parse(text));
        assert!(out.firings.is_empty(), "{} fires:\n{}", self.rule.info().code, normal_form(&out.program));
        out.near_misses.first().map_or_else(String::new, |m| m.why.clone())
    }
}

#[track_caller]
fn parse(text: &str) -> Program {
    text::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Runs every `before` and `after` of a rule's page.
///
/// # Panics
/// Where the page has none, or the rule makes something else of one.
#[track_caller]
pub fn check_page(bench: &Bench<'_>) {
    let page = bench.rule.info().page;
    let blocks = fenced(page);
    let pairs: Vec<_> = blocks
        .windows(2)
        .filter(|w| w[0].0.ends_with("before") && w[1].0.ends_with("after"))
        .map(|w| (w[0].1.clone(), w[1].1.clone()))
        .collect();
    assert!(!pairs.is_empty(), "{}'s page has no before and after", bench.rule.info().code);
    for (before, after) in pairs {
        bench.rewrites(&before, &after);
    }
}

/// The fenced blocks of a page: the words behind the opening fence, and the text.
fn fenced(page: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut lines = page.lines().map(|l| l.strip_prefix(' ').unwrap_or(l));
    while let Some(line) = lines.next() {
        if let Some(words) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            out.push((words.to_owned(), body.join("\n")));
        }
    }
    out
}

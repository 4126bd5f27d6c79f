//! An engine that runs some kinds of ops, and rules that replace one kind by a chain of another.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::{OpId, Program, text};
use anewrite_rewrite::{
    Claim, Code, Context, Doubt, Grade, Match, Miss, Objective, Oracle, Outcome, PatchBuilder, Pattern,
    Price, Pricing, Purpose, Rule, RuleInfo, Scenario, Stretch, Sweep, SweepCx, Zeros, run,
};

/// Costs of one op on its side by kind; a negative one is the CPU's.
pub(crate) type Costs = &'static [(&'static str, f64)];

/// Ops cost what the first list says, a change of side 2, and kinds that are in no list cost 1 on the engine.
pub(crate) struct Toy {
    pub(crate) targets: Vec<(&'static str, Doubt, Costs)>,
    /// The lengths of the stretches that were priced, before and after.
    pub(crate) seen: Mutex<Vec<[usize; 2]>>,
    pub(crate) records: &'static [&'static str],
}

/// Costs 1 on the CPU.
pub(crate) const CPU: Costs = &[("tan", -1.0), ("sinh", -1.0), ("cosh", -1.0)];

impl Toy {
    pub(crate) fn new(targets: &[(&'static str, Doubt, Costs)]) -> Toy {
        Toy { targets: targets.to_vec(), seen: Mutex::default(), records: &[] }
    }

    pub(crate) fn cpu() -> Toy {
        Toy::new(&[("one", Doubt::Refused, CPU)])
    }
}

impl Objective for Toy {
    fn limit(&self, _: &str) -> Option<u64> {
        None
    }

    fn scenarios(&self) -> Vec<Scenario> {
        self.targets.iter().map(|(t, doubt, _)| Scenario { target: (*t).into(), doubt: *doubt }).collect()
    }

    fn pricing(&self) -> Box<dyn Pricing + '_> {
        Box::new(ToyPricing { toy: self })
    }

    fn on_record(&self, id: &str) -> Result<(), String> {
        if self.records.contains(&id) { Ok(()) } else { Err(format!("{id} is not on record")) }
    }
}

struct ToyPricing<'a> {
    toy: &'a Toy,
}

impl Pricing for ToyPricing<'_> {
    fn price(&mut self, p: &Program, _: &Facts, s: &Stretch) -> Vec<[Price; 2]> {
        self.toy.seen.lock().unwrap().push([s.before.len(), s.after.len()]);
        let side = |costs: Costs, op: &OpId| {
            let kind = &*p.op(*op).kind;
            costs.iter().find(|(k, _)| *k == kind).map_or(1.0, |(_, cost)| *cost)
        };
        let price = |costs: Costs, ops: &[OpId]| {
            let each: Vec<f64> = ops.iter().map(|op| side(costs, op)).collect();
            let switches = each.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
            let overflows = ops.iter().filter(|op| &*p.op(**op).kind == "exp").count();
            Price {
                cost: Some(each.iter().map(|c| c.abs()).sum::<f64>() + 2.0 * switches as f64),
                ops: ops.len() as u32,
                overflows: overflows as u32,
                ..Price::default()
            }
        };
        self.toy.targets.iter().map(|(_, _, c)| [price(c, &s.before), price(c, &s.after)]).collect()
    }
}

/// Replaces an op of the kind `from` by a chain of ops.
pub(crate) struct Chain {
    info: &'static RuleInfo,
    from: &'static str,
    to: &'static [&'static str],
    sweeps: bool,
}

impl Chain {
    pub(crate) fn new(number: u16, from: &'static str, to: &'static [&'static str]) -> Chain {
        Chain::of(number, Purpose::Plan, from, to)
    }

    pub(crate) fn of(
        number: u16,
        purpose: Purpose,
        from: &'static str,
        to: &'static [&'static str],
    ) -> Chain {
        let info = RuleInfo {
            code: Code::new('S', number),
            name: "chain",
            grade: Grade::BitExact,
            purpose,
            assumptions: &[],
            growth: 1.0,
            zeros: Zeros::Keep,
            bound: 0.0,
            record: (purpose == Purpose::Measured).then_some("a-row"),
            page: "",
        };
        Chain { info: Box::leak(Box::new(info)), from, to, sweeps: false }
    }

    /// Looks for its op in the whole program at once.
    pub(crate) fn sweeping(self) -> Chain {
        Chain { sweeps: true, ..self }
    }
}

impl Rule for Chain {
    fn info(&self) -> &'static RuleInfo {
        self.info
    }

    fn pattern(&self) -> Pattern {
        Pattern::op(self.from)
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let mut value = patch.tap(m.arg(m.root(), "x")?);
        for kind in self.to {
            value = patch.op(kind, &[("x", value)])?;
        }
        patch.replace(m.result(m.root())?, value)
    }

    fn sweep(&self) -> Option<&dyn Sweep> {
        self.sweeps.then_some(self)
    }
}

impl Sweep for Chain {
    fn sweep(&self, cx: &mut SweepCx<'_>) {
        let p = cx.program;
        for op in p.all_ops().filter(|&op| &*p.op(op).kind == self.from) {
            cx.patch(|patch| {
                patch.at(op);
                let x = p.op(op).arg("x").ok_or(Miss::new("no x"))?;
                let mut value = patch.tap(x);
                for kind in self.to {
                    value = patch.op(kind, &[("x", value)])?;
                }
                patch.remove(op);
                patch.replace(p.op(op).result().ok_or(Miss::new("no result"))?, value)
            });
        }
    }
}

/// Counts how often each op was asked about.
#[derive(Default)]
pub(crate) struct Counting(pub(crate) Mutex<BTreeMap<String, usize>>);

impl Oracle for Counting {
    fn equal(&self, claim: &Claim<'_>) -> Result<(), String> {
        for (old, _) in &claim.patch.replaced {
            *self.0.lock().unwrap().entry(claim.program.value(*old).name.to_string()).or_default() += 1;
        }
        Ok(())
    }
}

/// A chain of ops from the input `x` to the output, each named by its place: `v0`, `v1`…
pub(crate) fn chain(kinds: &[&str]) -> Program {
    let mut body = String::new();
    let mut at = "x".to_owned();
    for (i, kind) in kinds.iter().enumerate() {
        body += &format!("  v{i} = {kind}(x = {at});\n");
        at = format!("v{i}");
    }
    let source = format!("func main<CoreML6>(tensor<fp16, [2, 3]> x) {{\n{body}}} -> ({at});");
    text::parse(&source).unwrap_or_else(|e| panic!("{e}\n{source}"))
}

pub(crate) fn kinds(p: &Program) -> Vec<String> {
    p.all_ops().map(|op| p.op(op).kind.to_string()).collect()
}

pub(crate) struct Setting<'a> {
    pub(crate) rules: &'a [&'a dyn Rule],
    pub(crate) objective: &'a dyn Objective,
    pub(crate) oracle: Option<&'a dyn Oracle>,
    pub(crate) forced: &'a [Code],
    pub(crate) why: Option<Code>,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(objective: &'a dyn Objective, rules: &'a [&'a dyn Rule]) -> Setting<'a> {
        Setting { rules, objective, oracle: None, forced: &[], why: None }
    }

    pub(crate) fn context(&self) -> Context<'a> {
        Context {
            dialect: &Mil,
            rules: self.rules,
            objective: self.objective,
            oracle: self.oracle,
            approximate: false,
            forced: self.forced,
            why: self.why,
            verify: true,
        }
    }

    pub(crate) fn run(&self, program: Program) -> Outcome {
        run(program, &self.context()).unwrap()
    }
}

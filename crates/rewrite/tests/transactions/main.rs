//! What the driver keeps and what it takes back, by a toy engine whose prices can be added up in the head.

mod toy;

use anewrite_ir::text;
use anewrite_rewrite::{Code, Doubt, NoObjective, Purpose, run_some};

use toy::{CPU, Chain, Counting, Setting, Toy, chain, kinds};

const TAN: Code = Code::new('S', 1);

/// On the engine, at twice the price of the CPU.
fn tan() -> Chain {
    Chain::new(1, "tan", &["abs", "abs"])
}

fn sinh() -> Chain {
    Chain::new(2, "sinh", &["floor", "floor"])
}

/// Never a gain: three for one, on the same side.
fn exp() -> Chain {
    Chain::new(3, "exp", &["ceil", "ceil", "ceil"])
}

#[test]
fn two_rules_that_only_pay_together_are_kept_together() {
    // 4 ops and 2 changes of side are 8; one rule alone 9; both 6.
    let (tan, sinh, toy, oracle) = (tan(), sinh(), Toy::cpu(), Counting::default());
    let one = Setting::new(&toy, &[&tan]).run(chain(&["relu", "tan", "sinh", "relu"]));
    assert!(one.firings.is_empty());
    let rules: [&dyn anewrite_rewrite::Rule; 2] = [&tan, &sinh];
    let out = Setting { oracle: Some(&oracle), ..Setting::new(&toy, &rules) }
        .run(chain(&["relu", "tan", "sinh", "relu"]));
    assert_eq!(kinds(&out.program), ["relu", "abs", "abs", "floor", "floor", "relu"]);
    let firings: Vec<_> = out.firings.iter().map(|f| (f.number, f.with, f.code.to_string())).collect();
    assert_eq!(firings, [(1, 1, "S001".to_owned()), (2, 1, "S002".to_owned())]);
    assert_eq!(out.firings[1].removed.len(), 1);
    let asked = oracle.0.into_inner().unwrap();
    // The second was built once more, on what the first replaces, to see whether it pays alone.
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [("v1".to_owned(), 1), ("v2".to_owned(), 2)]);
}

#[test]
fn the_parts_of_a_joint_gain_are_replayed_one_by_one() {
    let (tan, sinh, toy) = (tan(), sinh(), Toy::cpu());
    let rules: [&dyn anewrite_rewrite::Rule; 2] = [&tan, &sinh];
    let setting = Setting::new(&toy, &rules);
    let program = chain(&["relu", "tan", "sinh", "relu"]);
    let first = run_some(program, &setting.context(), |n| n <= 1).unwrap();
    assert_eq!(kinds(&first.program), ["relu", "abs", "abs", "sinh", "relu"]);
}

#[test]
fn what_is_no_gain_in_a_region_is_dropped_wherever_it_stands() {
    let (tan, sinh, exp, toy) = (tan(), sinh(), exp(), Toy::cpu());
    let rules: [&dyn anewrite_rewrite::Rule; 3] = [&tan, &sinh, &exp];
    for (program, want) in [
        (["relu", "tan", "sinh", "exp", "relu"], ["relu", "abs", "abs", "floor", "floor", "exp", "relu"]),
        // Here the one that is no gain comes first: 9 before, 9 with all three, 7 without it.
        (["relu", "exp", "tan", "sinh", "relu"], ["relu", "exp", "abs", "abs", "floor", "floor", "relu"]),
    ] {
        let out = Setting::new(&toy, &rules).run(chain(&program));
        assert_eq!(kinds(&out.program), want);
        assert_eq!(out.firings.len(), 2);
        let numbers: Vec<_> = out.firings.iter().map(|f| (f.number, f.with)).collect();
        assert_eq!(numbers, [(1, 1), (2, 1)]);
        assert!(out.program.all_ops().all(|op| out.provenance[op] <= 2));
    }
}

#[test]
fn a_gain_alone_is_not_weighed_with_others() {
    // tan alone: 3 and 2 changes are 7, then 4.
    let (tan, exp, toy) = (tan(), exp(), Toy::cpu());
    let rules: [&dyn anewrite_rewrite::Rule; 2] = [&tan, &exp];
    let out = Setting::new(&toy, &rules).run(chain(&["relu", "tan", "exp"]));
    assert_eq!(kinds(&out.program), ["relu", "abs", "abs", "exp"]);
    assert_eq!(out.firings.len(), 1);
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let (tan, exp, toy) = (tan(), exp(), Toy::cpu());
    let rules: [&dyn anewrite_rewrite::Rule; 2] = [&tan, &exp];
    let program = chain(&["relu", "tan", "sinh", "exp", "relu", "exp"]);
    let print = |p: &anewrite_ir::Program| text::print(p, &text::PrintOptions::default());
    let (text, ops) = (print(&program), program.op_ids().collect::<Vec<_>>());
    let values: Vec<_> = program.values().map(|(id, v)| (id, v.name.clone(), program.uses(id))).collect();
    let out = Setting::new(&toy, &rules).run(program);
    assert!(out.firings.is_empty());
    assert_eq!(print(&out.program), text);
    assert_eq!(out.program.op_ids().collect::<Vec<_>>(), ops);
    for (id, name, uses) in values {
        assert_eq!((&out.program.value(id).name, out.program.uses(id)), (&name, uses));
    }
    let func = out.program.functions().next().unwrap().0;
    assert!(!out.program.has_name(func, "v1_abs") && !out.program.has_name(func, "v1_original"));
}

/// As [`CPU`], where nobody knows `round` and it is taken to be refused.
const REFUSED: toy::Costs = &[("tan", -1.0), ("sinh", -1.0), ("cosh", -1.0), ("round", -1.0)];

#[test]
fn the_unknown_is_priced_both_ways() {
    let both = [("one", Doubt::Runs, CPU), ("one", Doubt::Refused, REFUSED)];
    let toy = Toy::new(&both);
    let program = || chain(&["relu", "tan", "relu"]);
    // Two ops of which nobody knows: 4 or 8, against 7.
    let two = Chain::new(1, "tan", &["round", "round"]);
    let out = Setting { why: Some(TAN), ..Setting::new(&toy, &[&two]) }.run(program());
    assert!(out.firings.is_empty());
    let why = &out.near_misses[0].why;
    assert!(why.contains("7.0000 ms to 8.0000 ms on one, if it refuses what nobody knows"), "{why}");
    // One of them: 3 or 7, against 7. Worse under neither.
    let one = Chain::new(1, "tan", &["round"]);
    assert_eq!(Setting::new(&toy, &[&one]).run(program()).firings.len(), 1);
    // Each way alone decides otherwise.
    for (target, fires) in both.iter().zip([1, 0]) {
        let toy = Toy::new(&[*target]);
        assert_eq!(Setting::new(&toy, &[&two]).run(program()).firings.len(), fires);
    }
}

/// An engine that runs tangents, and not absolute values.
const OTHER: toy::Costs = &[("abs", -1.0)];

#[test]
fn a_target_that_would_lose_is_not_outvoted() {
    let tan = tan();
    let program = || chain(&["relu", "tan", "relu"]);
    let (gains, loses) = (("gains", Doubt::Refused, CPU), ("loses", Doubt::Refused, OTHER));
    for targets in [[gains, loses], [loses, gains]] {
        let toy = Toy::new(&targets);
        let out = Setting { why: Some(TAN), ..Setting::new(&toy, &[&tan]) }.run(program());
        assert!(out.firings.is_empty());
        let why = &out.near_misses[0].why;
        assert!(why.contains("3.0000 ms to 8.0000 ms on loses"), "{why}");
    }
    let toy = Toy::new(&[gains]);
    assert_eq!(Setting::new(&toy, &[&tan]).run(program()).firings.len(), 1);
}

#[test]
fn no_gain_says_the_numbers() {
    // A cosine for a cosine.
    let (same, toy) = (Chain::new(1, "tan", &["cosh"]), Toy::cpu());
    let out = Setting { why: Some(TAN), ..Setting::new(&toy, &[&same]) }.run(chain(&["relu", "tan", "relu"]));
    let why = &out.near_misses[0].why;
    assert!(why.contains("on one the plan costs 7.0000 ms before and 7.0000 ms after"), "{why}");
}

#[test]
fn forced_rules_ask_nobody() {
    let (tan, toy) = (tan(), Toy::cpu());
    let program = || chain(&["relu", "tan", "sinh", "relu"]);
    let out = Setting { forced: &[TAN], ..Setting::new(&toy, &[&tan]) }.run(program());
    assert_eq!(kinds(&out.program), ["relu", "abs", "abs", "sinh", "relu"]);
    let out = Setting { forced: &[TAN], ..Setting::new(&NoObjective, &[&tan]) }.run(program());
    assert_eq!(out.firings.len(), 1);
    assert_eq!(Setting::new(&NoObjective, &[&tan]).run(program()).firings.len(), 0);
}

#[test]
fn rules_for_numerics_need_a_hazard_to_remove() {
    let toy = Toy::cpu();
    let program = || chain(&["relu", "exp", "tan"]);
    // Dearer, and the exponential goes.
    let exp = Chain::of(1, Purpose::Numerics, "exp", &["ceil", "ceil", "ceil"]);
    assert_eq!(Setting::new(&toy, &[&exp]).run(program()).firings.len(), 1);
    let tan = Chain::of(1, Purpose::Numerics, "tan", &["abs"]);
    let out = Setting { why: Some(TAN), ..Setting::new(&toy, &[&tan]) }.run(program());
    assert!(out.firings.is_empty());
    assert!(out.near_misses[0].why.contains("no hazard"), "{:?}", out.near_misses);
}

#[test]
fn measured_rules_need_their_record() {
    let rule = Chain::of(1, Purpose::Measured, "exp", &["ceil", "ceil"]);
    for (records, fires) in [(&["a-row"][..], 1), (&[], 0)] {
        let toy = Toy { records, ..Toy::cpu() };
        let out = Setting { why: Some(TAN), ..Setting::new(&toy, &[&rule]) }.run(chain(&["relu", "exp"]));
        assert_eq!(out.firings.len(), fires);
        assert!(fires == 1 || out.near_misses[0].why.contains("a-row is not on record"));
    }
}

#[test]
fn sweeps_for_the_plan_are_weighed_too() {
    let toy = Toy::cpu();
    for (rule, fires) in [(tan().sweeping(), 1), (exp().sweeping(), 0)] {
        let out = Setting::new(&toy, &[&rule]).run(chain(&["relu", "exp", "tan", "relu"]));
        assert_eq!(out.firings.len(), fires);
    }
}

#[test]
fn only_the_surroundings_of_a_change_are_priced() {
    let (exp, toy) = (exp(), Toy::cpu());
    let mut ops = vec!["relu"; 1000];
    for at in [1, 500, 900] {
        ops[at] = "exp";
    }
    assert!(Setting::new(&toy, &[&exp]).run(chain(&ops)).firings.is_empty());
    let seen = toy.seen.into_inner().unwrap();
    assert!(seen.len() <= 6 && seen.iter().flatten().all(|&n| n < 72), "{seen:?}");
    // At the start there is less before it: one op; else the surroundings and the neighbours of what came.
    assert_eq!(seen[0], [1 + 2 + 32, 1 + 4 + 32]);
}

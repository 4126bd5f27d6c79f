//! Prints how long the tables take to load and a program of 2,000 computing ops takes to judge, price and plan.
//!
//! `cargo run --release -p anewrite-ane --example speed`

// An example talks to its user on the terminal.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use anewrite_ane::{
    Family, Os, PlanOp, SimpleOp, Target, annotated_ops, charges, eligibility, notes, plan, prices, row,
};

fn main() -> Result<(), String> {
    let (_, load) = timed(|| row("no-engine"));
    let annotated = annotated_ops(include_str!("../tests/data/planner_m4_ops.tsv"))?;
    let ops: Vec<&SimpleOp> = annotated.iter().map(|a| &a.op).cycle().take(2000).collect();
    let target = Target::default_for(Os(15));
    let (families, first) = (target.families().len(), prices(ops[0], Family::H16));
    let (eligible, judge) = timed(|| ops.iter().filter(|op| eligibility(**op, &target).is_yes()).count());
    let (remarks, note) = timed(|| ops.iter().map(|op| notes(*op, &target).len()).sum::<usize>());
    let (planned, price) =
        timed(|| ops.iter().map(|op| PlanOp::new(&prices(*op, Family::H16), true)).collect::<Vec<_>>());
    let (plan, path) = timed(|| plan(&planned, &charges(Family::H16)));
    println!("load the tables              {load:>10.2?}");
    println!("judge 2000 ops, {families} families   {judge:>10.2?}  ({eligible} run on all)");
    println!("remark on 2000 ops           {note:>10.2?}  ({remarks} remarks)");
    println!("price 2000 ops               {price:>10.2?}  (first {:.4} ms)", first.ane.ms);
    println!("plan 2000 ops                {path:>10.2?}  ({:.3} ms)", plan.total);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let made = work();
    (made, start.elapsed())
}

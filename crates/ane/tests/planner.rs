//! Plans against exhaustive search, choices that others saw, and what a plan says of itself.

use anewrite_ane::{
    Backend, Charges, Confidence, Family, PlanOp, SimpleOp, Trust, Work, charges, plan, prices,
};
use anewrite_tensor::DType;

fn m4() -> Charges {
    charges(Family::H16)
}

fn op(costs: [Option<f64>; 3]) -> PlanOp {
    PlanOp { costs, work: Work { flops: 10.0, bytes: 100.0 }, reads: Vec::new() }
}

/// The cost of one way through the ops, straight from the description of the planner.
fn cost(ops: &[PlanOp], way: &[usize], charges: &Charges) -> f64 {
    let prices: f64 = ops.iter().zip(way).map(|(op, &b)| op.costs[b].unwrap_or(f64::INFINITY)).sum();
    let switches = way.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    let launch = if way.contains(&0) { charges.launch } else { 0.0 };
    let output = if way.last() == Some(&0) { charges.output } else { 0.0 };
    prices + launch + switches * charges.switch + output
}

#[test]
fn plans_are_the_cheapest_of_all_ways() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let count = 1 + round % 7;
        let ops: Vec<PlanOp> = (0..count)
            .map(|_| {
                // Quarters of a charge, so that ties are frequent.
                let mut price = || (random() % 4 != 0).then(|| (random() % 12) as f64 / 32.0);
                let (ane, bnns) = (price(), price());
                op([ane, bnns, Some((random() % 12) as f64 / 32.0)])
            })
            .collect();
        let charges = m4();
        let ways = (0..3_usize.pow(count as u32)).map(|n| -> Vec<usize> {
            (0..count)
                .scan(n, |n, _| {
                    let b = *n % 3;
                    *n /= 3;
                    Some(b)
                })
                .collect()
        });
        let all: Vec<(Vec<usize>, f64)> = ways
            .map(|way| {
                let c = cost(&ops, &way, &charges);
                (way, c)
            })
            .collect();
        let best = all.iter().map(|(_, c)| *c).fold(f64::INFINITY, f64::min);
        let plan = plan(&ops, &charges);
        let way: Vec<usize> = plan.backends.iter().map(|b| *b as usize).collect();
        assert!((plan.total - best).abs() < 1e-12, "{plan:?} against {best}");
        assert!((cost(&ops, &way, &charges) - best).abs() < 1e-12, "{plan:?} against {best}");
        for (i, margin) in plan.margins.iter().enumerate() {
            let other = all.iter().filter(|(w, _)| (w[i] == 0) != (way[i] == 0)).map(|(_, c)| *c);
            let least = other.fold(f64::INFINITY, f64::min) - best;
            assert!(*margin == least || (margin - least).abs() < 1e-12, "op {i}: {margin} against {least}");
        }
    }
}

#[test]
fn an_engine_segment_must_save_its_charges() {
    let saves = |ms: f64| op([Some(0.1), Some(0.1 + ms), Some(0.1 + ms)]);
    let cpu = || op([None, Some(0.05), Some(0.05)]);
    let first = |ops: &[PlanOp]| plan(ops, &m4()).backends[0].is_ane();
    assert!(!first(&[saves(0.249)]));
    assert!(first(&[saves(0.251)]));
    assert!(first(&[saves(0.251), cpu()]), "a switch instead of the output");
    let middle = |ms| plan(&[cpu(), saves(ms), cpu()], &m4()).backends[1].is_ane();
    assert!(!middle(0.374));
    assert!(middle(0.376));
}

#[test]
fn the_launch_is_charged_once() {
    let engine = || op([Some(0.0), Some(1.0), Some(1.0)]);
    let cpu = || op([None, Some(0.0), Some(0.0)]);
    let plan = plan(&[engine(), cpu(), engine()], &m4());
    assert_eq!(plan.total, 0.125 + 0.25 + 0.125);
    assert_eq!(plan.segments(&[engine(), cpu(), engine()]).len(), 3);
}

#[test]
fn a_last_op_that_costs_the_same_everywhere_is_a_tie() {
    let ops = [op([Some(0.01), Some(2.0), Some(2.0)]), op([Some(0.03), Some(0.03), Some(0.03)])];
    let last = plan(&ops, &m4());
    assert_eq!(last.ties().collect::<Vec<_>>(), [1]);
    assert_eq!((last.backends[0], last.margins[0] > 1.0), (Backend::Ane, true));
    let inner = plan(&[ops[0].clone(), ops[1].clone(), ops[0].clone()], &m4());
    assert_eq!(inner.ties().count(), 0, "two switches would be paid");
}

#[test]
fn an_empty_program_and_an_op_without_a_place() {
    let empty = plan(&[], &m4());
    assert_eq!((empty.total, empty.backends.len()), (0.0, 0));
    let stuck = plan(&[op([None, None, None])], &m4());
    assert!(stuck.total.is_infinite() && stuck.margins[0].is_infinite());
}

#[test]
fn segments_count_what_crosses() {
    let mut ops =
        vec![op([Some(0.0), None, None]), op([None, Some(0.5), None]), op([Some(0.25), None, None])];
    ops[1].reads = vec![(0, 700), (0, 700)];
    ops[2].reads = vec![(0, 700), (1, 30)];
    let plan = plan(&ops, &m4());
    let segments = plan.segments(&ops);
    assert_eq!(
        segments.iter().map(|s| (s.on_engine, s.bytes_in)).collect::<Vec<_>>(),
        [(true, 0), (false, 700), (true, 30)]
    );
    let totals = plan.totals(&ops);
    assert_eq!((totals.engine_ops, totals.cpu_ops, totals.boundaries, totals.bytes_crossing), (2, 1, 2, 730));
    assert_eq!((totals.engine.flops, totals.cpu.bytes, totals.engine_ms), (20.0, 100.0, 0.25));
    assert_eq!(plan.price_of_absence(1, 0.125), 0.375 + 0.25);
    assert_eq!(plan.price_of_absence(9, 0.125), 0.0);
}

fn cast(from: DType, to: DType, dims: &[u64]) -> SimpleOp {
    SimpleOp::new("cast").input("x", from, dims).text("dtype", to.name()).result(to, dims)
}

/// VX: a product of fp16 with casts around it stays on the CPU of an M4 up to 384 and goes to the engine at 512.
#[test]
fn products_of_growing_size() {
    let side = |n: u64| {
        let dims = [n, n];
        let matmul = SimpleOp::new("matmul").input("x", DType::F16, &dims).input("y", DType::F16, &dims);
        let ops = [
            cast(DType::F32, DType::F16, &dims),
            cast(DType::F32, DType::F16, &dims),
            matmul.bool("transpose_x", false).bool("transpose_y", false).result(DType::F16, &dims),
            cast(DType::F16, DType::F32, &dims),
        ];
        let planned: Vec<_> = ops.iter().map(|op| PlanOp::new(&prices(op, Family::H16), true)).collect();
        plan(&planned, &m4()).backends.iter().all(|b| b.is_ane())
    };
    assert!(!side(128) && !side(384));
    assert!(side(512));
}

fn conv(channels: u64, spatial: u64, kernel: u64) -> SimpleOp {
    SimpleOp::new("conv")
        .input("x", DType::F16, &[1, channels, spatial, spatial])
        .constant("weight", DType::F16, &[channels, channels, kernel, kernel])
        .ints("dilations", &[1, 1])
        .result(DType::F16, &[1, channels, spatial, spatial])
}

#[test]
fn a_price_says_how_far_it_can_be_trusted() {
    let exact = prices(&conv(64, 32, 3), Family::H16);
    assert_eq!((exact.ane.trust, exact.ane.low == exact.ane.high), (Trust::Exact, true));
    assert_eq!(exact.work.flops, 2.0 * 64.0 * 64.0 * 9.0 * 1024.0);
    // 2 n² s² / (2 (2 n s² + n²)) between 8.92 and 12.76: the lowest leaf or the middle one.
    let between = prices(&conv(21, 32, 1), Family::H16);
    assert_eq!(between.ane.trust, Trust::Bracketed);
    assert!(between.ane.low < between.ane.high && between.ane.why.is_some());
    assert!((between.ane.high / between.ane.low - 7160.830078125 / 471.180908203125).abs() < 1e-9);
    let mul = SimpleOp::new("mul")
        .input("x", DType::F16, &[8])
        .input("y", DType::F16, &[8])
        .result(DType::F16, &[8]);
    assert_eq!(prices(&mul, Family::H16).bnns.trust, Trust::OnePoint);
    let unseen = SimpleOp::new("clamped_relu").input("x", DType::F16, &[8]).result(DType::F16, &[8]);
    assert_eq!(prices(&unseen, Family::H16).ane.trust, Trust::Assumed);
    let lstm = SimpleOp::new("lstm")
        .input("x", DType::F16, &[16, 1, 64])
        .constant("weight_ih", DType::F16, &[256, 64])
        .constant("weight_hh", DType::F16, &[256, 64])
        .result(DType::F16, &[16, 1, 64]);
    let bound = prices(&lstm, Family::H16).classic_cpu;
    assert_eq!((bound.trust, bound.high), (Trust::Bound, f64::INFINITY));
    assert!(bound.ms < 548.435 && bound.why.is_some());
    let blind = prices(&SimpleOp::new("conv"), Family::H16);
    assert_eq!(blind.ane.trust, Trust::Bound);
}

#[test]
fn other_families_are_marked_as_guesses() {
    assert_eq!(m4().confidence, Confidence::Measured);
    assert_eq!(charges(Family::H13).confidence, Confidence::Guess);
    assert_eq!(prices(&conv(8, 8, 1), Family::H17).confidence, Confidence::Guess);
}

#[test]
fn backends_are_listed_in_the_order_of_their_costs() {
    for (i, backend) in Backend::ALL.into_iter().enumerate() {
        assert_eq!(backend as usize, i);
    }
}

//! The bench of this crate's tests.

use anewrite_nn::{Mapping, Nn};
use anewrite_rewrite::Rule;
use anewrite_testkit::Bench;

static NN: Nn = Nn { mapping: Mapping::Exact };
static NN_OF_5: Nn = Nn { mapping: Mapping::Rank5 };

/// A bench for networks in which each tensor has its own rank, as it has wherever these rules find something newer.
pub(super) fn bench(rule: &dyn Rule) -> Bench<'_> {
    Bench { rule, dialect: &NN, limits: &[] }
}

/// A bench for networks of the first mapping, for rules about layers of the first specification.
pub(super) fn bench_of_5<'a>(rule: &'a dyn Rule, limits: &'a [(&'a str, u64)]) -> Bench<'a> {
    Bench { rule, dialect: &NN_OF_5, limits }
}

/// A network of arrays.
pub(super) fn arrays(args: &str, layers: &str) -> String {
    network("arrayInputShapeMapping = EXACT_ARRAY_MAPPING", args, layers)
}

/// A network of images, which it takes as tensors of rank 5; its mapping of arrays is the first one.
pub(super) fn images(args: &str, layers: &str) -> String {
    network("arrayInputShapeMapping = RANK5_ARRAY_MAPPING", args, layers)
}

/// The result is `z`.
fn network(mapping: &str, args: &str, layers: &str) -> String {
    format!("program(1.0)[{mapping}] {{ func main({args}) {{ {layers} }} -> (z); }}")
}

/// A layer `c` that loads a constant of these extents, drawn with a seed.
pub(super) fn constant(dtype: &str, extents: &[u64]) -> String {
    let count: u64 = extents.iter().product();
    format!("c = nn.loadConstantND()[data = random<{dtype}, [{count}]>(7), shape = {extents:?}];")
}

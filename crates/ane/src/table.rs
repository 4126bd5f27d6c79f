use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::expr::Expr;
use crate::family::{Family, FamilySet};
use crate::limits::{LimitRow, Limits};
use crate::os::OsRange;

/// How something is known. The order is that of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// An inference without a measurement behind it.
    Guess,
    /// Somebody says so; the measurement is not public or not described.
    Reported,
    /// It follows from measurements on another family or from measured limits.
    Derived,
    /// A source measured it on the family in question.
    Measured,
}

/// Where it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Through Core ML, from a model file.
    #[default]
    CoreMl,
    /// Below Core ML, through private interfaces of the engine's compiler. Such a refusal is no
    /// evidence against Core ML, which prepares programs for the compiler.
    Direct,
}

/// What a row says of the ops that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// They run on the engine, where `when` holds.
    Yes,
    /// They do not. With a `when` this is a restriction, without one it is their lot.
    No,
    /// A restriction: they do not run unless `needs` holds. Where it holds the row is silent.
    Conditional,
    /// Nobody knows, where `when` holds.
    Unknown,
    /// They run as the other rows say, but a person should know this: [`notes`](crate::notes).
    Note,
}

/// What a row warns of beyond its own ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hazard {
    /// The whole model leaves the engine, or takes minutes to compile.
    Model,
    /// Values that 16-bit arithmetic loses.
    Numerics,
}

/// One row of a capability table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A name of its own, stable: findings and rules refer to it.
    pub id: String,
    /// The ops or layers (`nn.concatND`) it speaks of; `*` is every MIL op, `nn.*` every layer.
    pub ops: Vec<String>,
    /// Ops that a row for `*` leaves out.
    #[serde(default)]
    pub except: Vec<String>,
    /// The families it speaks of.
    pub families: FamilySet,
    /// Those of the families that the sources measured; on the others it is an extrapolation.
    #[serde(default)]
    pub measured: FamilySet,
    /// The releases it speaks of; all where absent.
    pub os: Option<OsRange>,
    /// What it says.
    pub status: Status,
    /// Where it applies; everywhere if absent.
    pub(crate) when: Option<Expr>,
    /// What a conditional row asks.
    pub(crate) needs: Option<Expr>,
    /// Where the measurement reaches; beyond it the row is an extrapolation.
    pub(crate) tested: Option<Expr>,
    /// The sentence for the reader; `{op}` stands for the op type. A bare yes may leave it to
    /// [`Row::sentence`].
    #[serde(default)]
    pub says: String,
    /// What Core ML itself prints in this case, where a source quotes it.
    pub reason: Option<String>,
    /// What a person can do, where the rows know it.
    pub advice: Option<String>,
    /// What it warns of beyond the op itself: [`hazards`](crate::hazards).
    pub hazard: Option<Hazard>,
    /// Keys of the sources, resolved by [`source`](crate::source).
    pub sources: Vec<String>,
    /// How it is known.
    pub confidence: Confidence,
    /// Through Core ML or below it.
    #[serde(default)]
    pub route: Route,
    /// For each family the first one on which the row's conditions come out the same.
    #[serde(skip)]
    alike: [Option<Family>; Family::COUNT],
}

impl Row {
    /// The sentence for the reader about an op of type `op`.
    pub fn sentence(&self, op: &str) -> String {
        let says = if self.says.is_empty() { "{op} runs on the engine." } else { &self.says };
        says.replace("{op}", op.strip_prefix(NN).unwrap_or(op))
    }

    /// The conditions as the table writes them: where the row applies, and what it asks.
    pub fn conditions(&self) -> (Option<String>, Option<String>) {
        let text = |e: &Option<Expr>| e.as_ref().map(Expr::to_string);
        (text(&self.when), text(&self.needs))
    }

    /// The first family on which the conditions come out as they do on `family`, the limits that they name
    /// being equal.
    pub(crate) fn like(&self, family: Family) -> Family {
        self.alike.get(family as usize).copied().flatten().unwrap_or(family)
    }

    fn find_alike(&mut self, limits: &Limits) {
        let conditions = [&self.when, &self.needs, &self.tested];
        let ids: Vec<_> = conditions.into_iter().flatten().flat_map(Expr::limits).collect();
        let numbers = |family: Family| -> Vec<_> {
            ids.iter().map(|id| limits.value(id, family).map(|v| (v.value, v.refused_from, &v.set))).collect()
        };
        let mut alike = [None; Family::COUNT];
        for (family, like) in
            self.families.iter().map(|f| (f, self.families.iter().find(|g| numbers(*g) == numbers(f))))
        {
            alike[family as usize] = like;
        }
        self.alike = alike;
    }

    /// How the row is known on `family`: measured there, or derived from elsewhere.
    pub fn confidence_on(&self, family: Family) -> Confidence {
        match self.confidence {
            Confidence::Measured if !self.measured.contains(family) => Confidence::Derived,
            other => other,
        }
    }
}

/// A public source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it is found.
    pub place: String,
    /// What it is, in a few words.
    pub what: String,
    /// The licence of data taken from it, where there is one; facts alone need none.
    pub licence: Option<String>,
}

/// Everything that the data files hold.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) rows: Vec<Row>,
    pub(crate) limits: Limits,
    pub(crate) sources: FxHashMap<String, Source>,
    by_op: FxHashMap<String, Vec<u32>>,
    general: [Vec<u32>; 2],
}

/// The files of capability rows, by group.
const FILES: &[(&str, &str)] = &[
    ("general", include_str!("../data/general.toml")),
    ("mil/products", include_str!("../data/mil/products.toml")),
    ("mil/pooling", include_str!("../data/mil/pooling.toml")),
    ("mil/elementwise", include_str!("../data/mil/elementwise.toml")),
    ("mil/norms", include_str!("../data/mil/norms.toml")),
    ("mil/movement", include_str!("../data/mil/movement.toml")),
    ("mil/other", include_str!("../data/mil/other.toml")),
    ("nn/core", include_str!("../data/nn/core.toml")),
    ("nn/newer", include_str!("../data/nn/newer.toml")),
    ("model", include_str!("../data/model.toml")),
];

/// The prefix of the layers of the NeuralNetwork dialect.
const NN: &str = "nn.";

impl Tables {
    /// The rows that speak of `op`, those for every op included, in the order of the files.
    pub(crate) fn rows_for<'o>(&'static self, op: &'o str) -> impl Iterator<Item = &'static Row> + use<'o> {
        let general = &self.general[usize::from(op.starts_with(NN))];
        let own = self.by_op.get(op).map_or(&[][..], Vec::as_slice);
        let rows = own.iter().chain(general).filter_map(|&i| self.rows.get(i as usize));
        rows.filter(move |row| !row.except.iter().any(|e| e == op))
    }

    /// The ops and layers that have rows of their own.
    pub(crate) fn ops(&self) -> impl Iterator<Item = &str> {
        self.by_op.keys().map(String::as_str)
    }

    pub(crate) fn load() -> Result<Tables, String> {
        #[derive(Deserialize)]
        struct RowFile {
            #[serde(rename = "row")]
            rows: Vec<Row>,
        }
        #[derive(Deserialize)]
        struct LimitFile {
            #[serde(rename = "limit")]
            limits: Vec<LimitRow>,
        }
        let mut rows = Vec::new();
        for (name, text) in FILES {
            let file: RowFile = toml::from_str(text).map_err(|e| format!("data/{name}.toml: {e}"))?;
            rows.extend(file.rows);
        }
        let limits: LimitFile = toml::from_str(include_str!("../data/limits.toml"))
            .map_err(|e| format!("data/limits.toml: {e}"))?;
        let limits = Limits::new(limits.limits);
        rows.iter_mut().for_each(|row: &mut Row| row.find_alike(&limits));
        let sources = toml::from_str(include_str!("../data/sources.toml"))
            .map_err(|e| format!("data/sources.toml: {e}"))?;
        let mut by_op: FxHashMap<String, Vec<u32>> = FxHashMap::default();
        let mut general = [Vec::new(), Vec::new()];
        for (i, row) in rows.iter().enumerate() {
            let i = i as u32;
            for op in &row.ops {
                match op.as_str() {
                    "*" => general[0].push(i),
                    "nn.*" => general[1].push(i),
                    _ => by_op.entry(op.clone()).or_default().push(i),
                }
            }
        }
        Ok(Tables { rows, limits, sources, by_op, general })
    }
}

/// The tables, read on first use.
pub(crate) fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| match Tables::load() {
        Ok(tables) => tables,
        Err(error) => unreachable!("the data files are checked by this crate's tests: {error}"),
    })
}

/// The rows that speak of an op type or layer (`max_pool`, `nn.concatND`), the rows for every op
/// included: what a reader is shown beside a verdict.
pub fn rows(op: &str) -> Vec<&'static Row> {
    tables().rows_for(op).collect()
}

/// The row of that id.
pub fn row(id: &str) -> Option<&'static Row> {
    tables().rows.iter().find(|row| row.id == id)
}

/// The source of that key (`S1`).
pub fn source(key: &str) -> Option<&'static Source> {
    tables().sources.get(key)
}

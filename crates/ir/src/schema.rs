//! What is known of each op: parameters, defaults, effects, and how its results' types follow.

use std::fmt;

use anewrite_tensor::DType;
use smallvec::SmallVec;

use crate::ids::OpId;
use crate::infer::{InferCx, InferError};
use crate::op::Effect;
use crate::program::Program;
use crate::types::Type;

/// A set of ML Program ops, by the system that introduced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opset {
    /// `CoreML5`: iOS 15, macOS 12.
    Ios15,
    /// `CoreML6`: iOS 16, macOS 13.
    Ios16,
    /// `CoreML7`: iOS 17, macOS 14.
    Ios17,
    /// `CoreML8`: iOS 18, macOS 15.
    Ios18,
    /// `CoreML9`: iOS 26, macOS 26.
    Ios26,
}

impl Opset {
    /// Reads the name that files use, `CoreML5` to `CoreML9`.
    pub fn from_name(name: &str) -> Option<Opset> {
        Some(match name {
            "CoreML5" => Opset::Ios15,
            "CoreML6" => Opset::Ios16,
            "CoreML7" => Opset::Ios17,
            "CoreML8" => Opset::Ios18,
            "CoreML9" => Opset::Ios26,
            _ => return None,
        })
    }

    /// The name that files use.
    pub fn name(self) -> &'static str {
        match self {
            Opset::Ios15 => "CoreML5",
            Opset::Ios16 => "CoreML6",
            Opset::Ios17 => "CoreML7",
            Opset::Ios18 => "CoreML8",
            Opset::Ios26 => "CoreML9",
        }
    }

    /// The lowest specification version that may hold it.
    pub fn spec_version(self) -> i32 {
        self as i32 + 6
    }
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// One value, constant or not.
    Value,
    /// One constant.
    Const,
    /// Any number of values, at least one.
    Values,
}

/// What a parameter that is left out stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// It must be given.
    Required,
    /// Leaving it out means that there is none (a missing bias, a missing end).
    Absent,
    /// A truth value.
    Bool(bool),
    /// An integer scalar.
    Int(i64),
    /// A number scalar of the data's element type.
    Float(f64),
    /// Text.
    Text(&'static str),
    /// An integer vector of as many equal elements as the op's spatial rank asks for.
    Fill(i64),
    /// An integer vector.
    Ints(&'static [i64]),
}

/// A set of element types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DTypes(u32);

impl DTypes {
    /// Every element type.
    pub const ANY: DTypes = DTypes(u32::MAX);

    /// The set of these.
    ///
    /// ```
    /// use anewrite_ir::DTypes;
    /// use anewrite_tensor::DType;
    /// const FLOATS: DTypes = DTypes::of(&[DType::F16, DType::F32]);
    /// assert!(FLOATS.has(DType::F16) && !FLOATS.has(DType::I32));
    /// ```
    pub const fn of(dtypes: &[DType]) -> DTypes {
        let (mut set, mut i) = (0, 0);
        while i < dtypes.len() {
            set |= 1 << dtypes[i] as u32;
            i += 1;
        }
        DTypes(set)
    }

    /// Both sets together.
    pub const fn and(self, other: DTypes) -> DTypes {
        DTypes(self.0 | other.0)
    }

    /// Whether `dtype` is in it.
    pub const fn has(self, dtype: DType) -> bool {
        self.0 & (1 << dtype as u32) != 0
    }

    /// Its members, in the order of [`DType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = DType> {
        DType::ALL.into_iter().filter(move |&d| self.has(d))
    }
}

impl fmt::Debug for DTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// One parameter of an op.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParamKind,
    /// What it stands for when left out.
    pub default: DefaultValue,
    /// The element types that it takes, where it takes tensors.
    pub dtypes: DTypes,
    /// The parameter whose element type it must share, if both are given.
    pub like: Option<&'static str>,
}

impl Param {
    /// The same parameter, taking only these element types.
    pub const fn of(mut self, dtypes: DTypes) -> Param {
        self.dtypes = dtypes;
        self
    }

    /// The same parameter, sharing the element type of `param`.
    pub const fn like(mut self, param: &'static str) -> Param {
        self.like = Some(param);
        self
    }
}

/// Types of an op's results.
pub type Types = SmallVec<[Type; 1]>;

/// Derives the types of the results of one op.
pub type InferFn = fn(&mut InferCx<'_>) -> Result<Types, InferError>;

/// One op of one or more opsets.
#[derive(Clone, Copy, Debug)]
pub struct OpSchema {
    /// The kind, as files spell it.
    pub name: &'static str,
    /// The first opset that has it in this form.
    pub since: Opset,
    /// Its parameters.
    pub params: &'static [Param],
    /// What it does besides computing.
    pub effect: Effect,
    /// Type inference.
    pub infer: InferFn,
}

impl OpSchema {
    /// The parameter `name`.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }
}

/// A set of ops: what each one is. Implemented for MIL by [`crate::mil::Mil`], for NeuralNetwork layers elsewhere.
pub trait Dialect: Sync {
    /// What the op does besides computing its results. [`Effect::Opaque`] for kinds that are not known.
    fn effect(&self, kind: &str) -> Effect;

    /// The types of the results, from the operands' types and constants.
    ///
    /// # Errors
    /// [`InferError::Unknown`] for kinds without a definition; the others say what does not fit.
    fn infer(&self, cx: &mut InferCx<'_>) -> Result<Types, InferError>;

    /// The definition of a MIL op; `None` for other dialects and unknown kinds. `opset` picks the newest form that
    /// it has.
    fn schema(&self, kind: &str, opset: Opset) -> Option<&'static OpSchema>;

    /// Whether the nested blocks of the op run in a row, again and again, each going on from what the one before
    /// made of the values that they share (the loop of a NeuralNetwork). A MIL loop names its values itself.
    fn repeats(&self, kind: &str) -> bool {
        let _ = kind;
        false
    }

    /// Whether the rest of the program would mean something else without this op, even if nothing uses it (the last
    /// layer that makes a NeuralNetwork's array mapping exact).
    fn bears(&self, p: &Program, op: OpId) -> bool {
        let _ = (p, op);
        false
    }
}

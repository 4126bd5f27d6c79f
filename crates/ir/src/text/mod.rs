//! The text form: programs as MIL text, the form found in compiled models (`model.mil`), and back.
//!
//! ```text
//! program    = [ "program" "(" number ")" [ attrs ] "{" ] function… [ "}" ]
//! function   = "func" name [ "<" opset ">" ] "(" args ")" [ attrs ] block ";"
//! block      = "{" statement… "}" "->" "(" names ")"
//! statement  = [ results "=" ] kind "(" [ param "=" argument, … ] ")" [ attrs ] [ "sealed" ] [ blocks ] ";"
//! results    = [ type ] name, …
//! argument   = name | literal | "(" ( name | literal ), … ")"
//! blocks     = [ "(" args ")" ] block, …
//! attrs      = "[" key "=" ( typed literal | attribute ), … "]"
//! literal    = type "(" content ")" | content | "random" "<" dtype "," dims ">" "(" seed ")"
//! content    = number | text | "true" | "false" | "[" content, … "]" | "BLOBFILE" "(" … ")"
//! attribute  = number | text | "true" | "false" | NAME | "[" … "]" | "{" key "=" attribute, … "}" | bytes
//! type       = "tensor" "<" dtype "," dims ">" | dtype | "state" "<" type ">" | "list" … | "dict" … | "unknown"
//! ```
//!
//! - A function without an opset makes a NeuralNetwork program, whose ops are `nn.<layer>`.
//! - `const` makes a constant, not an op. A literal as an argument makes an in-place constant. In brackets a
//!   literal with its type is an operand that the file binds as an attribute, one without is an [`Attr`].
//! - A literal without a type is `int32`, `bool`, `string`, or a float of the dtype of the operand `x` (else of
//!   the first float operand that is given by name, else `fp32`).
//! - Types of results may be left out: they are inferred.
//! - Names that are no plain words stand between backquotes. `x@1` is the second value called `x`; values with
//!   such a suffix are [pinned](crate::Value::pinned).
//! - `nan` is the quiet NaN; other patterns are written with their bits, `nan(0x7e01)`.
//! - `// …` is a comment.
//! - `random<fp16, [8, 4]>(7)` is a constant of multiples of 1/256 from −1 to 1 (integers: −8 to 7, unsigned 0 to
//!   15) drawn with that seed, so that examples need no weight files.
//!
//! Printing and reading a program again gives the same ops, types and constants, and the same text. Where a
//! constant's bytes stay in a file the reader is asked for them: see [`ParseOptions::blobs`].
//!
//! [`Attr`]: crate::Attr

mod attribute;
mod cursor;
mod error;
mod lex;
mod lines;
mod literal;
mod names;
mod number;
mod parse;
mod print;
mod random;
mod scope;
mod show;
mod statement;
mod types;

use std::fmt;

use anewrite_tensor::{DType, Tensor};

pub use error::ParseError;
pub use lines::{Line, LineContent};
pub use print::Printer;

use crate::dims::DimTable;
use crate::ids::{OpId, ValueId};
use crate::infer::Facts;
use crate::op::Operand;
use crate::program::Program;
use crate::schema::Dialect;
use crate::types::{TensorType, Type};

/// Constants with more elements than this print as a reference to their bytes.
pub const MAX_LITERAL: u64 = 64;

/// How much is spelled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As Core ML's compiler writes it: every constant with its type, floats in hexadecimal, each `const` op on a
    /// line of its own. Nothing is left out.
    #[default]
    Full,
    /// For people: constants of up to 16 elements stand in the arguments without their names, types that the
    /// reader works out by itself are left out, floats are decimal, and so are op names equal to the result's.
    Short,
}

impl Style {
    /// Elements up to which a `const` op is written in the argument.
    fn inline_limit(self) -> u64 {
        match self {
            Style::Full => 0,
            Style::Short => 16,
        }
    }
}

/// Where the bytes of a constant are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// The file, as compiled models write it: `@model_path/weights/weight.bin`.
    pub path: String,
    /// The offset that the model's specification gives.
    pub offset: u64,
}

/// What the text says about a constant whose bytes it does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobText {
    /// The file.
    pub path: Option<String>,
    /// The offset in the file.
    pub offset: Option<u64>,
    /// Length of the elements in bytes.
    pub length: Option<u64>,
    /// The first 16 hexadecimal digits of the SHA-256 of the elements.
    pub digest: Option<String>,
}

/// Where a constant's bytes are, if they are in a file.
pub type BlobOf<'a> = dyn Fn(ValueId) -> Option<BlobRef> + 'a;

/// A comment for an op's line.
pub type CommentOf<'a> = dyn Fn(OpId) -> Option<String> + 'a;

/// The constant that a text refers to, of the type that the text states. The error says why there is none.
pub type BlobReader<'a> = dyn Fn(&BlobText, &TensorType) -> Result<Tensor, String> + 'a;

/// How a program is printed.
#[derive(Clone, Copy)]
pub struct PrintOptions<'a> {
    /// How much is spelled out.
    pub style: Style,
    /// Whether the program's own line and attributes are printed around the functions.
    pub header: bool,
    /// Whether constants over [`MAX_LITERAL`] elements show a digest, which takes reading them.
    pub digest: bool,
    /// Where constants' bytes are, to be shown with those over [`MAX_LITERAL`] elements.
    pub blobs: Option<&'a BlobOf<'a>>,
    /// Inferred types, shown with their symbols instead of the stored ones.
    pub types: Option<(&'a Facts, &'a DimTable)>,
    /// Comments at the ends of the ops' lines.
    pub comments: Option<&'a CommentOf<'a>>,
}

impl Default for PrintOptions<'_> {
    fn default() -> Self {
        PrintOptions {
            style: Style::Full,
            header: true,
            digest: true,
            blobs: None,
            types: None,
            comments: None,
        }
    }
}

impl PrintOptions<'_> {
    /// Functions only, in the short style.
    pub fn short() -> Self {
        PrintOptions { style: Style::Short, header: false, ..Self::default() }
    }
}

/// What reading needs beside the text.
#[derive(Clone, Copy, Default)]
pub struct ParseOptions<'a> {
    /// Asked for constants whose bytes are not in the text. Without it such a constant is an error.
    /// A digest in the text is passed on, not checked.
    pub blobs: Option<&'a BlobReader<'a>>,
    /// Infers types that are left out; without it [`Mil`](crate::mil::Mil) does for ML Programs, and
    /// NeuralNetwork types stay unknown.
    pub dialect: Option<&'a dyn Dialect>,
}

/// The program as text.
///
/// ```
/// use anewrite_ir::text::{self, PrintOptions};
/// let p = text::parse("func main<CoreML6>(tensor<fp16, [2, 3]> x) { y = add(x = x, y = 0.5); } -> (y);").unwrap();
/// assert_eq!(
///     text::print(&p, &PrintOptions::short()),
///     "func main<CoreML6>(tensor<fp16, [2, 3]> x) {\n    tensor<fp16, [2, 3]> y = add(x = x, y = 0.5);\n} -> (y);\n"
/// );
/// ```
pub fn print(program: &Program, options: &PrintOptions<'_>) -> String {
    let mut out = String::new();
    // writing to a string does not fail
    let _ = write(&mut out, program, options);
    out
}

/// Writes the program as text.
///
/// # Errors
/// Only those of `out`.
pub fn write(out: &mut dyn fmt::Write, program: &Program, options: &PrintOptions<'_>) -> fmt::Result {
    Printer::new(program, *options).program(out)
}

/// Reads a program whose constants all stand in the text.
///
/// ```
/// let p = anewrite_ir::text::parse(
///     "func main<CoreML6>(tensor<fp16, [1, 4, 9, 7]> x) {
///          y = transpose(x = x, perm = [0, 2, 3, 1]);
///      } -> (y);",
/// )
/// .unwrap();
/// let (_, main) = p.functions().next().unwrap();
/// let y = p.block(main.body).outputs[0];
/// assert_eq!(p.ty(y).to_string(), "tensor<fp16, [1, 9, 7, 4]>");
/// ```
///
/// # Errors
/// Where the text is not of the form, a name is not defined or defined twice, a constant does not fit its type,
/// a type is left out that cannot be inferred, or the text refers to a file.
pub fn parse(text: &str) -> Result<Program, ParseError> {
    parse_with(text, &ParseOptions::default())
}

/// Reads a program.
///
/// # Errors
/// As [`parse`], and where a constant's bytes cannot be had.
pub fn parse_with(text: &str, options: &ParseOptions<'_>) -> Result<Program, ParseError> {
    parse::program(text, options).map_err(|fault| fault.locate(text))
}

/// The dtype of a float literal without a type: that of the operand `x`, else of the first float operand, among
/// those given by name.
fn float_dtype<'a>(p: &Program, named: impl Iterator<Item = &'a Operand>) -> DType {
    let mut first = None;
    for operand in named {
        let (Type::Tensor(t) | Type::State(t)) = p.ty(operand.value) else { continue };
        if t.dtype.is_float() {
            if &*operand.param == "x" {
                return t.dtype;
            }
            first = first.or(Some(t.dtype));
        }
    }
    first.unwrap_or(DType::F32)
}

//! The graph that a model becomes: programs of functions of blocks of ops, for both dialects.
//!
//! Who owns what: a [`Program`] owns everything; blocks own the order of their ops; ops own their operands, in
//! order. Def-use edges are derived and kept in step by [`edit`](Program::add_op)s, the only way to change a
//! program. Identities are typed and never given twice. A constant is a value, not an op, and remembers where the
//! file had it.
//!
//! Facts about a program (inferred types, ranges) are kept beside it, in [`Side`] tables.
//!
//! This crate must not know protobuf, files, rules or the engine.
//!
//! ```
//! use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType};
//! use anewrite_tensor::DType;
//!
//! let mut p = Program::new(DialectId::Mil);
//! let (_, body) = p.add_function("main", "CoreML6");
//! let ty = TensorType::fixed(DType::F16, [2, 3]);
//! let x = p.add_arg(body, "x", ty.clone().into());
//! let relu = p.add_op(Place::End(body), NewOp::new("relu").operand("x", x).result("y", ty));
//! let y = p.op(relu).result().unwrap();
//! p.add_output(body, y);
//! assert_eq!(p.use_count(x), 1);
//! ```

mod build;
mod defuse;
pub mod dims;
mod edit;
mod ids;
pub mod infer;
pub mod mil;
mod op;
mod past;
mod program;
mod schema;
pub mod text;
mod types;
pub mod verify;

pub use build::{BuildError, Builder};
pub use defuse::{Use, User};
pub use edit::{Mark, NewOp, Place};
pub use ids::{BlockId, FuncId, Id, OpId, Side, Table, ValueId};
pub use op::{Attr, Attrs, Binding, Const, ConstOrigin, Def, Effect, Op, Operand, Str, Value};
pub use past::Past;
pub use program::{Block, DialectId, Function, Program};
pub use schema::{DTypes, DefaultValue, Dialect, InferFn, OpSchema, Opset, Param, ParamKind, Types};
pub use types::{Dim, Shape, TensorType, Type};

//! Values while a program runs.

use std::fmt;
use std::sync::{Arc, Mutex};

use anewrite_ir::{TensorType, Type};

use crate::array::Array;
use crate::error::EvalError;

/// What a value of a program holds while it runs.
#[derive(Clone, Debug)]
pub enum Value {
    /// A tensor.
    Tensor(Array),
    /// A list of tensors; entries that were never written are missing.
    List(List),
    /// Labels and what belongs to each, in order, as `classify` gives them.
    Dict(Dict),
    /// A tensor that keeps its content between predictions.
    State(State),
}

/// A list of tensors.
#[derive(Clone, Debug)]
pub struct List {
    /// Type of each element.
    pub element: TensorType,
    /// The elements; `None` where nothing was written.
    pub items: Arc<Vec<Option<Array>>>,
    /// Whether writing beyond the end makes it longer.
    pub grows: bool,
}

/// Keys and values of the same number.
#[derive(Clone, Debug)]
pub struct Dict {
    /// The keys: texts or integers.
    pub keys: Array,
    /// A number for each.
    pub values: Array,
}

/// A tensor that is shared by everything that reads and writes it.
#[derive(Clone)]
pub struct State(Arc<Mutex<Array>>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state of {:?}", self.get())
    }
}

impl State {
    /// A state with this content.
    pub fn new(content: Array) -> State {
        State(Arc::new(Mutex::new(content)))
    }

    /// What it holds now.
    pub fn get(&self) -> Array {
        match self.0.lock() {
            Ok(held) => held.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// Replaces what it holds.
    pub fn set(&self, content: Array) {
        match self.0.lock() {
            Ok(mut held) => *held = content,
            Err(poisoned) => *poisoned.into_inner() = content,
        }
    }
}

impl Value {
    /// The tensor.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn tensor(&self) -> Result<&Array, EvalError> {
        match self {
            Value::Tensor(a) => Ok(a),
            other => Err(EvalError::Shape(format!("{} where a tensor is needed", other.what()))),
        }
    }

    /// The type of a value that holds this.
    pub fn ty(&self) -> Type {
        match self {
            Value::Tensor(a) => a.ty().into(),
            Value::State(s) => Type::State(s.get().ty()),
            Value::List(l) => Type::List { element: l.element.clone(), length: Some(l.items.len() as u64) },
            Value::Dict(d) => {
                let scalar = |a: &Array| Box::new(Type::from(TensorType::fixed(a.dtype(), [])));
                Type::Dict { key: scalar(&d.keys), value: scalar(&d.values) }
            }
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "a tensor",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dictionary",
            Value::State(_) => "a state",
        }
    }
}

impl From<Array> for Value {
    fn from(a: Array) -> Self {
        Value::Tensor(a)
    }
}

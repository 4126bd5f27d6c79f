//! Typed identities and the tables indexed by them.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// A typed index that is never given to a second thing, even after the first is removed.
pub trait Id: Copy + Eq + Ord + std::hash::Hash + fmt::Debug {
    /// The `index`-th identity of this type.
    fn from_index(index: usize) -> Self;
    /// Position in the table of its kind.
    fn index(self) -> usize;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $letter:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl Id for $name {
            fn from_index(index: usize) -> Self {
                let n = u32::try_from(index).ok().and_then(|i| NonZeroU32::new(i.wrapping_add(1)));
                $name(n.unwrap_or(NonZeroU32::MAX))
            }
            fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.index())
            }
        }
    )*};
}

ids! {
    /// A function of a program.
    FuncId "f";
    /// A block: a function's body or a nested one.
    BlockId "b";
    /// An op.
    OpId "op";
    /// A value: an op's result, a block's argument or a constant.
    ValueId "v";
}

/// The table that owns the things of one kind.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    items: Vec<V>,
    key: PhantomData<K>,
}

impl<K: Id, V> Table<K, V> {
    /// Adds an item and returns its identity.
    pub fn push(&mut self, item: V) -> K {
        self.items.push(item);
        K::from_index(self.items.len() - 1)
    }

    /// Number of identities given so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The item, if the identity is one of this table's.
    pub fn get(&self, id: K) -> Option<&V> {
        self.items.get(id.index())
    }

    /// All items in order of their identities.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.items.iter().enumerate().map(|(i, v)| (K::from_index(i), v))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table { items: Vec::new(), key: PhantomData }
    }
}

impl<K: Id, V> Index<K> for Table<K, V> {
    type Output = V;
    fn index(&self, id: K) -> &V {
        &self.items[id.index()]
    }
}

impl<K: Id, V> IndexMut<K> for Table<K, V> {
    fn index_mut(&mut self, id: K) -> &mut V {
        &mut self.items[id.index()]
    }
}

/// Facts kept beside the graph: a dense map from identities to values with a default for the rest.
#[derive(Clone, Debug)]
pub struct Side<K, V> {
    items: Vec<V>,
    default: V,
    key: PhantomData<K>,
}

impl<K: Id, V: Clone> Side<K, V> {
    /// A map in which every identity has `default`.
    pub fn new(default: V) -> Self {
        Side { items: Vec::new(), default, key: PhantomData }
    }

    /// Sets the fact about `id`.
    pub fn set(&mut self, id: K, fact: V) {
        *self.entry(id) = fact;
    }

    /// The fact about `id`, to change.
    pub fn entry(&mut self, id: K) -> &mut V {
        if self.items.len() <= id.index() {
            self.items.resize(id.index() + 1, self.default.clone());
        }
        &mut self.items[id.index()]
    }
}

impl<K: Id, V: Clone + Default> Default for Side<K, V> {
    fn default() -> Self {
        Side::new(V::default())
    }
}

impl<K: Id, V> Index<K> for Side<K, V> {
    type Output = V;
    fn index(&self, id: K) -> &V {
        self.items.get(id.index()).unwrap_or(&self.default)
    }
}

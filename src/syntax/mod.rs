//! SQL texts as structure, offline: what a plan file's `sql:`, an imported file or the server's own
//! `pg_get_indexdef` says, read by a parser of PostgreSQL's grammar.

mod create_index;
mod expression;
mod index_spec;
mod on_conflict;
pub mod statement;

pub use create_index::{
    CreateIndex, Fault, create_index, expression, operator_class, single_expression,
};
pub use expression::{collations, holds_subquery, parameter, system_column, without_relation};
pub use index_spec::{Build, DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget, ObjectName};
pub use on_conflict::{ConflictTarget, OnConflict, on_conflict};

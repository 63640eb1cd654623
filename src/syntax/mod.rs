//! SQL texts as structure, offline: what a plan file's `sql:`, an imported file or the server's own
//! `pg_get_indexdef` says, read by a parser of PostgreSQL's grammar.

mod chosen_name;
pub mod conceal;
mod create_index;
mod depth;
mod expression;
pub mod fingerprint;
mod index_spec;
mod items;
mod lexer;
pub mod mask;
mod on_conflict;
mod scan;
mod script;
mod script_words;
pub mod shape;
pub mod statement;
mod tokens;
mod words;

pub use chosen_name::{Ending, chosen_name};
pub use create_index::{
    CreateIndex, Fault, create_index, expression, operator_class, single_expression,
};
pub use expression::{collations, holds_subquery, parameter, system_column, without_relation};
pub use index_spec::{Build, DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget, ObjectName};
pub use on_conflict::{ConflictTarget, OnConflict, on_conflict};
pub use script::{Action, Constraint, Script, Statement, script};

//! Statements for people, for programs, for tickets and for browsers: one file a format.

pub mod compared;
pub mod compared_html;
pub mod html;
pub mod json;
pub mod markdown;
pub mod table;
mod text;
mod words;

pub(super) use text::fold;

/// How much of a statement's text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Beginning and end.
    Elided,
    /// All of it.
    Full,
}

//! What an SQL expression names, by its tokens: collations, subqueries, the columns of one relation.

use squawk_syntax::{SourceFile, SyntaxKind, SyntaxToken};

use super::ObjectName;
use crate::ident::{quote_ident, split_name};

/// System columns, which no column of a user can be named as.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Returns the collations that an expression names, in the order of the text.
pub fn collations(expression: &str) -> Vec<ObjectName> {
    let tokens = significant(expression);
    tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind() == SyntaxKind::COLLATE_KW)
        .filter_map(|(at, _)| {
            let mut name = tokens.get(at + 1)?.text().to_owned();
            if tokens.get(at + 2).is_some_and(|dot| dot.text() == ".") {
                name.push('.');
                name.push_str(tokens.get(at + 3)?.text());
            }
            let (schema, name) = split_name(&name).ok()?;
            Some(ObjectName { schema, name })
        })
        .collect()
}

/// Whether an expression holds a subquery, which no index takes.
pub fn holds_subquery(expression: &str) -> bool {
    parsed(expression)
        .tree_nodes()
        .skip(1)
        .any(|kind| SUBQUERIES.contains(&kind))
}

/// Statements that can stand in an expression.
const SUBQUERIES: [SyntaxKind; 5] = [
    SyntaxKind::SELECT,
    SyntaxKind::VALUES,
    SyntaxKind::TABLE,
    SyntaxKind::COMPOUND_SELECT,
    SyntaxKind::PAREN_SELECT,
];

/// Returns the parameter (`$1`) that an expression names, which only a prepared statement has.
pub fn parameter(expression: &str) -> Option<String> {
    significant(expression)
        .iter()
        .find(|token| token.kind() == SyntaxKind::POSITIONAL_PARAM)
        .map(|token| token.text().to_owned())
}

/// Returns the system column that an expression, as the server prints it, refers to.
pub fn system_column(printed: &str) -> Option<String> {
    let tokens = significant(printed);
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(SyntaxToken::text);
    tokens.iter().enumerate().find_map(|(at, token)| {
        let column = token.text();
        let named = SYSTEM_COLUMNS.contains(&column)
            && !matches!(text(at.checked_sub(1)), Some("." | "::" | ":"))
            && !matches!(text(Some(at + 1)), Some("." | "("));
        named.then(|| column.to_owned())
    })
}

/// Returns an expression, as the server prints it, with the columns of `relation` written without its name.
///
/// The result is for comparing: `f(t.*)` becomes `f(*)`.
pub fn without_relation(printed: &str, relation: &str) -> String {
    let quoted = quote_ident(relation);
    let tokens = significant(printed);
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(SyntaxToken::text);
    let mut kept = String::with_capacity(printed.len());
    let mut rest = 0;
    for (at, token) in tokens.iter().enumerate() {
        let qualifies = (token.text() == relation || token.text() == quoted)
            && !matches!(text(at.checked_sub(1)), Some("." | "::" | ":"))
            && text(Some(at + 1)) == Some(".")
            && !matches!(text(Some(at + 3)), Some("." | "("));
        if qualifies && let Some(dot) = tokens.get(at + 1) {
            kept.push_str(&printed[rest..start(token)]);
            rest = start(dot) + dot.text().len();
        }
    }
    kept.push_str(&printed[rest..]);
    kept
}

/// Put before an expression to make a statement of it.
const BEFORE: &str = "select (";

/// Offset of a token in the expression it was read from.
fn start(token: &SyntaxToken) -> usize {
    usize::from(token.text_range().start()).saturating_sub(BEFORE.len())
}

/// A statement around an expression; faults do not matter here.
struct Parsed(SourceFile);

fn parsed(expression: &str) -> Parsed {
    Parsed(SourceFile::parse(&format!("{BEFORE}{expression}\n)")).tree())
}

impl Parsed {
    /// Kinds of all nodes below the file, the statement first.
    fn tree_nodes(&self) -> impl Iterator<Item = SyntaxKind> {
        use squawk_syntax::ast::AstNode;
        self.0
            .syntax()
            .descendants()
            .skip(1)
            .map(|node| node.kind())
    }
}

/// Tokens of an expression without space and comments.
fn significant(expression: &str) -> Vec<SyntaxToken> {
    use squawk_syntax::ast::AstNode;
    let wrapped = parsed(expression);
    let end = BEFORE.len() + expression.len();
    wrapped
        .0
        .syntax()
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| {
            let at = usize::from(token.text_range().start());
            (BEFORE.len()..end).contains(&at)
                && !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(expression: &str) -> Vec<String> {
        collations(expression)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn collations_are_found_in_order_and_not_in_strings() {
        assert_eq!(
            named(
                r#"a collate "de-x-icu" > b COLLATE s."C" /* collate z */ || 'collate q' collate posix"#
            ),
            ["\"de-x-icu\"", "s.\"C\"", "posix"]
        );
        assert!(named("lower(\"collate\")").is_empty());
        assert_eq!(named("a collate \"C\" between b and c"), ["\"C\""]);
    }

    #[test]
    fn subqueries_are_found() {
        for with in [
            "(select 1)",
            "exists (select 1)",
            "a in (select 1 union select 2)",
            "array(values (1))",
            "a = any (table t)",
        ] {
            assert!(holds_subquery(with), "{with}");
        }
        for without in ["a", "(a + (b))", "'(select 1)'", "row(a, b)", "a in (1, 2)"] {
            assert!(!holds_subquery(without), "{without}");
        }
    }

    #[test]
    fn parameters_are_found() {
        assert_eq!(parameter("a > $1").as_deref(), Some("$1"));
        assert_eq!(parameter("a > '$1' || $$x$1$$"), None);
    }

    #[test]
    fn columns_lose_the_name_of_their_relation() {
        for (printed, relation, kept) in [
            ("(t.a + t.\"B\")", "t", "(a + \"B\")"),
            ("app.f(\"T\".*)", "T", "app.f(*)"),
            ("t.lower(t.a)", "t", "t.lower(a)"),
            ("(a)::t.kind", "t", "(a)::t.kind"),
            ("'t.a'::text", "t", "'t.a'::text"),
        ] {
            assert_eq!(without_relation(printed, relation), kept);
        }
    }

    #[test]
    fn system_columns_are_found() {
        assert_eq!(system_column("(ctid)::text").as_deref(), Some("ctid"));
        assert_eq!(system_column("xmin(a) || 'ctid'"), None);
    }
}

//! The name that the server gives an index that is created without one (`ChooseIndexName` and
//! `FigureIndexColname` of PostgreSQL).

use squawk_syntax::ast::{self, AstNode};

use super::create_index::{parenthesised, parse};
use super::index_spec::{IndexSpec, KeyTarget};
use crate::ident::{MAX_NAME_BYTES, split_name};

/// What a generated name ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `_idx`: an index.
    Index,
    /// `_key`: a UNIQUE constraint.
    Unique,
    /// `_pkey`: a primary key, whose columns are not part of its name.
    Primary,
}

/// Returns the name the server would choose; `taken` tells the names of the table's schema that are in use.
pub fn chosen_name(spec: &IndexSpec, ending: Ending, taken: impl Fn(&str) -> bool) -> String {
    let columns = match ending {
        Ending::Primary => None,
        Ending::Index | Ending::Unique => Some(joined(&column_names(spec))),
    };
    let label = match ending {
        Ending::Index => "idx",
        Ending::Unique => "key",
        Ending::Primary => "pkey",
    };
    let name = |label: &str| object_name(&spec.table.name, columns.as_deref(), label);
    let mut chosen = name(label);
    for pass in 1.. {
        if !taken(&chosen) {
            break;
        }
        chosen = name(&format!("{label}{pass}"));
    }
    chosen
}

fn column_names(spec: &IndexSpec) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let keys = spec.keys.iter().map(|key| match &key.target {
        KeyTarget::Column(name) => name.clone(),
        KeyTarget::Expression(text) => expression_name(text).unwrap_or_else(|| "expr".to_owned()),
    });
    for name in keys.chain(spec.include.iter().cloned()) {
        let mut unique = name.clone();
        for number in 1.. {
            if !names.contains(&unique) {
                break;
            }
            let number = number.to_string();
            unique = format!("{}{number}", clipped(&name, MAX_NAME_BYTES - number.len()));
        }
        names.push(unique);
    }
    names
}

fn joined(names: &[String]) -> String {
    let mut joined = String::new();
    for name in names {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(name);
        if joined.len() > MAX_NAME_BYTES {
            break;
        }
    }
    joined
}

/// Joins the parts, the longer of the first two shortened until all fit (`makeObjectName`).
fn object_name(table: &str, columns: Option<&str>, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(columns.is_some());
    let available = MAX_NAME_BYTES.saturating_sub(overhead);
    let mut first = table.len();
    let mut second = columns.map_or(0, str::len);
    while first + second > available {
        if first > second {
            first -= 1;
        } else {
            second -= 1;
        }
    }
    let table = clipped(table, first);
    match columns {
        Some(columns) => format!("{table}_{}_{label}", clipped(columns, second)),
        None => format!("{table}_{label}"),
    }
}

/// At most this many bytes, no character cut in two.
fn clipped(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn expression_name(text: &str) -> Option<String> {
    let file = parse(&format!("select (\n{text}\n)")).ok()?;
    let ast::Stmt::Select(select) = file.stmts().next()? else {
        return None;
    };
    let node = parenthesised(select.syntax())?;
    let inner = node.children().find_map(ast::Expr::cast)?;
    name_of(&inner).map(|(name, _)| name)
}

/// The name of an expression and whether it is a strong one, which a cast does not replace.
fn name_of(expr: &ast::Expr) -> Option<(String, bool)> {
    let last_part = |text: &str| split_name(text.trim()).ok().map(|(_, name)| name);
    let inner = |node: &squawk_syntax::SyntaxNode| {
        node.children()
            .find_map(ast::Expr::cast)
            .and_then(|inner| name_of(&inner))
    };
    match expr {
        ast::Expr::NameRef(_) | ast::Expr::FieldExpr(_) => {
            let text = expr.syntax().text().to_string();
            let name = text.rsplit('.').next().and_then(last_part)?;
            Some((name, true))
        }
        ast::Expr::CallExpr(call) => {
            let text = call.syntax().text().to_string();
            let callee = match call.expr() {
                Some(callee) => callee.syntax().text().to_string(),
                None => text.split('(').next().unwrap_or_default().to_owned(),
            };
            let name = callee.rsplit('.').next().and_then(last_part)?;
            Some((name, true))
        }
        ast::Expr::CastExpr(cast) => match inner(cast.syntax()) {
            Some((name, true)) => Some((name, true)),
            _ => {
                let text = cast.ty()?.syntax().text().to_string();
                Some((internal_type(&text), false))
            }
        },
        ast::Expr::CaseExpr(_) => Some(("case".to_owned(), false)),
        ast::Expr::ArrayExpr(_) => Some(("array".to_owned(), true)),
        ast::Expr::ParenExpr(_) | ast::Expr::Collate(_) | ast::Expr::IndexExpr(_) => {
            inner(expr.syntax())
        }
        _ => None,
    }
}

/// The name that the catalog has for a type as SQL writes it.
fn internal_type(text: &str) -> String {
    let text = text.to_lowercase();
    let bare: Vec<&str> = text
        .split('(')
        .next()
        .unwrap_or_default()
        .trim_end_matches("[]")
        .split_whitespace()
        .collect();
    let bare = bare.join(" ");
    match bare.as_str() {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other.rsplit('.').next().unwrap_or_default(),
    }
    .trim_matches('"')
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::create_index;

    fn name(sql: &str, taken: &[&str]) -> String {
        let spec = create_index(sql).unwrap().spec;
        chosen_name(&spec, Ending::Index, |name| taken.contains(&name))
    }

    // Each name is what PostgreSQL 18 gave for the statement.
    #[test]
    fn names_are_those_of_the_server() {
        for (sql, wanted) in [
            ("create index on t (a)", "t_a_idx"),
            ("create index on \"T\" (\"Aa\", b)", "T_Aa_b_idx"),
            ("create index on t (lower(b))", "t_lower_idx"),
            (
                "create index on t (lower(b), lower(c), (a + 1), (a + 2))",
                "t_lower_lower1_expr_expr1_idx",
            ),
            ("create index on t (a) include (b)", "t_a_b_idx"),
            ("create index on t ((b::date))", "t_b_idx"),
            ("create index on t ((coalesce(b, c)))", "t_coalesce_idx"),
            ("create index on t ((b collate \"C\"))", "t_b_idx"),
            ("create index on t ((pg_catalog.lower(b)))", "t_lower_idx"),
            ("create index on t ((cast(a as numeric)))", "t_a_idx"),
            (
                "create index on t ((case when a > 1 then 1 end))",
                "t_case_idx",
            ),
            ("create index on t (((a + 1)::text))", "t_text_idx"),
            (
                "create index on a_table_with_quite_a_long_name_for_this_test (a_column_of_some_length, another_column)",
                "a_table_with_quite_a_long_nam_a_column_of_some_length_anoth_idx",
            ),
        ] {
            assert_eq!(name(sql, &[]), wanted, "{sql}");
        }
        assert_eq!(
            name("create index on t (a)", &["t_a_idx", "t_a_idx1"]),
            "t_a_idx2"
        );
    }
}

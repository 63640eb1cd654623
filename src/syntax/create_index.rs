//! CREATE INDEX by a parser of PostgreSQL's grammar.

use std::collections::BTreeMap;

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};

use super::depth::too_deep;
use super::index_spec::{DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget, ObjectName};
use super::lexer::string_value;
use crate::ident::QualifiedName;

/// A statement read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIndex {
    /// What it says.
    pub spec: IndexSpec,
    /// Schema that was written before the index's name; only the table's own makes sense.
    pub name_schema: Option<String>,
    /// Whether the table was named without a schema, and `public` was filled in.
    pub table_without_schema: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `ON ONLY`.
    pub only: bool,
}

/// What is wrong with a text, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One sentence.
    pub message: String,
    /// First byte of the place.
    pub start: usize,
    /// Byte after the place.
    pub end: usize,
}

impl Fault {
    fn whole(text: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            start: 0,
            end: text.len(),
        }
    }
}

/// Reads one CREATE INDEX statement; a table without a schema is in `public`.
///
/// # Errors
/// The first fault: what the grammar refuses, another kind of statement, more than one statement.
pub fn create_index(text: &str) -> Result<CreateIndex, Fault> {
    let file = parse(text).map_err(|fault| {
        let blank = text
            .get(..fault.start)
            .unwrap_or_default()
            .trim()
            .is_empty();
        if blank {
            Fault::whole(text, "not one CREATE INDEX statement")
        } else {
            fault
        }
    })?;
    let mut statements = file.stmts();
    let (Some(ast::Stmt::CreateIndex(statement)), None) = (statements.next(), statements.next())
    else {
        return Err(Fault::whole(text, "not one CREATE INDEX statement"));
    };
    read(&statement).map_err(|message| {
        let range = statement.syntax().text_range();
        Fault {
            message,
            start: range.start().into(),
            end: range.end().into(),
        }
    })
}

/// Checks that a text is one SQL expression and nothing more, so that it can stand between parentheses.
///
/// # Errors
/// The first fault, placed in `text`.
pub fn single_expression(text: &str) -> Result<(), Fault> {
    expression(text).map(|_| ())
}

/// Reads a text that is one SQL expression and nothing more; gives it without the blanks and comments around it.
///
/// # Errors
/// The first fault, placed in `text`.
pub fn expression(text: &str) -> Result<String, Fault> {
    const BEFORE: &str = "select (";
    // The line break ends a comment at the end of the text.
    let wrapped = format!("{BEFORE}{text}\n)");
    let shift = |fault: Fault| {
        let start = fault.start.saturating_sub(BEFORE.len()).min(text.len());
        let ended = text.get(start..).is_none_or(|rest| rest.trim().is_empty());
        Fault {
            message: match fault.message.as_str() {
                "expected `,` or `)`" if ended => "a closing parenthesis is missing".to_owned(),
                "expected `,` or `)`" => "this is not part of the expression".to_owned(),
                other if ended => other.replace("found `)`", "found the end"),
                _ => fault.message,
            },
            start,
            end: fault.end.saturating_sub(BEFORE.len()).min(text.len()),
        }
    };
    let file = parse(&wrapped).map_err(shift)?;
    let mut statements = file.stmts();
    let (Some(ast::Stmt::Select(select)), None) = (statements.next(), statements.next()) else {
        return Err(Fault::whole(text, "not one SQL expression"));
    };
    // The parenthesis that was opened first must be the one that is closed last.
    let whole = parenthesised(select.syntax())
        .filter(|node| usize::from(node.text_range().start()) == BEFORE.len() - 1);
    match whole {
        Some(node) if usize::from(node.text_range().end()) == wrapped.len() => {
            if node
                .descendants()
                .any(|child| ast::Select::can_cast(child.kind()))
            {
                return Err(Fault::whole(text, "an index cannot hold a subquery"));
            }
            Ok(between(&node))
        }
        _ => Err(Fault::whole(text, "not one SQL expression")),
    }
}

/// The first expression in parentheses below a node.
pub(super) fn parenthesised(node: &SyntaxNode) -> Option<SyntaxNode> {
    node.descendants()
        .find(|node| node.kind() == SyntaxKind::PAREN_EXPR)
}

/// What stands between the parentheses of a node, without the blanks and comments around it.
fn between(node: &SyntaxNode) -> String {
    let blank = |kind: SyntaxKind| matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT);
    let mut parts: Vec<_> = node
        .children_with_tokens()
        .filter(|part| !matches!(part.kind(), SyntaxKind::L_PAREN | SyntaxKind::R_PAREN))
        .skip_while(|part| blank(part.kind()))
        .collect();
    while parts.last().is_some_and(|part| blank(part.kind())) {
        parts.pop();
    }
    parts.iter().map(ToString::to_string).collect()
}

/// Reads the name of an operator class with its options, as in SQL: `gist_trgm_ops(siglen = 32)`.
///
/// # Errors
/// Says what is wrong with it.
pub fn operator_class(text: &str) -> Result<(ObjectName, BTreeMap<String, String>), String> {
    let mut quoted = false;
    let bracket = text.find(|c| {
        if c == '"' {
            quoted = !quoted;
        }
        c == '(' && !quoted
    });
    let Some(bracket) = bracket else {
        return Ok((name_parts(text.trim())?, BTreeMap::new()));
    };
    let (name, bracketed) = text.split_at(bracket);
    let name = name_parts(name.trim())?;
    let wrong =
        || format!("`{text}` is not an operator class with options; write `name(option = value)`");
    let read =
        create_index(&format!("create index i on t (c x {bracketed}\n)")).map_err(|_| wrong())?;
    match read.spec.keys.as_slice() {
        [key] if !key.opclass_options.is_empty() && bracketed.trim_end().ends_with(')') => {
            Ok((name, key.opclass_options.clone()))
        }
        _ => Err(wrong()),
    }
}

pub(super) fn parse(text: &str) -> Result<SourceFile, Fault> {
    if let Some(start) = too_deep(text) {
        return Err(Fault {
            message: "this nests deeper, or is a longer chain of operators, than dbops reads"
                .to_owned(),
            start,
            end: start,
        });
    }
    let parse = SourceFile::parse(text);
    match parse.errors().first() {
        None => Ok(parse.tree()),
        Some(error) => {
            let start = usize::from(error.range().start());
            let rest = text.get(start..).unwrap_or_default();
            // What is amiss is what comes next, not the blank before it.
            let blank = match rest.trim_start() {
                "" => 0,
                next => rest.len() - next.len(),
            };
            Err(Fault {
                message: worded(error.message()),
                start: start + blank,
                end: usize::from(error.range().end()).max(start + blank),
            })
        }
    }
}

/// The parser's message in the words of a person who writes SQL.
fn worded(message: &str) -> String {
    let words: Vec<String> = message
        .trim_end_matches('.')
        .split(' ')
        .map(|word| {
            let (bare, comma) = match word.strip_suffix(',') {
                Some(bare) => (bare, ","),
                None => (word, ""),
            };
            let plain = match bare {
                "L_PAREN" => "`(`",
                "R_PAREN" => "`)`",
                "COMMA" => "`,` or `)`",
                "SEMICOLON" => "`;`",
                "EOF" => "the end",
                "IDENT" => "a name",
                "command" => "CREATE INDEX",
                other => other.strip_suffix("_KW").unwrap_or(other),
            };
            format!("{plain}{comma}")
        })
        .collect();
    let text = words.join(" ");
    if let Some(rest) = text.strip_prefix("expected CREATE INDEX, found ") {
        return format!("{rest} is not part of the statement").replacen("a name", "this", 1);
    }
    match text.strip_prefix(|c: char| c.is_ascii_uppercase()) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
            let first = text.chars().next().unwrap_or_default().to_ascii_lowercase();
            format!("{first}{rest}")
        }
        _ => text,
    }
}

pub(super) fn read(statement: &ast::CreateIndex) -> Result<CreateIndex, String> {
    let relation = statement
        .table_relation_name()
        .ok_or("the statement names no table")?;
    let table_text = relation
        .table_name_ref()
        .ok_or("the statement names no table")?
        .syntax()
        .text()
        .to_string();
    let table = name_parts(&table_text)?;
    let index = statement
        .index()
        .map(|index| name_parts(&index.syntax().text().to_string()))
        .transpose()?;
    let keys = statement
        .partition_item_list()
        .ok_or("the statement names no column")?
        .partition_items()
        .map(|item| key(&item))
        .collect::<Result<Vec<_>, _>>()?;
    let include = match statement.index_include_clause() {
        None => Vec::new(),
        Some(clause) => clause
            .partition_item_list()
            .into_iter()
            .flat_map(|list| list.partition_items().collect::<Vec<_>>())
            .map(|item| match key(&item)?.target {
                KeyTarget::Column(name) => Ok(name),
                KeyTarget::Expression(text) => {
                    Err(format!("INCLUDE takes columns, not expressions: {text}"))
                }
            })
            .collect::<Result<Vec<_>, _>>()?,
    };
    let spec = IndexSpec {
        name: index.as_ref().map(|name| name.name.clone()),
        table: QualifiedName::new(
            table.schema.clone().unwrap_or_else(|| "public".to_owned()),
            table.name,
        ),
        method: statement
            .using_method()
            .and_then(|using| using.access_method_ref())
            .map(|method| identifier(&text_of(method.syntax())))
            .transpose()?
            .unwrap_or_else(|| DEFAULT_METHOD.to_owned()),
        unique: has_token(statement.syntax(), SyntaxKind::UNIQUE_KW),
        nulls_not_distinct: matches!(
            statement.nulls_distinct_option(),
            Some(ast::NullsDistinctOption::NullsNotDistinct(_))
        ),
        keys,
        include,
        predicate: statement
            .where_clause()
            .and_then(|clause| clause.expr())
            .map(|expr| stripped(&expr)),
        with: statement
            .with_params()
            .and_then(|with| with.attribute_list())
            .map(|list| options(&list))
            .transpose()?
            .unwrap_or_default(),
        tablespace: statement
            .tablespace_clause()
            .and_then(|clause| clause.tablespace_ref())
            .map(|tablespace| identifier(&text_of(tablespace.syntax())))
            .transpose()?,
    };
    Ok(CreateIndex {
        name_schema: index.and_then(|name| name.schema),
        table_without_schema: table.schema.is_none(),
        concurrently: statement.concurrently_token().is_some(),
        if_not_exists: statement.if_not_exists().is_some(),
        only: relation.only_token().is_some(),
        spec,
    })
}

fn key(item: &ast::PartitionItem) -> Result<KeySpec, String> {
    let (mut expr, mut collate) = match item.collate() {
        Some(clause) => taken_apart(&clause)?,
        None => (item.expr().ok_or("an empty key column")?, None),
    };
    // As the server does: parentheses and a COLLATE around the whole key are the key column's own.
    while let ast::Expr::ParenExpr(paren) = &expr {
        if let Some(clause) = paren.syntax().children().find_map(ast::Collate::cast) {
            let (inner, name) = taken_apart(&clause)?;
            collate = collate.or(name);
            expr = inner;
        } else if let Some(inner) = paren.expr() {
            expr = inner;
        } else {
            break;
        }
    }
    let target = match &expr {
        ast::Expr::NameRef(name) => KeyTarget::Column(identifier(&text_of(name.syntax()))?),
        other => KeyTarget::Expression(text_of(other.syntax())),
    };
    let desc = matches!(item.sort_order(), Some(ast::SortOrder::SortDesc(_)));
    if matches!(item.sort_order(), Some(ast::SortOrder::SortUsing(_))) {
        return Err("ORDER BY … USING is not for indexes".to_owned());
    }
    Ok(KeySpec {
        target,
        collate,
        opclass: item
            .op_class_ref()
            .map(|name| name_parts(&text_of(name.syntax())))
            .transpose()?,
        opclass_options: item
            .attribute_list()
            .map(|list| options(&list))
            .transpose()?
            .unwrap_or_default(),
        desc,
        nulls_first: match item.nulls_order() {
            Some(ast::NullsOrder::NullsFirst(_)) => true,
            Some(ast::NullsOrder::NullsLast(_)) => false,
            None => desc,
        },
    })
}

/// Takes `expression COLLATE name` apart.
fn taken_apart(clause: &ast::Collate) -> Result<(ast::Expr, Option<ObjectName>), String> {
    let inner = clause
        .syntax()
        .children()
        .find_map(ast::Expr::cast)
        .ok_or("COLLATE without an expression")?;
    let name = clause
        .collation_ref()
        .map(|name| name_parts(&text_of(name.syntax())))
        .transpose()?;
    Ok((inner, name))
}

/// The text of an expression without the parentheses around all of it.
fn stripped(expr: &ast::Expr) -> String {
    match expr {
        ast::Expr::ParenExpr(paren) => match paren.expr() {
            Some(inner) => stripped(&inner),
            None => text_of(expr.syntax()),
        },
        other => text_of(other.syntax()),
    }
}

fn options(list: &ast::AttributeList) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for option in list.attribute_options() {
        let name = option.name().ok_or("a storage parameter without a name")?;
        let name = identifier(&text_of(name.syntax()))?;
        let value = match option.attribute_value() {
            // A parameter alone means true.
            None => "true".to_owned(),
            Some(value) => literal(&text_of(value.syntax())),
        };
        if found.insert(name.clone(), value).is_some() {
            return Err(format!("storage parameter `{name}` is given twice"));
        }
    }
    Ok(found)
}

/// `'90'`, `E'90'` and `90` are the same value.
fn literal(text: &str) -> String {
    if text.ends_with('\'') {
        string_value(text)
    } else {
        text.to_owned()
    }
}

fn text_of(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_owned()
}

fn has_token(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens()
        .any(|element| element.as_token().is_some_and(|token| token.kind() == kind))
}

fn identifier(text: &str) -> Result<String, String> {
    let name = name_parts(text)?;
    match name.schema {
        None => Ok(name.name),
        Some(_) => Err(format!("`{text}` has too many parts")),
    }
}

fn name_parts(text: &str) -> Result<ObjectName, String> {
    let (schema, name) = crate::ident::split_name(text)?;
    Ok(ObjectName { schema, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Build;

    fn spec(sql: &str) -> IndexSpec {
        match create_index(sql) {
            Ok(found) => found.spec,
            Err(fault) => panic!("{sql}: {fault:?}"),
        }
    }

    #[test]
    fn every_clause_is_read() {
        let found = create_index(
            r#"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Idx" ON ONLY app."T" USING gist
               ("colA" COLLATE "de-x-icu" public.gist_trgm_ops (siglen='32') DESC NULLS LAST, lower(b), (a + 1) DESC, ((c)))
               INCLUDE (d, "E") NULLS NOT DISTINCT WITH (fillfactor=90, fastupdate = 'off') TABLESPACE fast WHERE (active = true)"#,
        )
        .unwrap();
        assert!(found.concurrently && found.if_not_exists && found.only);
        let spec = found.spec;
        assert_eq!(spec.name.as_deref(), Some("Idx"));
        assert_eq!(spec.table, QualifiedName::new("app", "T"));
        assert_eq!(spec.method, "gist");
        assert!(spec.unique && spec.nulls_not_distinct);
        assert_eq!(spec.include, ["d", "E"]);
        assert_eq!(spec.predicate.as_deref(), Some("active = true"));
        assert_eq!(spec.tablespace.as_deref(), Some("fast"));
        assert_eq!(spec.with["fillfactor"], "90");
        assert_eq!(spec.with["fastupdate"], "off");
        let targets: Vec<&KeyTarget> = spec.keys.iter().map(|key| &key.target).collect();
        assert_eq!(
            targets,
            [
                &KeyTarget::Column("colA".to_owned()),
                &KeyTarget::Expression("lower(b)".to_owned()),
                &KeyTarget::Expression("a + 1".to_owned()),
                &KeyTarget::Column("c".to_owned()),
            ]
        );
        let first = &spec.keys[0];
        assert_eq!(first.collate.as_ref().unwrap().name, "de-x-icu");
        assert_eq!(
            first.opclass.as_ref().unwrap().to_string(),
            "public.gist_trgm_ops"
        );
        assert_eq!(first.opclass_options["siglen"], "32");
        assert!(first.desc && !first.nulls_first);
        assert!(spec.keys[2].desc && spec.keys[2].nulls_first);
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for sql in [
            "create index i on t (a)",
            "create index i on s.t (a desc nulls last, b nulls first) where a > 1 and b is null",
            r#"create unique index "I" on "T" (lower("colA") text_pattern_ops, (b ->> 'x')) include (c) with (fillfactor = 70)"#,
            "create index i on t using gin (j jsonb_path_ops) with (fastupdate)",
            r#"create index i on t ((a || b) collate "C", c collate pg_catalog."de_DE")"#,
        ] {
            let first = spec(sql);
            let written = first.sql(
                Build::Concurrently,
                &first.table,
                first.name.as_deref().unwrap(),
            );
            assert_eq!(spec(&written), first, "{sql}\n{written}");
        }
    }

    #[test]
    fn a_collation_around_the_whole_key_is_the_keys_own() {
        let found = spec(r#"create index i on t (((lower(a) collate "C")), (b collate "C"))"#);
        assert_eq!(
            found.keys[0].target,
            KeyTarget::Expression("lower(a)".to_owned())
        );
        assert_eq!(found.keys[0].collate.as_ref().unwrap().name, "C");
        assert_eq!(found.keys[1].target, KeyTarget::Column("b".to_owned()));
    }

    #[test]
    fn faults_are_placed() {
        for sql in [
            "create table t ()",
            "create index i on t (a); drop table t",
            "create index on t (",
            "",
        ] {
            assert!(create_index(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn an_expression_is_given_without_what_stands_around_it() {
        for (text, read) in [
            ("  lower(a) -- note", "lower(a)"),
            ("/* why */ a +\n b", "a +\n b"),
            ("((a))", "((a))"),
            (r#"a collate "C""#, r#"a collate "C""#),
        ] {
            assert_eq!(expression(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn operator_classes_are_read_with_their_options() {
        let options =
            |text| operator_class(text).map(|(name, options)| (name.to_string(), options));
        assert_eq!(options("jsonb_path_ops").unwrap().0, "jsonb_path_ops");
        let (name, found) = options(r#" "My".Gist_trgm_ops ( siglen = '32' ) "#).unwrap();
        assert_eq!(
            (name.as_str(), found["siglen"].as_str()),
            (r#""My".gist_trgm_ops"#, "32")
        );
        for bad in [
            "",
            "a b",
            "text_ops desc",
            "a(",
            "a()",
            "a(b = 1) desc",
            "a(b = 1), (c",
            "a(x=1) nulls last",
        ] {
            assert!(operator_class(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_expression_cannot_leave_its_parentheses() {
        for good in [
            "lower(a)",
            "a + (b)",
            "a -- note",
            "(a) || (b)",
            "a in (1, 2)",
        ] {
            assert_eq!(single_expression(good), Ok(()), "{good}");
        }
        for bad in [
            "a) from t; drop table t; select (1",
            "a), (b",
            "a, b",
            "",
            "a +",
            "(a",
            "select 1",
        ] {
            assert!(single_expression(bad).is_err(), "{bad}");
        }
    }
}

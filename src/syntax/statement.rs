//! What SELECT, UPDATE and DELETE ask of the columns of tables: the conditions that an index can serve.

use squawk_syntax::ast::{self, AstNode, BinOp};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::create_index::{Fault, parse};
use super::index_spec::{KeyTarget, ObjectName};

/// A statement read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As it was written, without the semicolon.
    pub text: String,
    /// The highest `$n` in it; 0: none.
    pub parameters: usize,
    /// The query and the queries inside it.
    pub queries: Vec<Query>,
}

/// One SELECT, UPDATE or DELETE, those inside it left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Tables it names, in order.
    pub relations: Vec<Relation>,
    /// Conditions that must all hold, and how the result is sorted.
    pub uses: Vec<ColumnUse>,
    /// Whether everything it is sorted by is a column or expression that was understood.
    pub sorted: bool,
}

/// A table as a query names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name.
    pub name: ObjectName,
    /// Its alias.
    pub alias: Option<String>,
}

/// One condition on, or sort by, a column or an expression of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Table name or alias that was written before the column.
    pub qualifier: Option<String>,
    /// The column; of an expression the one that it is made of.
    pub column: String,
    /// The column or the expression, columns in it without their tables.
    pub target: KeyTarget,
    /// What is asked of it.
    pub how: How,
}

/// What is asked of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It equals a value.
    Equal,
    /// It is one of several values, or NULL: an index finds the rows, but not in the order of its next column.
    Among,
    /// It equals something of another table.
    Join,
    /// It lies above, below or between values.
    Range,
    /// The result is sorted by it.
    Sort {
        /// Whether descending.
        desc: bool,
        /// Whether NULLs come first.
        nulls_first: bool,
    },
}

/// Reads statements separated by semicolons.
///
/// # Errors
/// The first fault: what the grammar refuses, or a statement that is no SELECT, UPDATE or DELETE.
pub fn statements(text: &str) -> Result<Vec<Statement>, Fault> {
    parse(text)?
        .stmts()
        .map(|statement| {
            let node = statement.syntax();
            let known = matches!(
                statement,
                ast::Stmt::Select(_)
                    | ast::Stmt::Update(_)
                    | ast::Stmt::Delete(_)
                    | ast::Stmt::CompoundSelect(_)
                    | ast::Stmt::ParenSelect(_)
            );
            if !known {
                return Err(Fault {
                    message: "not a SELECT, UPDATE or DELETE".to_owned(),
                    start: node.text_range().start().into(),
                    end: node.text_range().end().into(),
                });
            }
            Ok(Statement {
                text: written(node).trim_end_matches(';').trim().to_owned(),
                parameters: parameters(node),
                queries: node
                    .descendants()
                    .filter(is_query)
                    .map(|query| read(&query))
                    .collect(),
            })
        })
        .collect()
}

fn is_query(node: &SyntaxNode) -> bool {
    matches!(
        node.kind(),
        SyntaxKind::SELECT | SyntaxKind::UPDATE | SyntaxKind::DELETE
    )
}

fn parameters(node: &SyntaxNode) -> usize {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| token.kind() == SyntaxKind::POSITIONAL_PARAM)
        .filter_map(|token| token.text().trim_start_matches('$').parse().ok())
        .max()
        .unwrap_or(0)
}

/// The nodes of one query, without those of the queries inside it.
fn own(query: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut found = Vec::new();
    let mut open: Vec<SyntaxNode> = query.children().collect();
    while let Some(node) = open.pop() {
        // A name of WITH is no table, and what is in the list of results is no condition.
        let inner = is_query(&node)
            || matches!(
                node.kind(),
                SyntaxKind::COMPOUND_SELECT | SyntaxKind::WITH_CLAUSE | SyntaxKind::SELECT_CLAUSE
            );
        if !inner {
            open.extend(node.children());
            found.push(node);
        }
    }
    found.sort_by_key(|node| node.text_range().start());
    found
}

fn read(query: &SyntaxNode) -> Query {
    let mut result = Query {
        sorted: true,
        ..Query::default()
    };
    let nodes = own(query);
    for node in &nodes {
        match node.kind() {
            SyntaxKind::RELATION_FROM_ITEM | SyntaxKind::RELATION_NAME => {
                result.relations.extend(relation(node, query));
            }
            SyntaxKind::WHERE_CLAUSE | SyntaxKind::ON_CLAUSE => {
                for expr in node.children().filter_map(ast::Expr::cast) {
                    conditions(&expr, &mut result.uses);
                }
            }
            SyntaxKind::SORT_BY if in_order_by(node, query) => match sort(node) {
                Some(one) => result.uses.push(one),
                None => result.sorted = false,
            },
            _ => {}
        }
    }
    result
}

/// A sort inside an aggregate or a window is not the query's.
fn in_order_by(node: &SyntaxNode, query: &SyntaxNode) -> bool {
    node.ancestors()
        .find(|above| above.kind() == SyntaxKind::ORDER_BY_CLAUSE)
        .and_then(|clause| clause.parent())
        .is_some_and(|parent| parent == *query)
}

fn relation(node: &SyntaxNode, query: &SyntaxNode) -> Option<Relation> {
    let reference = node
        .children()
        .find(|child| child.kind() == SyntaxKind::RELATION_NAME_REF)?;
    let (schema, name) = crate::ident::split_name(&written(&reference)).ok()?;
    // UPDATE and DELETE have their alias beside the name.
    let holder = if node.kind() == SyntaxKind::RELATION_NAME {
        query
    } else {
        node
    };
    let alias = holder
        .children()
        .filter(|child| {
            matches!(
                child.kind(),
                SyntaxKind::FROM_ALIAS | SyntaxKind::OPTIONAL_AS_ALIAS
            )
        })
        .find_map(|alias| {
            let word = alias
                .descendants_with_tokens()
                .filter_map(|element| element.into_token())
                .filter(|token| !token.kind().is_trivia() && token.kind() != SyntaxKind::AS_KW)
                .map(|token| token.text().to_owned())
                .next()?;
            single(&word)
        });
    Some(Relation {
        name: ObjectName { schema, name },
        alias,
    })
}

/// Takes AND apart; what is below OR or NOT must not hold for every row and is left out.
fn conditions(expr: &ast::Expr, uses: &mut Vec<ColumnUse>) {
    match expr {
        ast::Expr::ParenExpr(paren) => {
            if let Some(inner) = paren.expr() {
                conditions(&inner, uses);
            }
        }
        ast::Expr::BinExpr(binary) => {
            let (Some(left), Some(right)) = (binary.lhs(), binary.rhs()) else {
                return;
            };
            let how = match binary.op() {
                Some(BinOp::And(_)) => {
                    conditions(&left, uses);
                    conditions(&right, uses);
                    return;
                }
                Some(BinOp::Eq(_)) if is_any(&right) => How::Among,
                Some(BinOp::In(_) | BinOp::Is(_)) => How::Among,
                Some(BinOp::Eq(_)) => How::Equal,
                Some(BinOp::Gteq(_) | BinOp::Lteq(_) | BinOp::LAngle(_) | BinOp::RAngle(_)) => {
                    How::Range
                }
                _ => return,
            };
            let (of_left, of_right) = (target(&left), target(&right));
            let joined = |how| match how {
                How::Equal | How::Among => How::Join,
                other => other,
            };
            match (of_left, of_right) {
                (Some(one), Some(other)) => {
                    uses.push(one.used(joined(how)));
                    uses.push(other.used(joined(how)));
                }
                // `is true` and `is distinct from` are no comparisons that an index has.
                (Some(one), None)
                    if !matches!(binary.op(), Some(BinOp::Is(_)))
                        || written(right.syntax()).eq_ignore_ascii_case("null") =>
                {
                    uses.push(one.used(how));
                }
                (None, Some(other))
                    if !matches!(binary.op(), Some(BinOp::In(_) | BinOp::Is(_))) =>
                {
                    uses.push(other.used(how));
                }
                _ => {}
            }
        }
        ast::Expr::BetweenExpr(between) if between.not_token().is_none() => {
            let first = between.syntax().children().find_map(ast::Expr::cast);
            if let Some(one) = first.as_ref().and_then(target) {
                uses.push(one.used(How::Range));
            }
        }
        _ => {}
    }
}

/// Whether it is `any (…)`.
fn is_any(expr: &ast::Expr) -> bool {
    let text = written(expr.syntax());
    let word = text.trim_start().get(..3);
    word.is_some_and(|word| word.eq_ignore_ascii_case("any"))
        && text
            .get(3..)
            .is_some_and(|rest| rest.trim_start().starts_with('('))
}

fn sort(node: &SyntaxNode) -> Option<ColumnUse> {
    let by = ast::SortBy::cast(node.clone())?;
    let desc = match by.sort_order() {
        Some(ast::SortOrder::SortDesc(_)) => true,
        Some(ast::SortOrder::SortUsing(_)) => return None,
        _ => false,
    };
    let nulls_first = match by.nulls_order() {
        Some(ast::NullsOrder::NullsFirst(_)) => true,
        Some(ast::NullsOrder::NullsLast(_)) => false,
        None => desc,
    };
    Some(target(&by.expr()?)?.used(How::Sort { desc, nulls_first }))
}

struct Target {
    qualifier: Option<String>,
    column: String,
    target: KeyTarget,
}

impl Target {
    fn used(self, how: How) -> ColumnUse {
        ColumnUse {
            qualifier: self.qualifier,
            column: self.column,
            target: self.target,
            how,
        }
    }
}

/// A column, or a function call on one column and literals.
fn target(expr: &ast::Expr) -> Option<Target> {
    match expr {
        ast::Expr::NameRef(_) | ast::Expr::FieldExpr(_) => {
            let (qualifier, column) = column(expr)?;
            Some(Target {
                qualifier,
                target: KeyTarget::Column(column.clone()),
                column,
            })
        }
        ast::Expr::ParenExpr(paren) => target(&paren.expr()?),
        ast::Expr::CallExpr(call) => of_call(call.syntax()),
        _ => None,
    }
}

fn of_call(call: &SyntaxNode) -> Option<Target> {
    // Anything with a query, a parameter or `any (…)` in it is no expression of an index.
    let function = call.children().next()?;
    let name = function.kind() == SyntaxKind::NAME_REF || function.kind() == SyntaxKind::FIELD_EXPR;
    let foreign = call.descendants().any(|node| is_query(&node))
        || call
            .descendants_with_tokens()
            .any(|element| element.kind() == SyntaxKind::POSITIONAL_PARAM);
    if !name || foreign {
        return None;
    }
    let list = call
        .children()
        .find(|child| child.kind() == SyntaxKind::ARG_LIST)?;
    let mut found: Vec<(Option<String>, String)> = Vec::new();
    let mut skipped = Vec::new();
    let mut open: Vec<SyntaxNode> = list.children().collect();
    while let Some(node) = open.pop() {
        match ast::Expr::cast(node.clone()) {
            Some(expr @ (ast::Expr::NameRef(_) | ast::Expr::FieldExpr(_))) => {
                found.push(column(&expr)?);
                if let ast::Expr::FieldExpr(field) = &expr {
                    skipped.push((
                        node.text_range().start(),
                        field.field()?.syntax().text_range().start(),
                    ));
                }
            }
            // The name of an inner function is no column.
            Some(ast::Expr::CallExpr(inner)) => {
                let arguments = inner
                    .syntax()
                    .children()
                    .filter(|child| child.kind() == SyntaxKind::ARG_LIST);
                open.extend(arguments.flat_map(|list| list.children().collect::<Vec<_>>()));
            }
            _ => open.extend(node.children()),
        }
    }
    found.dedup();
    let [(qualifier, column)] = found.as_slice() else {
        return None;
    };
    let text: String = call
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| {
            let at = token.text_range().start();
            !skipped.iter().any(|(from, to)| *from <= at && at < *to)
        })
        .map(|token| token.text().to_owned())
        .collect();
    Some(Target {
        qualifier: qualifier.clone(),
        column: column.clone(),
        target: KeyTarget::Expression(text),
    })
}

fn column(expr: &ast::Expr) -> Option<(Option<String>, String)> {
    match expr {
        ast::Expr::NameRef(name) => Some((None, single(&written(name.syntax()))?)),
        ast::Expr::FieldExpr(field) => {
            let name = single(&written(field.field()?.syntax()))?;
            // Of `schema.table.column` the table is enough.
            let qualifier = match field.base()? {
                ast::Expr::NameRef(base) => single(&written(base.syntax()))?,
                ast::Expr::FieldExpr(base) => single(&written(base.field()?.syntax()))?,
                _ => return None,
            };
            Some((Some(qualifier), name))
        }
        _ => None,
    }
}

fn single(text: &str) -> Option<String> {
    match crate::ident::split_name(text) {
        Ok((None, name)) => Some(name),
        _ => None,
    }
}

fn written(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Statement {
        match statements(sql) {
            Ok(found) if found.len() == 1 => found[0].clone(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    /// `qualifier.target how` of each use of the outermost query.
    fn uses(sql: &str) -> Vec<String> {
        one(sql).queries[0]
            .uses
            .iter()
            .map(|one| {
                let target = match &one.target {
                    KeyTarget::Column(name) | KeyTarget::Expression(name) => name,
                };
                let how = match one.how {
                    How::Equal => "=",
                    How::Among => "among",
                    How::Join => "join",
                    How::Range => "range",
                    How::Sort { desc: true, .. } => "desc",
                    How::Sort { .. } => "asc",
                };
                format!("{}.{target} {how}", one.qualifier.as_deref().unwrap_or(""))
            })
            .collect()
    }

    #[test]
    fn conditions_and_sorts_are_found() {
        let sql = r#"select o.id from app.orders o join "Cust" as c on c.id = o.cust_id
            where o.status = $1 and (o.at >= now() and o.n between 1 and 2) and c.z is null and 5 < o.m
              and o.k in ($2, 3) and lower(c.name) = 'x' and o.j = any($3)
              and (o.p = 1 or o.q = 2) and not o.r = 3 and o.s <> 4 and o.t is not null
            order by o.at desc, o.id limit 5"#;
        assert_eq!(
            uses(sql),
            [
                "c.id join",
                "o.cust_id join",
                "o.status =",
                "o.at range",
                "o.n range",
                "c.z among",
                "o.m range",
                "o.k among",
                "c.lower(name) =",
                "o.j among",
                "o.at desc",
                "o.id asc",
            ]
        );
        let read = one(sql);
        assert_eq!(read.parameters, 3);
        let relations: Vec<String> = read.queries[0]
            .relations
            .iter()
            .map(|one| format!("{} {}", one.name, one.alias.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(relations, ["app.orders o", "\"Cust\" c"]);
    }

    #[test]
    fn updates_deletes_and_inner_queries_are_read() {
        assert_eq!(
            uses("update t set a = 1 where x = 1 and y > 2"),
            [".x =", ".y range"]
        );
        assert_eq!(
            uses("delete from t as z using u where z.a = u.b"),
            ["z.a join", "u.b join"]
        );
        let read = one("delete from t as z using u where z.a = u.b");
        assert_eq!(read.queries[0].relations[0].alias.as_deref(), Some("z"));
        let read = one("select * from a where x in (select y from b where z = 1)");
        assert_eq!(read.queries.len(), 2);
        assert_eq!(read.queries[1].relations[0].name.name, "b");
        assert_eq!(read.queries[1].uses.len(), 1);
    }

    #[test]
    fn other_statements_are_refused() {
        for sql in [
            "insert into t values (1)",
            "drop table t",
            "select from where",
            "truncate t",
        ] {
            assert!(statements(sql).is_err(), "{sql}");
        }
        assert_eq!(statements("select 1; select 2;").unwrap().len(), 2);
    }
}

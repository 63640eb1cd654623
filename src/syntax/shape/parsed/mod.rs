//! Reads a statement from its syntax tree: what the grammar takes.
//!
//! Lists that a text can make long (AND, UNION, joins) are levels of the tree; they are walked without recursion.

mod conditions;
mod from;
mod writes;

use std::collections::HashSet;

use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};

use super::build::{Build, MOST_DEPTH, Place, Scope};
use super::{Shape, StatementKind};
use crate::syntax::items::folded;

/// The statement of a text that holds one.
pub(super) fn only_statement(file: &SourceFile) -> Option<SyntaxNode> {
    let mut statements = file.stmts();
    let first = statements.next()?;
    statements.next().is_none().then(|| first.syntax().clone())
}

/// Reads a statement.
pub(super) fn read(statement: &SyntaxNode, shape: Shape) -> Shape {
    let (query, place) = match shape.kind {
        StatementKind::Transaction => return shape,
        StatementKind::Utility => match held_query(statement) {
            Some(query) => (query, Place::HELD),
            None => return shape,
        },
        _ => (statement.clone(), Place::OWN),
    };
    let mut walker = Walker {
        build: Build::new(shape),
        with: Vec::new(),
        done: HashSet::new(),
        derived: 0,
    };
    walker.statement(&query, place);
    walker.build.finish()
}

/// The query of EXPLAIN, DECLARE, CREATE … AS, PREPARE and COPY.
fn held_query(statement: &SyntaxNode) -> Option<SyntaxNode> {
    let first = statement.first_token()?;
    let holds = ["explain", "declare", "create", "prepare", "copy"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(first.text()));
    statement
        .descendants()
        .skip(1)
        .find(is_query)
        .filter(|_| holds)
}

struct Walker {
    build: Build,
    /// Names of WITH that can be seen.
    with: Vec<String>,
    /// Queries that have been read.
    done: HashSet<SyntaxNode>,
    /// How many items of FROM that are no tables have been read.
    derived: usize,
}

impl Walker {
    /// Reads one statement or query.
    fn statement(&mut self, node: &SyntaxNode, place: Place) {
        self.done.insert(node.clone());
        if place.depth > MOST_DEPTH {
            return;
        }
        let seen = self.with.len();
        if let Some(clause) = child(node, SyntaxKind::WITH_CLAUSE) {
            self.with_clause(&clause, place);
        }
        if node.kind() == SyntaxKind::PAREN_SELECT {
            // `(select …) limit 1`
            if let Some(inner) = node.children().find(is_query) {
                self.statement(&inner, place);
            }
        } else if node.kind() == SyntaxKind::COMPOUND_SELECT {
            self.set_operation(node, place);
        }
        self.build.scopes.push(Scope::default());
        match node.kind() {
            SyntaxKind::INSERT => self.insert(node, place),
            SyntaxKind::UPDATE | SyntaxKind::DELETE | SyntaxKind::MERGE => self.change(node, place),
            _ => self.select(node, place),
        }
        self.sweep(node, place);
        self.build.scopes.pop();
        self.with.truncate(seen);
    }

    /// Without RECURSIVE a query sees the names before its own alone: `with t as (select from t)` reads the table.
    fn with_clause(&mut self, clause: &SyntaxNode, place: Place) {
        let tables = || {
            clause
                .children()
                .filter(|node| node.kind() == SyntaxKind::WITH_TABLE)
        };
        let name = |table: &SyntaxNode| child(table, SyntaxKind::CTE_NAME).as_ref().and_then(word);
        let recursive = has_token(clause, SyntaxKind::RECURSIVE_KW);
        if recursive {
            self.with.extend(tables().filter_map(|table| name(&table)));
        }
        for table in tables() {
            if let Some(query) = table.children().find(is_query) {
                self.statement(&query, place.inner());
            }
            if !recursive {
                self.with.extend(name(&table));
            }
        }
    }

    /// UNION and its like, one level however many there are; no condition of a part is one of the statement.
    fn set_operation(&mut self, node: &SyntaxNode, place: Place) {
        self.build.other(place);
        let mut open: Vec<SyntaxNode> = vec![node.clone()];
        while let Some(part) = open.pop() {
            let nested = matches!(
                part.kind(),
                SyntaxKind::COMPOUND_SELECT | SyntaxKind::PAREN_EXPR
            );
            if nested && (part == *node || child(&part, SyntaxKind::WITH_CLAUSE).is_none()) {
                self.done.insert(part.clone());
                let parts: Vec<SyntaxNode> = part
                    .children()
                    .filter(|part| is_query(part) || part.kind() == SyntaxKind::PAREN_EXPR)
                    .collect();
                open.extend(parts.into_iter().rev());
            } else {
                self.statement(&part, place.inner());
            }
        }
    }

    /// SELECT, VALUES, TABLE, and what follows a query in parentheses or the last of UNION.
    fn select(&mut self, node: &SyntaxNode, place: Place) {
        if node.kind() == SyntaxKind::TABLE
            && let Some(table) = child(node, SyntaxKind::RELATION_NAME)
        {
            self.relation(&table, None, place);
        }
        self.clauses(node, place);
    }

    /// Reads the clauses that all statements share.
    fn clauses(&mut self, node: &SyntaxNode, place: Place) {
        if let Some(from) = child(node, SyntaxKind::FROM_CLAUSE) {
            // `select count(*) from (select …) x` asks what is in the parentheses.
            let through = place.own && child(node, SyntaxKind::WHERE_CLAUSE).is_none();
            self.table_list(&from, place, through);
        }
        for clause in node.children() {
            match clause.kind() {
                SyntaxKind::SELECT_CLAUSE => self.results(&clause, place),
                SyntaxKind::WHERE_CLAUSE => self.condition_of(&clause, place),
                SyntaxKind::WHERE_CURRENT_OF | SyntaxKind::HAVING_CLAUSE => self.build.other(place),
                _ if place.own => self.tail(&clause, place),
                _ => {}
            }
        }
    }

    /// Sorts, limits and locks of the statement.
    fn tail(&mut self, clause: &SyntaxNode, place: Place) {
        match clause.kind() {
            SyntaxKind::LIMIT_CLAUSE | SyntaxKind::FETCH_CLAUSE => self.build.shape.limit = true,
            SyntaxKind::OFFSET_CLAUSE => self.build.shape.offset = true,
            SyntaxKind::GROUP_BY_CLAUSE if place.depth == 0 => self.build.shape.grouped = true,
            SyntaxKind::ORDER_BY_CLAUSE => {
                let list = child(clause, SyntaxKind::SORT_BY_LIST);
                for sort in list.iter().flat_map(SyntaxNode::children) {
                    let column = sort.first_child().and_then(|expr| self.column(&expr));
                    self.build.shape.sorts.extend(column);
                }
            }
            SyntaxKind::LOCKING_CLAUSE => {
                self.build.shape.locks_rows = true;
                self.build.shape.skips_locked |= child(clause, SyntaxKind::SKIP_LOCKED).is_some();
            }
            SyntaxKind::RETURNING_CLAUSE => self.build.shape.returning = true,
            _ => {}
        }
    }

    /// The list of results: DISTINCT and aggregates.
    fn results(&mut self, clause: &SyntaxNode, place: Place) {
        if place.depth > 0 || !place.own {
            return;
        }
        self.build.shape.distinct = has_token(clause, SyntaxKind::DISTINCT_KW)
            || child(clause, SyntaxKind::DISTINCT_CLAUSE).is_some();
        for call in outside_queries(clause).filter(|node| node.kind() == SyntaxKind::CALL_EXPR) {
            let function = call
                .first_child()
                .and_then(|function| match function.kind() {
                    SyntaxKind::FIELD_EXPR => function.last_token(),
                    _ => function.first_token(),
                });
            let name = function.map(|token| token.text().to_ascii_lowercase());
            let windowed = child(&call, SyntaxKind::OVER_CLAUSE).is_some();
            if let Some(name) = name
                && !windowed
                && super::aggregates::is_aggregate(&name)
                && !self.build.shape.aggregates.contains(&name)
            {
                self.build.shape.aggregates.push(name);
            }
        }
    }

    /// Reads queries inside it that no clause has read.
    fn sweep(&mut self, node: &SyntaxNode, place: Place) {
        let mut open = children_reversed(node);
        while let Some(inner) = open.pop() {
            if is_query(&inner) {
                // The VALUES of an INSERT are its own.
                let own = inner.kind() == SyntaxKind::VALUES && node.kind() == SyntaxKind::INSERT;
                if own && inner.parent().as_ref() == Some(node) {
                    open.extend(children_reversed(&inner));
                } else if !self.done.contains(&inner) {
                    self.statement(&inner, place.inner());
                }
            } else if inner.kind() != SyntaxKind::WITH_CLAUSE {
                open.extend(children_reversed(&inner));
            }
        }
    }
}

fn is_query(node: &SyntaxNode) -> bool {
    matches!(
        node.kind(),
        SyntaxKind::SELECT
            | SyntaxKind::SELECT_INTO
            | SyntaxKind::VALUES
            | SyntaxKind::TABLE
            | SyntaxKind::COMPOUND_SELECT
            | SyntaxKind::PAREN_SELECT
            | SyntaxKind::INSERT
            | SyntaxKind::UPDATE
            | SyntaxKind::DELETE
            | SyntaxKind::MERGE
    )
}

fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

fn children_reversed(node: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut children: Vec<SyntaxNode> = node.children().collect();
    children.reverse();
    children
}

/// The nodes below it in the order of the text, queries and what is in them left out.
fn outside_queries(node: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    let mut open = children_reversed(node);
    std::iter::from_fn(move || {
        loop {
            let next = open.pop()?;
            if !is_query(&next) {
                open.extend(children_reversed(&next));
                return Some(next);
            }
        }
    })
}

/// The tokens of a node itself, without space and comments.
fn tokens(node: &SyntaxNode) -> impl Iterator<Item = SyntaxToken> {
    node.children_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
}

fn has_token(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    tokens(node).any(|token| token.kind() == kind)
}

/// The name that a node is, as the server folds it.
fn word(node: &SyntaxNode) -> Option<String> {
    tokens(node).next().map(|token| folded(token.text()))
}

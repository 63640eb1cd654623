//! Tables, aliases and joins of FROM and USING.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{Walker, child, has_token, is_query, word};
use crate::syntax::shape::build::Place;
use crate::syntax::shape::{ColumnUse, TableUse};

/// How many tables of the query, and how many other items, had been read.
#[derive(Clone, Copy)]
struct Mark {
    tables: usize,
    derived: usize,
}

/// What is left to be read of one item of FROM.
enum Work {
    Item(SyntaxNode),
    /// The right side of a join, ON or USING behind it.
    Right(SyntaxNode),
    /// USING of a join whose right side began there.
    Using(SyntaxNode, Mark),
    On(SyntaxNode),
}

impl Walker {
    /// Reads the items of a clause. `through`: a lone query in parentheses counts as the statement itself.
    pub(super) fn table_list(&mut self, clause: &SyntaxNode, place: Place, through: bool) {
        let items: Vec<SyntaxNode> = clause.children().filter(is_item).collect();
        let lone = through
            && items.len() == 1
            && self
                .build
                .scopes
                .last()
                .is_none_or(|scope| scope.tables.is_empty() && !scope.derived);
        for item in &items {
            self.item(item, place, lone && item.kind() != SyntaxKind::JOIN_EXPR);
        }
    }

    fn item(&mut self, item: &SyntaxNode, place: Place, lone: bool) {
        let start = self.mark();
        let mut work = vec![Work::Item(item.clone())];
        while let Some(next) = work.pop() {
            match next {
                Work::Item(node) if node.kind() == SyntaxKind::JOIN_EXPR => {
                    let join = child(&node, SyntaxKind::JOIN);
                    work.extend(join.map(Work::Right));
                    work.extend(node.children().find(is_item).map(Work::Item));
                }
                Work::Item(node) => self.one(&node, place, lone),
                Work::Right(join) => {
                    let here = self.mark();
                    for clause in join.children() {
                        match clause.kind() {
                            SyntaxKind::ON_CLAUSE => work.push(Work::On(clause)),
                            SyntaxKind::JOIN_USING_CLAUSE => work.push(Work::Using(clause, here)),
                            _ => {}
                        }
                    }
                    work.extend(join.children().find(is_item).map(Work::Item));
                }
                Work::On(clause) => self.condition_of(&clause, place),
                Work::Using(clause, here) => self.using(&clause, start, here),
            }
        }
    }

    /// One item that is no join.
    fn one(&mut self, item: &SyntaxNode, place: Place, lone: bool) {
        match item.kind() {
            SyntaxKind::RELATION_FROM_ITEM => {
                let alias = child(item, SyntaxKind::FROM_ALIAS);
                self.relation(item, alias, place);
            }
            SyntaxKind::PAREN_FROM_ITEM | SyntaxKind::PAREN_EXPR => {
                let query = item.children().find(is_query);
                if let Some(query) = query {
                    self.not_a_table();
                    let inner = Place {
                        own: lone,
                        ..place.inner()
                    };
                    self.statement(&query, inner);
                } else if let Some(table) = only(item) {
                    self.relation(&table, child(item, SyntaxKind::FROM_ALIAS), place);
                } else if let Some(inner) = item.children().find(is_item) {
                    self.item(
                        &inner,
                        place,
                        lone && inner.kind() == SyntaxKind::PAREN_EXPR,
                    );
                }
            }
            _ => self.not_a_table(),
        }
    }

    fn not_a_table(&mut self) {
        self.derived += 1;
        self.build.derived();
    }

    /// A table by its name; one of WITH is none.
    pub(super) fn relation(&mut self, item: &SyntaxNode, alias: Option<SyntaxNode>, place: Place) {
        let Some((schema, name)) = name_of(item) else {
            return;
        };
        if schema.is_none() && self.with.contains(&name) {
            return self.not_a_table();
        }
        self.add(item, (schema, name), alias, place);
    }

    /// The table that a statement writes.
    pub(super) fn target(&mut self, item: &SyntaxNode, alias: Option<SyntaxNode>, place: Place) {
        if let Some(name) = name_of(item) {
            self.add(item, name, alias, place);
            if let Some(table) = self.build.shape.tables.last_mut() {
                table.written = true;
            }
        }
    }

    fn add(
        &mut self,
        item: &SyntaxNode,
        (schema, name): (Option<String>, String),
        alias: Option<SyntaxNode>,
        place: Place,
    ) {
        let alias = alias
            .and_then(|alias| child(&alias, SyntaxKind::TABLE_ALIAS))
            .and_then(|alias| word(&alias));
        let table = TableUse {
            schema,
            name,
            alias,
            written: false,
            depth: place.depth,
        };
        self.build.table(item.text_range().start().into(), table);
    }

    fn mark(&self) -> Mark {
        let scope = self.build.scopes.last();
        Mark {
            tables: scope.map_or(0, |scope| scope.tables.len()),
            derived: self.derived,
        }
    }

    /// The columns of JOIN … USING are in both sides: certain of a side that is one table.
    fn using(&mut self, clause: &SyntaxNode, start: Mark, right: Mark) {
        let end = self.mark();
        let single = |from: Mark, to: Mark| {
            let tables = &self.build.scopes.last()?.tables;
            match tables.get(from.tables..to.tables)? {
                [only] if from.derived == to.derived => Some(*only),
                _ => None,
            }
        };
        let (before, here) = (single(start, right), single(right, end));
        let columns = child(clause, SyntaxKind::COLUMN_REF_LIST);
        for column in columns.iter().flat_map(SyntaxNode::children) {
            if let Some(name) = word(&column) {
                let one = ColumnUse {
                    table: before,
                    name: name.clone(),
                };
                let other = ColumnUse { table: here, name };
                self.build.shape.joins.push((one, other));
            }
        }
    }
}

fn is_item(node: &SyntaxNode) -> bool {
    matches!(
        node.kind(),
        SyntaxKind::JOIN_EXPR
            | SyntaxKind::RELATION_FROM_ITEM
            | SyntaxKind::PAREN_FROM_ITEM
            | SyntaxKind::PAREN_EXPR
            | SyntaxKind::EXPR_FROM_ITEM
            | SyntaxKind::FUNCTION_FROM_ITEM
            | SyntaxKind::GRAPH_TABLE_FROM_ITEM
            | SyntaxKind::JSON_TABLE_FROM_ITEM
            | SyntaxKind::ROWS_FROM_ITEM
            | SyntaxKind::XML_TABLE_FROM_ITEM
    )
}

/// The table of `only (t)`, whose alias stands behind the parenthesis.
fn only(item: &SyntaxNode) -> Option<SyntaxNode> {
    let parenthesis = child(item, SyntaxKind::PAREN_EXPR)?;
    child(&parenthesis, SyntaxKind::RELATION_FROM_ITEM)
        .filter(|_| has_token(item, SyntaxKind::ONLY_KW))
}

/// Schema and name, as the server folds them.
fn name_of(item: &SyntaxNode) -> Option<(Option<String>, String)> {
    let mut parts: Vec<String> = item
        .descendants()
        .filter(|node| {
            node.kind() == SyntaxKind::RELATION_NAME_REF
                || node.kind() == SyntaxKind::TABLE_NAME_REF
        })
        .take(1)
        .flat_map(|name| name.descendants())
        .filter(|node| node.kind() == SyntaxKind::PATH_SEGMENT_REF)
        .filter_map(|part| word(&part))
        .collect();
    let name = parts.pop()?;
    Some((parts.pop(), name))
}

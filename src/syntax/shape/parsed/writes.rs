//! What INSERT, UPDATE, DELETE and MERGE write.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{Walker, child, is_query, word};
use crate::syntax::shape::build::Place;

impl Walker {
    pub(super) fn insert(&mut self, node: &SyntaxNode, place: Place) {
        let alias = child(node, SyntaxKind::REQUIRED_AS_ALIAS);
        if let Some(name) = child(node, SyntaxKind::RELATION_NAME_REF) {
            self.target(&name, alias, place);
        }
        for clause in node.children() {
            match clause.kind() {
                SyntaxKind::COLUMN_TARGET_LIST => self.set_columns(&clause, place),
                SyntaxKind::VALUES if place.depth == 0 => {
                    let rows = child(&clause, SyntaxKind::ROW_LIST);
                    let count = rows.iter().flat_map(SyntaxNode::children).count();
                    self.build.shape.value_rows = Some(count);
                }
                SyntaxKind::ON_CONFLICT_CLAUSE if place.own => self.build.shape.on_conflict = true,
                SyntaxKind::RETURNING_CLAUSE if place.own => self.build.shape.returning = true,
                // INSERT … SELECT is a query of its own.
                kind if kind != SyntaxKind::VALUES && is_query(&clause) => {
                    self.statement(&clause, place.inner());
                }
                _ => {}
            }
        }
    }

    /// UPDATE, DELETE and MERGE.
    pub(super) fn change(&mut self, node: &SyntaxNode, place: Place) {
        let alias = child(node, SyntaxKind::OPTIONAL_AS_ALIAS);
        let target = child(node, SyntaxKind::RELATION_NAME)
            .or_else(|| child(node, SyntaxKind::TABLE_RELATION_NAME));
        if let Some(name) = target {
            self.target(&name, alias, place);
        }
        for clause in node.children() {
            match clause.kind() {
                SyntaxKind::USING_CLAUSE => self.table_list(&clause, place, false),
                SyntaxKind::USING_ON_CLAUSE => {
                    self.table_list(&clause, place, false);
                    if let Some(on) = child(&clause, SyntaxKind::ON_CLAUSE) {
                        self.condition_of(&on, place);
                    }
                }
                SyntaxKind::SET_CLAUSE => {
                    let list = child(&clause, SyntaxKind::SET_COLUMN_LIST);
                    for set in list.iter().flat_map(SyntaxNode::children) {
                        self.set_columns(&set, place);
                        if let Some(several) = child(&set, SyntaxKind::COLUMN_TARGET_LIST) {
                            self.set_columns(&several, place);
                        }
                    }
                }
                _ => {}
            }
        }
        self.clauses(node, place);
    }

    /// The columns named right below a node.
    fn set_columns(&mut self, node: &SyntaxNode, place: Place) {
        if place.depth > 0 {
            return;
        }
        let names = node
            .children()
            .filter(|column| column.kind() == SyntaxKind::COLUMN_TARGET)
            .filter_map(|column| column.first_child().as_ref().and_then(word));
        self.build.shape.set_columns.extend(names);
    }
}

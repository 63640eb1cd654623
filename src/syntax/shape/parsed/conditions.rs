//! Conditions of WHERE and ON, and what is a column or a value in them.

use squawk_syntax::ast::{AstNode, BinExpr, BinOp, Expr};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{Walker, children_reversed, is_query, tokens, word};
use crate::syntax::items::folded;
use crate::syntax::shape::build::{Comparison, Place, Side};
use crate::syntax::shape::{ColumnUse, Values};

impl Walker {
    /// Takes the condition of a clause apart where AND joins it.
    pub(super) fn condition_of(&mut self, clause: &SyntaxNode, place: Place) {
        let mut open: Vec<SyntaxNode> = clause.first_child().into_iter().collect();
        while let Some(node) = open.pop() {
            let node = bare(node);
            let binary = BinExpr::cast(node.clone());
            match binary.as_ref().and_then(BinExpr::op) {
                Some(BinOp::And(_)) => open.extend(children_reversed(&node)),
                Some(BinOp::Or(_)) => self.build.other(place),
                // `where true` and `$1 = $2` say nothing.
                _ if is_value(&node) => {}
                Some(operator) => self.comparison(&node, &operator, place),
                None => self.other_form(&node, place),
            }
        }
    }

    fn comparison(&mut self, node: &SyntaxNode, operator: &BinOp, place: Place) {
        let comparison = match operator {
            BinOp::Eq(_) => Comparison::Equal,
            BinOp::In(_) => Comparison::In,
            BinOp::LAngle(_)
            | BinOp::RAngle(_)
            | BinOp::Lteq(_)
            | BinOp::Gteq(_)
            | BinOp::Like(_)
            | BinOp::Ilike(_)
            | BinOp::SimilarTo(_) => Comparison::Range,
            BinOp::CustomOp(operator) => Comparison::of(&written(operator.syntax())),
            BinOp::OperatorCall(operator) => Comparison::of(&sign(operator.syntax())),
            _ => Comparison::Other,
        };
        let binary = BinExpr::cast(node.clone());
        let side = |expr: Option<Expr>| expr.map(|expr| expr.syntax().clone());
        let (left, right) = binary.map_or((None, None), |binary| (binary.lhs(), binary.rhs()));
        let (Some(left), Some(right)) = (side(left), side(right)) else {
            return self.build.other(place);
        };
        let left = self.side(&left);
        let right = match comparison {
            Comparison::In => list(&right).map_or(Side::Other, Side::List),
            _ => self.side(&right),
        };
        self.build.compared(comparison, left, right, place);
    }

    /// BETWEEN, and what compares nothing.
    fn other_form(&mut self, node: &SyntaxNode, place: Place) {
        let plain = !tokens(node).any(|token| token.kind() == SyntaxKind::NOT_KW);
        let mut sides = node.children().filter(|side| Expr::can_cast(side.kind()));
        let target = sides.next();
        match target {
            Some(target) if node.kind() == SyntaxKind::BETWEEN_EXPR && plain => {
                let right = match sides.all(|side| is_value(&side)) {
                    true => Side::Value,
                    false => Side::Other,
                };
                let left = self.side(&target);
                self.build.compared(Comparison::Range, left, right, place);
            }
            _ => self.build.other(place),
        }
    }

    fn side(&self, node: &SyntaxNode) -> Side {
        if let Some(column) = self.column(node) {
            return Side::Column(column);
        }
        if is_value(node) {
            return Side::Value;
        }
        let any = bare(node.clone())
            .first_child()
            .filter(|call| matches!(call.kind(), SyntaxKind::ANY_FN | SyntaxKind::SOME_FN));
        let values = any.is_some_and(|any| {
            let mut inside = any.children();
            inside.next().is_some_and(|array| is_value(&array)) && inside.next().is_none()
        });
        match values {
            true => Side::Array,
            false => Side::Other,
        }
    }

    /// A column, a cast of it included.
    pub(super) fn column(&self, node: &SyntaxNode) -> Option<ColumnUse> {
        let mut node = bare(node.clone());
        while node.kind() == SyntaxKind::CAST_EXPR {
            let inner = node.first_child()?;
            node = bare(Expr::can_cast(inner.kind()).then_some(inner)?);
        }
        // `schema.table.column` from its end; `(row).field` is no column.
        let mut parts = Vec::new();
        while node.kind() == SyntaxKind::FIELD_EXPR {
            let mut names = node.children();
            let base = names.next()?;
            parts.push(names.next().as_ref().and_then(word)?);
            node = base;
        }
        if node.kind() != SyntaxKind::NAME_REF || is_constant(&node) {
            return None;
        }
        parts.push(word(&node)?);
        let mut parts = parts.into_iter();
        let name = parts.next()?;
        let (qualifier, schema) = (parts.next(), parts.next());
        Some(ColumnUse {
            table: self.build.table_of(qualifier.as_deref(), schema.as_deref()),
            name,
        })
    }
}

/// Takes parentheses off that are around an expression.
fn bare(mut node: SyntaxNode) -> SyntaxNode {
    while node.kind() == SyntaxKind::PAREN_EXPR
        && let Some(inner) = node.first_child()
        && !is_query(&inner)
    {
        node = inner;
    }
    node
}

/// Whether a name is one of the words that the server has values for, not a column.
fn is_constant(name: &SyntaxNode) -> bool {
    const WORDS: &[&str] = &[
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "system_user",
        "user",
    ];
    tokens(name).next().is_some_and(|token| {
        let text = token.text();
        !text.contains('"') && WORDS.contains(&folded(text).as_str())
    })
}

/// Whether nothing in it is a column or a query.
fn is_value(node: &SyntaxNode) -> bool {
    let mut open = vec![node.clone()];
    while let Some(next) = open.pop() {
        let column = match next.kind() {
            SyntaxKind::NAME_REF => !is_constant(&next),
            SyntaxKind::FIELD_EXPR
            | SyntaxKind::ANY_FN
            | SyntaxKind::ALL_FN
            | SyntaxKind::SOME_FN
            | SyntaxKind::EXISTS_FN => true,
            _ => is_query(&next),
        };
        if column {
            return false;
        }
        // The name of a function is no column.
        let named = next.kind() == SyntaxKind::CALL_EXPR
            && next.first_child().is_some_and(|name| {
                matches!(name.kind(), SyntaxKind::NAME_REF | SyntaxKind::FIELD_EXPR)
            });
        open.extend(next.children().skip(usize::from(named)));
    }
    true
}

/// The list behind IN, unless it is a query or has columns in it.
fn list(node: &SyntaxNode) -> Option<Values> {
    let listed = matches!(node.kind(), SyntaxKind::PAREN_EXPR | SyntaxKind::TUPLE_EXPR);
    let values = node.children().count();
    if !listed || values == 0 || !node.children().all(|value| is_value(&value)) {
        return None;
    }
    // `$1 /*, ... */`
    let folded = node
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .any(|token| token.kind() == SyntaxKind::COMMENT && token.text().contains(", ..."));
    Some(Values::List((!folded).then_some(values)))
}

/// What an operator is without space and comments.
fn written(node: &SyntaxNode) -> String {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
        .map(|token| token.text().to_owned())
        .collect()
}

/// The sign of `operator(schema.=)`.
fn sign(call: &SyntaxNode) -> String {
    let text = written(call);
    let inside = text.rsplit_once('(').map_or("", |(_, inside)| inside);
    let sign = inside.strip_suffix(')').unwrap_or(inside);
    sign.rsplit_once('.')
        .map_or(sign, |(_, sign)| sign)
        .to_owned()
}

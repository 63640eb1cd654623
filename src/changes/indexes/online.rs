//! A declared index on a table that is not partitioned: the cheapest change that leads there.

use super::Declared;
use super::alterations::{self, Heirloom};
use super::checks;
use super::compare::{Comparison, Part, compare};
use super::constraints;
use super::context::{Context, Entry, Live};
use super::drops;
use super::folds;
use super::guards::{bound, guarded};
use super::names;
use super::preconditions::{readable, unique};
use super::steps::{self, About};
use super::units::{Plans, Turn, Unit};
use crate::catalog::index_model::IndexedTable;
use crate::changes::changeset::Refusal;
use crate::ident::{QualifiedName, quote_ident};
use crate::plan_file::IndexConstraint;
use crate::syntax::KeyTarget;

type Planned<T> = Result<T, Box<Refusal>>;

/// Plans one declared index. An empty unit: it is as declared.
pub(super) fn unit(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
    plans: &mut Plans,
) -> Planned<Unit> {
    readable(context, declared, table)?;
    let mut work = Work {
        context,
        declared,
        table,
        entry: Entry::declared(declared),
        unit: Unit::new(Turn::First),
        built: names::new_name(&declared.name),
        old: names::old_name(&declared.name),
        consumed: None,
    };
    match context.live(&declared.name) {
        None => work.missing(plans)?,
        Some(live) if !live.index.valid => work.dead(live, plans)?,
        Some(live) => work.present(live, plans)?,
    }
    work.leftovers()?;
    Ok(work.unit)
}

/// The planning of one index.
struct Work<'a, 'c> {
    context: &'c Context<'a>,
    declared: &'c Declared,
    table: &'c IndexedTable,
    entry: Entry<'c>,
    unit: Unit,
    /// Name of a replacement while it is built, and of the replaced index until it is dropped.
    built: QualifiedName,
    old: QualifiedName,
    /// The leftover that was put to use.
    consumed: Option<QualifiedName>,
}

impl<'a, 'c> Work<'a, 'c> {
    /// An index that only dbops itself can have left under this name.
    fn own(&self, name: &QualifiedName) -> Option<&'c Live<'a>> {
        let live = self.context.live(name)?;
        let own = live.table.name == self.table.name
            && live.index.constraint.is_none()
            && live.index.parent.is_none()
            && !live.index.of_extension
            && !self.context.is_declared(name)
            && !self.context.is_absent(name)
            && (alterations::of_own_making(live)
                || (*name == self.built && self.is_finished(live)));
        own.then_some(live)
    }

    fn missing(&mut self, plans: &mut Plans) -> Planned<()> {
        if let Some((live, comparison)) = self.equivalent(plans) {
            return self.take_over(live, &comparison, plans);
        }
        self.constraint_possible()?;
        unique(
            self.context,
            self.declared,
            self.table,
            &self.declared.name,
            plans,
        )?;
        self.unit.turn(Turn::Plain);
        let name = self.declared.name.clone();
        let summary = format!("build {name} on {}", self.table.name);
        self.build(&name, summary);
        let own = Heirloom {
            comment: self
                .declared
                .comment
                .clone()
                .filter(|text| !text.is_empty()),
            statistics: self.declared.statistics.clone(),
            clustered: false,
        };
        self.after_build(own, plans)
    }

    fn build(&mut self, name: &QualifiedName, summary: String) {
        self.unit.then(steps::create(
            self.context,
            self.declared,
            self.table,
            name,
            summary,
        ));
    }

    /// What CREATE INDEX cannot say: comment and statistics targets; then the constraint.
    fn after_build(&mut self, said: Heirloom, plans: &mut Plans) -> Planned<()> {
        let rest = Comparison {
            comment: said.comment,
            statistics: said.statistics.into_iter().collect(),
            ..Comparison::default()
        };
        self.alter(None, &rest);
        self.constraint(None, plans)?;
        self.analyze();
        Ok(())
    }

    fn analyze(&mut self) {
        if steps::has_expression(&self.declared.spec) {
            self.unit.then(steps::analyze(
                self.declared,
                self.table,
                &self.declared.name,
            ));
        }
    }

    fn alter(&mut self, live: Option<&Live<'_>>, comparison: &Comparison) {
        if comparison.alters() {
            let about = live.map_or_else(
                || About::new(&self.declared.name, &self.table.name),
                |live| renamed(self.table, live, &self.declared.name),
            );
            self.unit
                .then(alterations::alter(&self.entry, about, comparison, None));
        }
    }

    /// An index that answers and enforces the same under a name that nobody declared.
    fn equivalent(&self, plans: &Plans) -> Option<(&'c Live<'a>, Comparison)> {
        let mut found: Vec<(&'c Live<'a>, Comparison)> = self
            .context
            .on(self.table)
            .filter(|live| {
                let index = live.index;
                index.valid
                    && index.live
                    && index.immediate
                    && !self.context.is_declared(&index.name)
                    && !plans.taken.contains(&index.name)
                    && !self
                        .context
                        .is_interim_of_other(&index.name, &self.declared.name)
            })
            .map(|live| {
                (
                    live,
                    compare(self.context, self.declared, live, Part::Whole),
                )
            })
            .filter(|(live, comparison)| {
                comparison.is_equivalent()
                    && (comparison.tablespace.is_none() || can_move(self.context))
                    && constraint_fits(self.declared, live)
            })
            .collect();
        // What an interrupted run built comes first, then what belongs to nothing else.
        found.sort_by_key(|(live, _)| {
            (
                live.index.name != self.built,
                live.index.constraint.is_some() || live.index.parent.is_some(),
                live.index.name.clone(),
            )
        });
        found.into_iter().next()
    }

    fn take_over(
        &mut self,
        live: &Live<'_>,
        comparison: &Comparison,
        plans: &mut Plans,
    ) -> Planned<()> {
        let index = live.index;
        plans.taken.insert(index.name.clone());
        self.consumed = Some(index.name.clone());
        let owner = match (&index.constraint, &index.parent) {
            (Some(constraint), _) => Some(format!("the constraint {}", constraint.name)),
            (None, Some(parent)) => Some(format!("the partitioned index {parent}")),
            (None, None) if index.of_extension => Some("an extension".to_owned()),
            (None, None) => None,
        };
        if let Some(owner) = owner {
            plans.notes.push(self.entry.note(
                "adopted",
                format!(
                    "{} of {owner} is what is declared as {}: nothing is built",
                    index.name, self.declared.name
                ),
            ));
            return Ok(());
        }
        self.constraint_possible()?;
        self.unit.then(alterations::rename(
            &self.entry,
            About::live(self.table, index),
            &self.declared.name,
        ));
        self.alter(Some(live), comparison);
        self.relocate(live, comparison);
        self.constraint(None, plans)
    }

    fn relocate(&mut self, live: &Live<'_>, comparison: &Comparison) {
        if let Some(tablespace) = &comparison.tablespace {
            let about = renamed(self.table, live, &self.declared.name);
            self.unit.then(steps::reindex(
                self.declared,
                about,
                Some(tablespace),
                format!("move {} to tablespace {tablespace}", self.declared.name),
            ));
        }
    }

    /// An invalid index under the declared name: whoever built it is gone, or `hold_back` takes it all out.
    fn dead(&mut self, live: &Live<'_>, plans: &mut Plans) -> Planned<()> {
        let index = live.index;
        self.unit.turn(Turn::Plain);
        let comparison = compare(self.context, self.declared, live, Part::Whole);
        if index.constraint.is_some() || index.parent.is_some() {
            if !comparison.rebuild.is_empty() {
                return Err(bound(self.declared, live, &comparison));
            }
            self.unit.then(steps::reindex(
                self.declared,
                About::live(self.table, index),
                None,
                format!("rebuild {}, which is invalid", index.name),
            ));
            self.alter(Some(live), &comparison);
            return self.constraint(Some(live), plans);
        }
        if let Some(refusal) = guarded(self.declared, live) {
            return Err(refusal);
        }
        self.constraint_possible()?;
        // A replacement that an interrupted run had finished already serves.
        let finished = self.own(&self.built).filter(|live| self.is_finished(live));
        let drop = steps::drop(
            &self.entry,
            About::live(self.table, index),
            format!(
                "drop {}, which an interrupted build or drop left invalid",
                index.name
            ),
        );
        let name = self.declared.name.clone();
        // What is said of the dead one and not named in the plan is said of the new one too.
        let said = self.heirloom(live);
        if let Some(finished) = finished {
            self.consumed = Some(self.built.clone());
            self.unit.then(drop);
            let about = About::live(self.table, finished.index);
            self.unit
                .then(alterations::rename(&self.entry, about, &name));
            let mut comparison = compare(self.context, self.declared, finished, Part::Whole);
            if comparison.comment.is_none() && finished.index.comment.is_none() {
                comparison.comment = said.comment;
            }
            for (key, target) in said.statistics {
                let known = finished.index.statistics.contains_key(&key)
                    || comparison.statistics.iter().any(|(found, _)| *found == key);
                if !known {
                    comparison.statistics.push((key, target));
                }
            }
            self.alter(Some(finished), &comparison);
            self.constraint(None, plans)?;
            self.analyze();
            return Ok(());
        }
        unique(self.context, self.declared, self.table, &name, plans)?;
        self.unit.then(drop);
        let summary = format!("build {name} on {}", self.table.name);
        self.build(&name, summary);
        self.after_build(said, plans)
    }

    fn is_finished(&self, live: &Live<'_>) -> bool {
        let comparison = compare(self.context, self.declared, live, Part::Whole);
        live.index.valid
            && live.index.live
            && comparison.is_equivalent()
            && comparison.tablespace.is_none()
    }

    fn present(&mut self, live: &Live<'a>, plans: &mut Plans) -> Planned<()> {
        let comparison = compare(self.context, self.declared, live, Part::Whole);
        let moves_by_building = comparison.tablespace.is_some() && !can_move(self.context);
        if !comparison.rebuild.is_empty() || moves_by_building {
            return self.replace(live, &comparison, plans);
        }
        if let Some(why) = &comparison.unverified {
            plans.notes.push(self.entry.note(
                "unverified",
                format!("{} is taken to be as declared: {why}", self.declared.name),
            ));
        }
        self.alter(Some(live), &comparison);
        self.relocate(live, &comparison);
        self.constraint(Some(live), plans)
    }

    /// Builds the declared index under another name, swaps the names, drops the old one.
    fn replace(
        &mut self,
        live: &Live<'a>,
        comparison: &Comparison,
        plans: &mut Plans,
    ) -> Planned<()> {
        let index = live.index;
        if index.constraint.is_some() || index.parent.is_some() {
            return Err(bound(self.declared, live, comparison));
        }
        if let Some(refusal) = guarded(self.declared, live) {
            return Err(refusal);
        }
        let first = drops::guard_replaced(self.context, self.declared, live, &[], plans)?;
        let loses_uniqueness = loses_uniqueness(self.declared, live);
        self.constraint_possible()?;
        self.unit.turn(Turn::Plain);
        if let Some(first) = first {
            self.unit.turn(Turn::Drops);
            self.unit.once_built(first);
        }
        for name in [&self.built, &self.old] {
            if self.own(name).is_none()
                && let Some(what) = self.holder(name)
            {
                return Err(Box::new(self.entry.refusal(
                    "name-taken",
                    format!(
                        "{name}, which the replacement of {} needs for a while, is {what}",
                        index.name
                    ),
                    vec!["rename what holds it".to_owned()],
                )));
            }
        }
        if let Some(old) = self.own(&self.old) {
            drops::guard_leftover(&self.entry, old)?;
            self.unit.then(steps::drop(
                &self.entry,
                About::live(self.table, old.index),
                format!(
                    "drop {}, which an earlier replacement left behind",
                    self.old
                ),
            ));
        }
        let leftover = self.own(&self.built);
        let finished = leftover.is_some_and(|live| self.is_finished(live));
        self.consumed = Some(self.built.clone());
        let built = self.built.clone();
        if !finished {
            unique(self.context, self.declared, self.table, &built, plans)?;
            if let Some(leftover) = leftover {
                drops::guard_leftover(&self.entry, leftover)?;
                self.unit.then(steps::drop(
                    &self.entry,
                    About::live(self.table, leftover.index),
                    format!("drop {built}, which an interrupted run left behind"),
                ));
            }
            let summary = format!(
                "build {built} on {} to replace {}: {}",
                self.table.name,
                index.name,
                comparison.words(live).join("; ")
            );
            self.build(&built, summary);
        }
        self.unit.then(alterations::swap(
            self.declared,
            live,
            &built,
            &self.old,
            &self.heirloom(live),
        ));
        self.unit.then(steps::drop(
            &self.entry,
            renamed(self.table, live, &self.old),
            format!("drop {}, the index that was replaced", self.old),
        ));
        self.constraint(None, plans)?;
        self.analyze();
        if loses_uniqueness {
            self.unit.endangers(&self.declared.allow);
        }
        Ok(())
    }

    fn holder(&self, name: &QualifiedName) -> Option<String> {
        if let Some(live) = self.context.live(name) {
            return Some(format!("an index of {}", live.table.name));
        }
        self.context.taken_by(name, &self.table.name)
    }

    fn heirloom(&self, live: &Live<'_>) -> Heirloom {
        let declared = self.declared;
        let mut heirloom = Heirloom {
            comment: declared
                .comment
                .clone()
                .or_else(|| live.index.comment.clone())
                .filter(|text| !text.is_empty()),
            statistics: declared.statistics.clone(),
            clustered: live.index.clustered,
        };
        // A target follows its expression as long as it stands at the same place.
        let old = live.spec.as_ref();
        for (key, target) in &live.index.statistics {
            let at = usize::from(key.unsigned_abs()).saturating_sub(1);
            let both = old
                .and_then(|spec| spec.keys.get(at))
                .zip(declared.spec.keys.get(at));
            let same = both.is_some_and(|(old, new)| match (&old.target, &new.target) {
                (KeyTarget::Expression(old), KeyTarget::Expression(new)) => {
                    folds::same(self.context, self.table, old, new) == folds::Same::Yes
                }
                _ => false,
            });
            if same {
                heirloom.statistics.entry(*key).or_insert(*target);
            }
        }
        heirloom
    }

    fn constraint_possible(&self) -> Planned<()> {
        match self.declared.constraint {
            None => Ok(()),
            Some(kind) => checks::constraint(self.context, self.declared, self.table, kind),
        }
    }

    /// Adds the constraint; `live` is the index where it is there under its name already.
    fn constraint(&mut self, live: Option<&Live<'_>>, plans: &mut Plans) -> Planned<()> {
        let Some(kind) = self.declared.constraint else {
            return Ok(());
        };
        if let Some(live) = live
            && let Some(constraint) = &live.index.constraint
        {
            if !constraint_fits(self.declared, live) {
                return Err(Box::new(self.entry.refusal(
                    "constraint-differs",
                    format!(
                        "{} is the constraint {} of another kind than declared",
                        live.index.name, constraint.name
                    ),
                    vec![format!(
                        "alter table {} drop constraint {};",
                        self.table.name.sql(),
                        quote_ident(&constraint.name)
                    )],
                )));
            }
            if constraint.deferrable {
                plans.notes.push(self.entry.note(
                    "deferrable",
                    format!(
                        "{} is deferrable; ON CONFLICT cannot use it",
                        constraint.name
                    ),
                ));
            }
            return Ok(());
        }
        checks::constraint(self.context, self.declared, self.table, kind)?;
        if kind == IndexConstraint::Primary {
            let nullable: Vec<&str> = checks::plain_columns(self.declared)
                .unwrap_or_default()
                .into_iter()
                .filter(|name| {
                    self.table
                        .columns
                        .iter()
                        .any(|column| column.name == *name && !column.not_null)
                })
                .collect();
            if !nullable.is_empty() {
                let check = names::not_null_check(&self.declared.name.name);
                for step in constraints::set_not_null(self.declared, self.table, &check, &nullable)
                {
                    self.unit.then(step);
                }
            }
        }
        self.unit
            .then(constraints::add_constraint(self.declared, self.table, kind));
        Ok(())
    }

    /// Drops what earlier runs left and this one does not use.
    fn leftovers(&mut self) -> Planned<()> {
        let replaces = self
            .unit
            .has(crate::changes::changeset::Action::SwapIndexes);
        for name in [self.built.clone(), self.old.clone()] {
            // A replacement deals with both itself.
            if replaces || self.consumed.as_ref() == Some(&name) {
                continue;
            }
            if let Some(live) = self.own(&name) {
                drops::guard_leftover(&self.entry, live)?;
                let step = steps::drop(
                    &self.entry,
                    About::live(self.table, live.index),
                    format!("drop {name}, which an interrupted run left behind"),
                );
                self.unit.then(step);
            }
        }
        Ok(())
    }
}

/// A live index under the name that a step before gives it.
fn renamed<'a>(table: &'a IndexedTable, live: &Live<'a>, name: &'a QualifiedName) -> About<'a> {
    About {
        name,
        ..About::live(table, live.index)
    }
}

/// Whether an index can move to another tablespace by REINDEX CONCURRENTLY.
fn can_move(context: &Context<'_>) -> bool {
    context.version() >= 140_000
}

/// Whether the constraint that an index has is no other than the declared one.
fn constraint_fits(declared: &Declared, live: &Live<'_>) -> bool {
    use crate::catalog::index_model::LiveConstraintKind as Kind;
    match (declared.constraint, &live.index.constraint) {
        (_, None) => true,
        (None, Some(constraint)) => constraint.kind != Kind::Exclusion,
        (Some(IndexConstraint::Primary), Some(constraint)) => constraint.kind == Kind::Primary,
        (Some(IndexConstraint::Unique), Some(constraint)) => constraint.kind == Kind::Unique,
    }
}

/// Whether a replacement stops enforcing what the index enforced: a `unique` that was forgotten is no small thing.
pub(super) fn loses_uniqueness(declared: &Declared, live: &Live<'_>) -> bool {
    !declared.spec.unique && live.spec.as_ref().is_some_and(|spec| spec.unique)
}

//! The calendar of a policy: civil periods laid on the axis of a key, without gap or overlap.

use chrono::{DateTime, Days, Months, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::key::Axis;
use super::period::Period;
use crate::plan_file::{CalendarSpan, SpanUnit};

/// The periods of one policy on the axis of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Length of a partition.
    pub period: Period,
    /// The key's axis.
    pub axis: Axis,
    /// The zone in which periods begin.
    pub zone: Tz,
}

/// One period on the axis: what one partition covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// First value inside.
    pub from: i128,
    /// First value after it; always greater than `from`.
    pub to: i128,
    /// Its nominal civil beginning, which names the partition.
    pub civil: NaiveDateTime,
}

impl Calendar {
    /// Refuses a pair of period and key that cannot be partitioned.
    ///
    /// # Errors
    /// Says which periods the key can have.
    pub fn check(&self) -> Result<(), String> {
        if self.period == Period::Hour && self.axis == Axis::Date {
            return Err(
                "a key of type `date` cannot be cut into hours; use `every: day` or longer"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Returns the slot that contains a value; `None` for infinite values and at the far ends of
    /// what the key's type can hold.
    pub fn slot_at(&self, value: i128) -> Option<Slot> {
        let civil = self.axis.civil(value, self.zone)?;
        let mut slot = self.slot_from(self.period.floor(civil), Period::prev)?;
        // The civil time of a value may lie beside its slot: in the second pass of an hour that
        // spans midnight, or in a uuid before the version's bits.
        while value < slot.from {
            slot = self.prev(&slot)?;
        }
        while value >= slot.to {
            slot = self.next(&slot)?;
        }
        Some(slot)
    }

    /// Returns the slot after one of this calendar; they touch.
    pub fn next(&self, slot: &Slot) -> Option<Slot> {
        self.slot_from(self.period.next(slot.civil), Period::next)
    }

    /// Returns the slot before one of this calendar; they touch.
    pub fn prev(&self, slot: &Slot) -> Option<Slot> {
        self.slot_from(self.period.prev(slot.civil), Period::prev)
    }

    /// Returns the slots that overlap `[from, to)`, in order; none where `from` is infinite.
    pub fn slots(&self, from: i128, to: i128) -> impl Iterator<Item = Slot> + use<> {
        let calendar = *self;
        let first = if from < to { self.slot_at(from) } else { None };
        std::iter::successors(first, move |slot| calendar.next(slot))
            .take_while(move |slot| slot.from < to)
    }

    /// Returns the retention cut-off: `now` in the zone less a calendar span. A partition whose
    /// upper bound is not after it holds only rows older than the span.
    ///
    /// 31 March less one month is the last day of February. Hours are hours of the clock that
    /// never jumps; all other units are civil. Rounds to the earlier value, so that nothing is
    /// removed too soon.
    pub fn minus(&self, now: DateTime<Utc>, span: CalendarSpan) -> i128 {
        self.cut_off(now, span)
            .unwrap_or_else(|| self.axis.lowest())
    }

    fn cut_off(&self, now: DateTime<Utc>, span: CalendarSpan) -> Option<i128> {
        let civil = now.with_timezone(&self.zone).naive_local();
        let months = |each: u32| {
            let months = span.count.checked_mul(each)?;
            civil.checked_sub_months(Months::new(months))
        };
        let days = |each: u64| civil.checked_sub_days(Days::new(u64::from(span.count) * each));
        let then = match span.unit {
            SpanUnit::Hour => return self.hours_before(now, civil, span.count),
            SpanUnit::Day => days(1),
            SpanUnit::Week => days(7),
            SpanUnit::Month => months(1),
            SpanUnit::Quarter => months(3),
            SpanUnit::Year => months(12),
        }?;
        Some(self.axis.not_after_civil(then, self.zone))
    }

    fn hours_before(&self, now: DateTime<Utc>, civil: NaiveDateTime, hours: u32) -> Option<i128> {
        let span = TimeDelta::hours(i64::from(hours));
        let physical = self
            .axis
            .of_instant(now.checked_sub_signed(span)?, self.zone);
        if !self.axis.is_civil() {
            return Some(physical);
        }
        // Civil keys repeat or skip an hour with the clock: the earlier reading keeps more rows.
        let civil = civil.checked_sub_signed(span)?;
        Some(physical.min(self.axis.not_after_civil(civil, self.zone)))
    }

    /// The slot that begins at a civil period's beginning, or the nearest one in the direction of
    /// `step` where the clock skipped that period altogether.
    fn slot_from(
        &self,
        mut civil: NaiveDateTime,
        step: fn(Period, NaiveDateTime) -> NaiveDateTime,
    ) -> Option<Slot> {
        loop {
            let from = self.axis.boundary(civil, self.zone)?;
            let to = self.axis.boundary(self.period.next(civil), self.zone)?;
            if from < to {
                return Some(Slot { from, to, civil });
            }
            civil = step(self.period, civil);
        }
    }
}

/// Finds the period and zone in which existing ranges were cut: the pair that at least two thirds
/// of them fit exactly. UTC wins over the candidates, and earlier candidates over later ones,
/// where several zones fit equally well.
pub fn recognise(
    axis: Axis,
    zone_candidates: &[Tz],
    ranges: &[(i128, i128)],
) -> Option<(Period, Tz)> {
    // Zones do not move civil keys.
    let others = if axis.is_civil() {
        &[]
    } else {
        zone_candidates
    };
    let mut best: Option<(usize, Period, Tz)> = None;
    for &zone in std::iter::once(&Tz::UTC).chain(others) {
        for period in Period::ALL {
            let calendar = Calendar { period, axis, zone };
            if calendar.check().is_err() {
                continue;
            }
            let fitting = ranges.iter().filter(|&&range| calendar.fits(range)).count();
            if fitting > best.map_or(0, |(most, ..)| most) {
                best = Some((fitting, period, zone));
            }
        }
    }
    best.filter(|(fitting, ..)| fitting * 3 >= ranges.len() * 2)
        .map(|(_, period, zone)| (period, zone))
}

impl Calendar {
    /// Whether a range is exactly one slot.
    pub(super) fn fits(&self, (from, to): (i128, i128)) -> bool {
        self.slot_at(from)
            .is_some_and(|slot| (slot.from, slot.to) == (from, to))
    }
}

#[cfg(test)]
mod tests;

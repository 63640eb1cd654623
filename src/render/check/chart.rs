//! The figures of one thing over the last hours, as a drawing that stands inside a page.

use std::fmt::Write as _;

use super::figure;
use crate::checks::trail::{Line, Point};
use crate::checks::verdict::Limits;
use crate::plan_file::metric::{Metric, Worse};

/// The drawing is as wide as its place; these are its own units.
const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 40.0;
/// Room for the stroke at the upper and lower edge.
const EDGE: f64 = 2.0;
/// Two looks further apart than this many usual distances are not joined: nobody looked in between.
const PAUSE: i64 = 4;
/// A limit that is further away than this many times the highest figure would press the line flat.
const FAR: f64 = 3.0;

/// The scale from below to above.
struct Scale {
    from: i64,
    until: i64,
    low: f64,
    high: f64,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a few hours")]
    fn x(&self, at: i64) -> f64 {
        let length = (self.until - self.from).max(1);
        (at - self.from) as f64 / length as f64 * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        // Each apart: the difference of two finite numbers need not be finite.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        HEIGHT - EDGE - part.clamp(0.0, 1.0) * (HEIGHT - 2.0 * EDGE)
    }

    fn shows(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Draws the line of a thing, and what it lies between in words; `None` where nothing is known of it.
pub(super) fn chart(line: &Line, metric: &Metric, limits: &Limits) -> Option<String> {
    let points = line.points();
    let known = points.iter().filter_map(|point| point.2);
    let low = known.clone().map(|(low, _)| low).reduce(f64::min)?;
    let high = known.map(|(_, high)| high).reduce(f64::max)?;
    let (first, last) = (points.first()?, points.last()?);
    let mut scale = Scale {
        from: first.0,
        until: last.1,
        low,
        high,
    };
    let limits = [("warning", &limits.warn), ("critical", &limits.critical)];
    let limits = limits.map(|(class, limit)| (class, limit.as_ref().map(|one| one.base())));
    if metric.worse == Worse::Above && low >= 0.0 {
        // Its size is seen against nothing at all.
        scale.low = 0.0;
    }
    for (_, limit) in limits {
        let near = limit.filter(|limit| match metric.worse {
            Worse::Above => *limit <= high * FAR,
            Worse::Below => *limit >= low / FAR,
        });
        if let Some(limit) = near.filter(|limit| limit.is_finite()) {
            scale.low = scale.low.min(limit);
            scale.high = scale.high.max(limit);
        }
    }
    if scale.high <= scale.low {
        scale.high = scale.low + scale.low.abs().max(1.0);
    }
    let words = words(low, high, last.1 - first.0, metric);
    // What never changed needs no height.
    let class = if low < high { "chart" } else { "chart flat" };
    let mut out = format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{words}\">"
    );
    for (class, limit) in limits {
        if let Some(limit) = limit.filter(|limit| scale.shows(*limit)) {
            let y = scale.y(limit);
            let _ = write!(
                out,
                "<line class=\"limit {class}\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
    }
    for stretch in stretches(points) {
        draw(&mut out, &stretch, &scale, metric.worse);
    }
    let _ = write!(out, "</svg><small>{words}</small>");
    Some(out)
}

/// `0 to 1.2 s in 3 h`.
fn words(low: f64, high: f64, seconds: i64, metric: &Metric) -> String {
    let (least, most) = (figure(low, metric.measure), figure(high, metric.measure));
    let range = if least == most {
        most
    } else {
        format!("{least} to {most}")
    };
    if seconds == 0 {
        return format!("{range} in one look");
    }
    let minutes = seconds / 60;
    let time = match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    format!("{range} in {time}")
}

/// Points that belong together: nothing unknown and no pause between them.
fn stretches(points: &[Point]) -> Vec<Vec<(i64, i64, f64, f64)>> {
    let mut apart: Vec<i64> = points
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)?.0 - pair.first()?.1))
        .collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() / 2).copied().unwrap_or(0).max(1);
    let mut all: Vec<Vec<(i64, i64, f64, f64)>> = Vec::new();
    let mut before: Option<i64> = None;
    for Point(from, until, range) in points {
        let Some((low, high)) = range else {
            before = None;
            continue;
        };
        let point = (*from, *until, *low, *high);
        match (before, all.last_mut()) {
            (Some(end), Some(last)) if from - end <= usual * PAUSE => last.push(point),
            _ => all.push(vec![point]),
        }
        before = Some(*until);
    }
    all
}

/// The band between the lowest and the highest, and its worse edge as a line; a look alone is a dot.
fn draw(out: &mut String, stretch: &[(i64, i64, f64, f64)], scale: &Scale, worse: Worse) {
    let middle = |from: i64, until: i64| scale.x(from + (until - from) / 2);
    let place = |x: f64, value: f64| format!("{x:.1},{:.1}", scale.y(value));
    let worst = |low: f64, high: f64| if worse == Worse::Above { high } else { low };
    if let [(from, until, low, high)] = stretch {
        let x = middle(*from, *until);
        let y = scale.y(worst(*low, *high));
        let _ = write!(out, "<path class=\"dot\" d=\"M{x:.1},{y:.1}h0.01\"/>");
        return;
    }
    if stretch.iter().any(|(_, _, low, high)| low < high) {
        let upper = stretch.iter();
        let upper = upper.map(|(from, until, _, high)| place(middle(*from, *until), *high));
        let lower = stretch.iter().rev();
        let lower = lower.map(|(from, until, low, _)| place(middle(*from, *until), *low));
        let all: Vec<String> = upper.chain(lower).collect();
        let _ = write!(
            out,
            "<polygon class=\"band\" points=\"{}\"/>",
            all.join(" ")
        );
    }
    let line = stretch.iter();
    let line =
        line.map(|(from, until, low, high)| place(middle(*from, *until), worst(*low, *high)));
    let line: Vec<String> = line.collect();
    let _ = write!(
        out,
        "<polyline class=\"line\" points=\"{}\"/>",
        line.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::checks::judge::{Labels, Reading};
    use crate::checks::reason::Reason;
    use crate::checks::trail::Trail;
    use crate::plan_file::metric::metric;

    fn drawn(name: &str, values: &[Option<f64>], warn: Option<&str>) -> Option<String> {
        let metric = metric(name).unwrap();
        let (mut trail, labels) = (Trail::default(), Labels::new());
        for (at, value) in (0i64..).zip(values) {
            let reading = value.map_or(Reading::unknown(Reason::NoSample, ""), Reading::Value);
            let at = DateTime::from_timestamp(2_000_000_000 + at * 30, 0).unwrap();
            trail.note(at, [(metric, &labels, &reading)]);
        }
        let limits = Limits {
            warn: warn.map(|text| text.parse().unwrap()),
            ..Limits::default()
        };
        chart(trail.of(metric, &labels)?, metric, &limits)
    }

    #[test]
    fn a_gap_parts_the_line_and_the_limit_is_drawn_where_it_is_near() {
        let some = [Some(0.1), Some(0.2), None, Some(0.3), Some(0.1)];
        let svg = drawn("replica.visible_lag", &some, Some("> 500ms")).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert_eq!(svg.matches("limit warning").count(), 1, "{svg}");
        assert!(svg.contains("100 ms to 300 ms in 2 min"), "{svg}");
        let svg = drawn("replica.visible_lag", &some, Some("> 1h")).unwrap();
        assert!(!svg.contains("limit"), "{svg}");
    }

    #[test]
    fn one_look_is_a_dot_and_none_is_no_chart() {
        let svg = drawn("conn.effective_used", &[Some(0.0)], None).unwrap();
        assert!(
            svg.contains("class=\"dot\"") && svg.contains("0 % in one look"),
            "{svg}"
        );
        assert_eq!(drawn("conn.effective_used", &[None], None), None);
    }

    proptest! {
        /// Whatever the figures: every place is a number inside the drawing.
        #[test]
        fn nothing_is_drawn_outside(
            values in prop::collection::vec(prop::option::of(prop_oneof![
                any::<f64>(), -1.0..1.0f64, Just(0.0), Just(f64::MAX), Just(f64::MIN),
            ]), 1..200),
            name in prop::sample::select(vec!["replica.visible_lag", "cache.hit_ratio", "database.size"]),
        ) {
            let Some(svg) = drawn(name, &values, None) else { return Ok(()); };
            for list in svg.split("points=\"").skip(1) {
                let list = list.split('"').next().unwrap();
                for place in list.split(' ') {
                    let (x, y) = place.split_once(',').unwrap();
                    prop_assert!((0.0..=WIDTH).contains(&x.parse::<f64>().unwrap()), "{}", svg);
                    prop_assert!((0.0..=HEIGHT).contains(&y.parse::<f64>().unwrap()), "{}", svg);
                }
            }
            let markup = svg.to_lowercase();
            prop_assert!(!markup.contains("nan") && !markup.contains(",inf"), "{}", svg);
        }
    }
}

//! Windows of unequal length, made windows of one length. Pure.
//!
//! How calls clump shows only in windows that are alike: twice as many calls in a window twice as long say nothing. Short
//! ones are joined to their neighbours, and the calls of long ones are counted in proportion: they then clump less than
//! they did, never more.

/// Windows that are alike.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Even {
    /// Windows made of neighbours, each with the places of those it consists of and its length in seconds.
    pub windows: Vec<(Vec<usize>, f64)>,
    /// The length to which their calls are counted in proportion, in seconds; 0: there are none.
    pub seconds: f64,
    /// Windows that are part of a longer one.
    pub joined: usize,
    /// Windows whose calls are counted in proportion, because they are longer.
    pub scaled: usize,
    /// Windows left out: much longer than the others, or too short to fill one with their neighbours.
    pub left_out: usize,
}

/// Lengths from here to there, as parts of the length aimed at, are nearly equal.
const SHORTEST: f64 = 0.8;
const LONGEST: f64 = 1.25;
/// A window longer than this, in lengths aimed at, is of another time of the day.
const FOREIGN: f64 = 6.0;
/// More windows than this tell nothing more: rather cover more of the time.
const ENOUGH: usize = 24;

impl Even {
    /// Returns the part of the calls of window `place` that a window of the one length would have.
    pub fn scale(&self, place: usize) -> f64 {
        match self.windows.get(place) {
            Some((_, seconds)) if *seconds > 0.0 => self.seconds / seconds,
            _ => 1.0,
        }
    }

    /// Returns by how much counts in proportion fall short of what was counted; 1: they do not.
    pub fn whole(&self) -> f64 {
        let covered: f64 = self.windows.iter().map(|(_, seconds)| seconds).sum();
        let counted = self.seconds * self.windows.len() as f64;
        if counted > 0.0 {
            covered / counted
        } else {
            1.0
        }
    }
}

/// Makes windows of one length; of each is given its length in seconds, `None` where it cannot be used. Only neighbours
/// are joined.
///
/// Chosen is the length that gives many windows which cover much of the time.
pub fn even(lengths: &[Option<f64>]) -> Even {
    let usable: Vec<f64> = lengths.iter().flatten().copied().collect();
    let all: f64 = usable.iter().sum();
    let mut aims = usable.clone();
    aims.extend(usable.windows(2).map(|two| two.iter().sum::<f64>()));
    aims.retain(|aim| *aim > 0.0 && aim.is_finite());
    aims.sort_by(f64::total_cmp);
    // Lengths by the clock are never quite the same.
    aims.dedup_by(|a, b| *a <= *b * 1.02);
    let mut best = Even::default();
    let mut most = 0.0;
    for aim in aims {
        let windows = put_together(lengths, aim);
        let covered: f64 = windows.iter().map(|(_, seconds)| seconds).sum();
        let merit = windows.len().min(ENOUGH) as f64 * (covered / all).powf(0.25);
        if merit > most * 1.001 {
            most = merit;
            best.seconds = aim;
            best.windows = windows;
        }
    }
    let parts = |least: usize| -> usize {
        let sizes = best.windows.iter().map(|(places, _)| places.len());
        sizes.filter(|size| *size >= least).sum()
    };
    best.joined = parts(2);
    let long = |seconds: f64| seconds > best.seconds * LONGEST;
    best.scaled = best.windows.iter().filter(|one| long(one.1)).count();
    best.left_out = usable.len() - parts(1);
    best
}

fn put_together(lengths: &[Option<f64>], aim: f64) -> Vec<(Vec<usize>, f64)> {
    let mut windows = Vec::new();
    let mut places = Vec::new();
    let mut sum = 0.0;
    for (place, length) in lengths.iter().enumerate() {
        let Some(length) = *length else {
            places.clear();
            sum = 0.0;
            continue;
        };
        // A long one stands alone.
        if length > aim * LONGEST {
            places.clear();
            sum = 0.0;
            if length <= aim * FOREIGN {
                windows.push((vec![place], length));
            }
            continue;
        }
        places.push(place);
        sum += length;
        if sum >= aim * SHORTEST {
            windows.push((std::mem::take(&mut places), sum));
            sum = 0.0;
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(even: &Even) -> Vec<usize> {
        even.windows
            .iter()
            .map(|(places, _)| places.len())
            .collect()
    }

    #[test]
    fn equal_windows_stay_as_they_are() {
        let found = even(&[Some(2.0), Some(2.01), Some(1.99), None, Some(2.0)]);
        assert_eq!(sizes(&found), [1; 4]);
        assert_eq!((found.joined, found.left_out), (0, 0));
        assert_eq!(found.windows[3].0, [4]);
        assert!((found.scale(0) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_night_among_minutes_is_left_out() {
        let mut lengths = vec![Some(60.0); 20];
        lengths.insert(7, Some(28_800.0));
        let found = even(&lengths);
        assert_eq!(sizes(&found), [1; 20]);
        assert_eq!((found.left_out, found.seconds), (1, 60.0));
        assert!(found.windows.iter().all(|(places, _)| places != &[7]));
    }

    #[test]
    fn long_windows_are_counted_in_proportion() {
        let lengths = [60.0, 60.0, 120.0, 60.0, 60.0, 300.0, 60.0, 60.0, 60.0];
        let found = even(&lengths.map(Some));
        assert_eq!(sizes(&found), [1; 9]);
        assert_eq!((found.scaled, found.left_out), (2, 0));
        assert_eq!((found.scale(2), found.scale(5)), (0.5, 0.2));
        assert!((found.whole() - 840.0 / 540.0).abs() < 1e-9);
    }

    #[test]
    fn short_windows_are_joined_to_the_length_of_the_others() {
        let mut lengths = vec![Some(60.0); 10];
        lengths.splice(4..4, vec![Some(3.0); 20]);
        let found = even(&lengths);
        assert_eq!(sizes(&found), [1, 1, 1, 1, 16, 5, 1, 1, 1, 1, 1]);
        assert_eq!((found.joined, found.left_out), (21, 0));
        assert_eq!((found.seconds, found.scale(4)), (60.0, 60.0 / 48.0));
    }

    #[test]
    fn windows_on_both_sides_of_one_that_cannot_be_used_are_not_joined() {
        let found = even(&[
            Some(60.0),
            Some(5.0),
            None,
            Some(5.0),
            Some(60.0),
            Some(62.0),
        ]);
        let places: Vec<&[usize]> = found.windows.iter().map(|one| &*one.0).collect();
        assert_eq!(places, [&[0][..], &[3, 4], &[5]]);
        assert_eq!((found.joined, found.left_out), (2, 1));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for lengths in [&[][..], &[None], &[Some(0.0)], &[Some(-1.0), None]] {
            assert_eq!(even(lengths).windows, []);
        }
    }
}

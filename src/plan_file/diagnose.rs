//! What is wrong with a plan file, as data and as text: place, source line with a caret, what to do.
//!
//! Every text passes through the mask, so that no diagnostic can show a secret.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Origin;
use super::mask::{mask, masked};
use super::position::Place;

/// Whether a diagnostic stops dbops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing runs until it is repaired.
    Error,
    /// Worth a look; nothing is stopped.
    Warning,
}

/// How diagnostics are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without colour.
    Plain,
    /// With ANSI colours.
    Colour,
}

/// One problem of a plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops dbops.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop, no secret.
    pub message: String,
    /// Where; the first is the place to repair. Empty where no place can be named.
    pub spots: Vec<Spot>,
    /// What to do, one sentence an entry.
    pub help: Vec<String>,
}

/// A place in a plan file with the source line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// File, line and column.
    pub origin: Origin,
    /// Words beside the caret; may be empty.
    pub label: String,
    line_text: String,
    range: Range<usize>,
}

impl Diagnostic {
    /// Makes an error without a place.
    pub(super) fn error(message: impl AsRef<str>) -> Self {
        Self {
            severity: Severity::Error,
            message: printable(&masked(message.as_ref())),
            spots: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Makes a warning without a place.
    pub(super) fn warning(message: impl AsRef<str>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Adds a place.
    #[must_use]
    pub(super) fn spot(mut self, spot: Spot) -> Self {
        self.spots.push(spot);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help.push(printable(&masked(help.as_ref())));
        self
    }

    /// Draws it as text that ends with a line break.
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = if self.spots.is_empty() {
            Group::with_title(level.primary_title(self.message.as_str()))
        } else {
            level.primary_title(self.message.as_str()).elements(
                self.spots
                    .iter()
                    .enumerate()
                    .map(|(at, spot)| spot.snippet(at == 0)),
            )
        };
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Colour => Renderer::styled(),
        };
        let text = renderer.render(&[group]);
        // Trailing blanks of empty source lines would make golden files fragile.
        let mut lines: String = text
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n");
        lines.push('\n');
        lines
    }
}

impl Spot {
    /// Makes a spot from a source text and a place in it.
    pub(super) fn new(file: &str, text: &str, place: Place, label: impl AsRef<str>) -> Self {
        let mut lines = text.lines();
        let (line, source) = match lines.nth(place.line.saturating_sub(1)) {
            Some(source) => (place.line.max(1), source),
            // The end of the text: the last line that has something on it serves better.
            None => last_line(text),
        };
        let start = byte_of(
            source,
            if line == place.line {
                place.start
            } else {
                usize::MAX
            },
        );
        let end = byte_of(source, place.end).max(start);
        let hidden = mask(source);
        let range = hidden.offset(start)..hidden.offset(end).max(hidden.offset(start));
        Self {
            origin: Origin {
                file: printable(file),
                line,
                column: source
                    .get(..start)
                    .map_or(0, |before| before.chars().count())
                    + 1,
            },
            label: printable(&masked(label.as_ref())),
            line_text: printable(&hidden.text),
            range,
        }
    }

    /// Returns the same place with other words beside the caret.
    pub(super) fn relabelled(&self, label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..self.clone()
        }
    }

    fn snippet(&self, primary: bool) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let kind = if primary {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let end = self.range.end.min(self.line_text.len());
        let annotation = kind.span(self.range.start.min(end)..end);
        Snippet::source(self.line_text.as_str())
            .line_start(self.origin.line)
            .path(self.origin.file.as_str())
            .annotation(if self.label.is_empty() {
                annotation
            } else {
                annotation.label(self.label.as_str())
            })
    }
}

fn last_line(text: &str) -> (usize, &str) {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .last()
        .map_or((1, ""), |(at, line)| (at + 1, line))
}

/// Returns the byte offset of a column counted in characters, at most the trimmed line's length.
fn byte_of(line: &str, column: usize) -> usize {
    line.char_indices()
        .nth(column)
        .map_or(line.trim_end().len(), |(at, _)| at)
}

/// Replaces what could steer a terminal or turn the reading direction, byte for byte.
fn printable(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\t' && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::new(), |mut shown, c| {
        if steers(c) {
            shown.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            shown.push(c);
        }
        shown
    })
}

/// All problems of the plan files; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The problems, sorted by file and line, those without a place first.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Draws them all, with a last line that counts the errors.
    pub fn render(&self, style: Style) -> String {
        let mut text = String::new();
        for diagnostic in &self.list {
            text.push_str(&diagnostic.render(style));
            text.push('\n');
        }
        let errors = self
            .list
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count();
        text.push_str(&match errors {
            1 => "1 error in the plan files; nothing was touched\n".to_owned(),
            _ => format!("{errors} errors in the plan files; nothing was touched\n"),
        });
        text
    }
}

/// Displays them without colour.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::Plain).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// Sorts by place, so that the order does not depend on how a problem was found.
pub(super) fn sort(list: &mut [Diagnostic]) {
    list.sort_by(|a, b| {
        let key = |d: &Diagnostic| d.spots.first().map(|spot| spot.origin.clone());
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_text_meant() {
        let text = "version: 1\nretian: x # é\n";
        let place = Place {
            line: 2,
            start: 0,
            end: 6,
        };
        let shown = Diagnostic::error("unknown key `retian`")
            .spot(Spot::new("plans/a.yaml", text, place, "not known here"))
            .help("did you mean `retain`?")
            .render(Style::Plain);
        assert!(shown.contains("plans/a.yaml:2:1"), "{shown}");
        assert!(shown.contains("^^^^^^ not known here"), "{shown}");
        assert!(shown.contains("help: did you mean `retain`?"), "{shown}");
    }

    #[test]
    fn a_place_behind_the_end_shows_the_last_line() {
        let place = Place {
            line: 9,
            start: 4,
            end: 5,
        };
        let spot = Spot::new("a", "a: [1\n\n", place, "");
        assert_eq!((spot.origin.line, spot.line_text.as_str()), (1, "a: [1"));
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let place = Place {
            line: 1,
            start: 0,
            end: 1,
        };
        let shown = Diagnostic::error("x\u{1b}[31m")
            .spot(Spot::new("a\u{7}", "k: \u{1b}]0;\u{202e}\u{9b}", place, ""))
            .render(Style::Plain);
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?}"
        );
    }
}

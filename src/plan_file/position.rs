//! Where each key and value of a YAML text stands: a tree of places beside the values.
//!
//! Values themselves come from `serde_yaml`; this file reads the events of a second parser for
//! their places, because a value that was read no longer knows where it stood.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Nesting that no plan file needs; deeper input is refused before it can exhaust the stack.
const MAX_DEPTH: usize = 64;

/// One step of a path into a plan file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// A key of a mapping.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

/// A path into a plan file, `partitions[1].retain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// Returns the path of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// Returns the path of an element below this one.
    pub(super) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A stretch of one line: line from 1, columns in characters from 0, the end not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Line, from 1.
    pub(super) line: usize,
    /// First column, in characters from 0.
    pub(super) start: usize,
    /// Column after the last one; `usize::MAX`: the rest of the line.
    pub(super) end: usize,
}

impl Place {
    fn of(span: Span) -> Self {
        Self {
            line: span.start.line(),
            start: span.start.col(),
            end: if span.end.line() == span.start.line() {
                span.end.col()
            } else {
                usize::MAX
            },
        }
    }

    fn at(mark: Marker) -> Self {
        Self {
            line: mark.line(),
            start: mark.col(),
            end: mark.col() + 1,
        }
    }
}

/// A node of the tree of places.
#[derive(Debug)]
struct Node {
    place: Place,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar { text: String, plain: bool },
    List(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    key: String,
    key_place: Place,
    value: Rc<Node>,
}

/// The places of one YAML text.
#[derive(Debug, Default)]
pub(super) struct Positions {
    root: Option<Rc<Node>>,
}

/// A key given twice in one mapping.
#[derive(Debug)]
pub(super) struct Duplicate {
    /// The key.
    pub(super) key: String,
    /// Where it stands first.
    pub(super) first: Place,
    /// Where it stands again.
    pub(super) second: Place,
}

/// Why a text has no tree.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// Where.
    pub(super) place: Place,
    /// What the parser says.
    pub(super) message: String,
    /// What to do, where it is known; the text is YAML then, but not that of a plan file.
    pub(super) help: Option<&'static str>,
}

impl Positions {
    /// Reads the places of a text and the keys that are given twice.
    pub(super) fn read(text: &str) -> Result<(Self, Vec<Duplicate>), Unreadable> {
        let mut builder = Builder {
            parser: Parser::new_from_str(text),
            anchors: BTreeMap::new(),
            duplicates: Vec::new(),
        };
        let root = builder.document()?;
        Ok((Self { root }, builder.duplicates))
    }

    /// Returns where the value at a path stands; the nearest node above where there is none.
    pub(super) fn value(&self, path: &Path) -> Option<Place> {
        let mut at = self.root.clone()?;
        for step in &path.0 {
            match child(&at, step) {
                Some((_, next)) => at = next,
                None => break,
            }
        }
        Some(at.place)
    }

    /// Returns where the key at the end of a path stands; that of the value for a list element.
    pub(super) fn key(&self, path: &Path) -> Option<Place> {
        let mut at = self.root.clone()?;
        let mut place = at.place;
        for step in &path.0 {
            let Some((key, next)) = child(&at, step) else {
                break;
            };
            place = key.unwrap_or(next.place);
            at = next;
        }
        Some(place)
    }

    /// Returns the text of the scalar at a path as it was written, without its quotes.
    pub(super) fn scalar(&self, path: &Path) -> Option<(String, bool)> {
        let mut at = self.root.clone()?;
        for step in &path.0 {
            at = child(&at, step)?.1;
        }
        match &at.kind {
            Kind::Scalar { text, plain } => Some((text.clone(), *plain)),
            _ => None,
        }
    }

    /// Returns the keys of the mapping at a path, in the order of the file, merged ones left out.
    pub(super) fn keys(&self, path: &Path) -> Vec<String> {
        let Some(mut at) = self.root.clone() else {
            return Vec::new();
        };
        for step in &path.0 {
            match child(&at, step) {
                Some((_, next)) => at = next,
                None => return Vec::new(),
            }
        }
        match &at.kind {
            Kind::Mapping(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Finds a child; a key that is not in the mapping itself may come from a merge (`<<`).
fn child(node: &Node, step: &Step) -> Option<(Option<Place>, Rc<Node>)> {
    match (&node.kind, step) {
        (Kind::List(items), Step::Index(index)) => {
            items.get(*index).map(|item| (None, Rc::clone(item)))
        }
        (Kind::Mapping(entries), Step::Key(key)) => entries
            .iter()
            .find(|entry| entry.key == *key)
            .map(|entry| (Some(entry.key_place), Rc::clone(&entry.value)))
            .or_else(|| {
                let merged = entries.iter().find(|entry| entry.key == "<<")?;
                match &merged.value.kind {
                    Kind::List(items) => items.iter().find_map(|item| child(item, step)),
                    _ => child(&merged.value, step),
                }
            }),
        _ => None,
    }
}

struct Builder<'input> {
    parser: Parser<'input, saphyr_parser::StrInput<'input>>,
    anchors: BTreeMap<usize, Rc<Node>>,
    duplicates: Vec<Duplicate>,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<Option<(Event<'input>, Span)>, Unreadable> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) if error.info().contains("unknown anchor") => Err(Unreadable {
                place: Place::at(*error.marker()),
                message: "this alias has no anchor before it".to_owned(),
                help: Some("write the anchor `&name` in the same file, before the alias `*name`"),
            }),
            Some(Err(error)) => Err(Unreadable {
                place: Place::at(*error.marker()),
                message: error.info().to_owned(),
                help: None,
            }),
        }
    }

    fn document(&mut self) -> Result<Option<Rc<Node>>, Unreadable> {
        let mut root = None;
        let mut documents = 0;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Unreadable {
                            place: Place::of(span),
                            message: "a plan file holds one document".to_owned(),
                            help: Some("put what follows `---` into a file of its own"),
                        });
                    }
                }
                Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(..) => root = Some(self.node(event, span, 0)?),
                _ => {}
            }
        }
        Ok(root)
    }

    fn node(
        &mut self,
        event: Event<'input>,
        span: Span,
        depth: usize,
    ) -> Result<Rc<Node>, Unreadable> {
        if depth > MAX_DEPTH {
            return Err(Unreadable {
                place: Place::of(span),
                message: format!("nested more than {MAX_DEPTH} levels deep"),
                help: Some("no section of a plan file is nested that deep; check the brackets"),
            });
        }
        let (anchor, kind) =
            match event {
                Event::Scalar(text, style, anchor, _) => (
                    anchor,
                    Kind::Scalar {
                        text: text.into_owned(),
                        plain: style == ScalarStyle::Plain,
                    },
                ),
                Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
                Event::MappingStart(anchor, _) => (anchor, self.mapping(depth)?),
                Event::Alias(anchor) => {
                    return self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| Unreadable {
                        place: Place::of(span),
                        message: "this alias has no anchor before it".to_owned(),
help: Some("write the anchor `&name` in the same file, before the alias `*name`"),
                    });
                }
                _ => {
                    return Err(Unreadable {
                        place: Place::of(span),
                        message: "a value is missing here".to_owned(),
                        help: None,
                    });
                }
            };
        let node = Rc::new(Node {
            place: Place::of(span),
            kind,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Unreadable> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(Kind::List(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Kind, Unreadable> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let key_node = self.node(event, span, depth + 1)?;
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.node(event, span, depth + 1)?;
            let key = match &key_node.kind {
                Kind::Scalar { text, .. } => text.clone(),
                _ => continue,
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                self.duplicates.push(Duplicate {
                    key: key.clone(),
                    first: first.key_place,
                    second: key_node.place,
                });
            }
            entries.push(Entry {
                key,
                key_place: key_node.place,
                value,
            });
        }
        Ok(Kind::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_places() {
        let text = "a: 1\nb:\n  - c: x\n    \"d\": [é, y]\n";
        let (positions, duplicates) = Positions::read(text).unwrap();
        assert!(duplicates.is_empty());
        let d = Path::default().key("b").index(0).key("d");
        assert_eq!(d.to_string(), "b[0].d");
        let at = |line, start, end| Some(Place { line, start, end });
        assert_eq!(positions.key(&d), at(4, 4, 7));
        assert_eq!(positions.value(&d.index(1)), at(4, 13, 14));
        assert_eq!(positions.value(&Path::default().key("a")), at(1, 3, 4));
        assert_eq!(positions.keys(&Path::default()), ["a", "b"]);
    }

    #[test]
    fn merged_and_aliased_keys_point_at_where_they_are_written() {
        let text = "base: &b { x: 1 }\nuse: { <<: *b, y: 2 }\nalso: *b\n";
        let (positions, _) = Positions::read(text).unwrap();
        let line = |path: Path| positions.key(&path).map(|place| place.line);
        assert_eq!(line(Path::default().key("use").key("x")), Some(1));
        assert_eq!(line(Path::default().key("use").key("y")), Some(2));
        assert_eq!(line(Path::default().key("also").key("x")), Some(1));
    }

    #[test]
    fn endless_nesting_is_refused() {
        assert!(Positions::read(&"[".repeat(100_000)).is_err());
    }
}

//! SQL files, whoever wrote them: the statements that make, change or drop indexes.
//!
//! Reads hand-written files, pg_dump's plain output, Rails' structure.sql and files with psql commands. What
//! concerns no index is passed over; what does and cannot be read is a fault, never dropped in silence.

use super::create_index::{CreateIndex, Fault, create_index};
use super::index_spec::ObjectName;
use super::lexer::{Kind, Lexer, Token};
use super::script_words::Words;

/// What a SQL file says of indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Statements that concern indexes, in the order of the file.
    pub statements: Vec<Statement>,
    /// What could not be read, in the order of the file.
    pub faults: Vec<Fault>,
}

/// A statement that concerns indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its first byte.
    pub start: usize,
    /// Lines of the comments directly above it, or after it on its last line.
    pub comments: Vec<String>,
    /// What it does.
    pub action: Action,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `CREATE INDEX`.
    Create(Box<CreateIndex>),
    /// `COMMENT ON INDEX … IS …`.
    Comment(ObjectName, Option<String>),
    /// `ALTER INDEX … ALTER COLUMN … SET STATISTICS …`: position from 1 and target.
    Statistics(ObjectName, i16, i16),
    /// `ALTER INDEX … ATTACH PARTITION …`: the attached index.
    Attach(ObjectName),
    /// `ALTER INDEX … RENAME TO …`.
    Rename(ObjectName, String),
    /// `ALTER INDEX … SET TABLESPACE …`.
    Tablespace(ObjectName, String),
    /// `ADD PRIMARY KEY` or `ADD UNIQUE` with its columns.
    Constraint(Constraint),
    /// `ADD CONSTRAINT … USING INDEX …`.
    UsingIndex {
        /// The table.
        table: ObjectName,
        /// Name of the constraint, which the index takes; `None`: the index's own.
        name: Option<String>,
        /// The index.
        index: String,
        /// Whether it is a primary key.
        primary: bool,
    },
    /// `DROP INDEX`.
    Drop(Vec<ObjectName>),
    /// Where names without a schema are from here on; `None`: `public`.
    SearchPath(Option<String>),
    /// Where indexes that name no tablespace are from here on.
    DefaultTablespace(Option<String>),
    /// `\connect`: what follows is in another database.
    Connect,
    /// Something about indexes that a plan file does not say, in words.
    Unsaid(String),
    /// PRIMARY KEY and UNIQUE within CREATE TABLE: how many.
    Inline(usize),
}

/// `ADD CONSTRAINT … PRIMARY KEY (…)` or `… UNIQUE (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// The table.
    pub table: ObjectName,
    /// Its name; `None`: chosen by the server.
    pub name: Option<String>,
    /// Whether it is a primary key.
    pub primary: bool,
    /// The index that it makes, as CREATE INDEX would say it; `None`: deferrable or temporal, which no index is.
    pub index: Option<Box<CreateIndex>>,
}

/// Reads a SQL file.
pub fn script(text: &str) -> Script {
    let mut script = Script::default();
    let mut reader = Reader {
        lexer: Lexer::new(text),
    };
    let mut last: Option<(usize, Option<usize>)> = None;
    loop {
        match reader.raw() {
            Ok(None) => return script,
            Ok(Some(raw)) => {
                // A comment behind a statement on its line belongs to it.
                if let (Some(note), Some((end, Some(index)))) = (raw.comments.first(), last)
                    && !text.get(end..note.start).unwrap_or_default().contains('\n')
                    && let Some(statement) = script.statements.get_mut(index)
                {
                    statement.comments.extend(comment_lines(note.text));
                }
                let before = script.statements.len();
                read(text, &raw, &mut script);
                let own = (script.statements.len() == before + 1).then_some(before);
                last = Some((raw.end, own));
            }
            Err(fault) => {
                // What is not closed reaches to the end of the file: nothing after it can be read.
                script.faults.push(fault);
                return script;
            }
        }
    }
}

/// One statement as tokens.
struct Raw<'a> {
    tokens: Vec<Token<'a>>,
    /// Comments since the statement before.
    comments: Vec<Token<'a>>,
    end: usize,
}

struct Reader<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Reader<'a> {
    /// Reads up to the semicolon that ends a statement; a psql command is a statement of its own.
    fn raw(&mut self) -> Result<Option<Raw<'a>>, Fault> {
        let mut raw = Raw {
            tokens: Vec::new(),
            comments: Vec::new(),
            end: self.lexer.position(),
        };
        let mut open: Vec<usize> = Vec::new();
        // As in psql: within CREATE FUNCTION … BEGIN ATOMIC … END a semicolon ends nothing.
        let mut blocks = 0_usize;
        loop {
            let Some(token) = self.lexer.next()? else {
                if let Some(&start) = open.last() {
                    return Err(Fault {
                        message: "this parenthesis is not closed".to_owned(),
                        start,
                        end: start + 1,
                    });
                }
                let something = !raw.tokens.is_empty() || !raw.comments.is_empty();
                return Ok(something.then_some(raw));
            };
            if token.kind == Kind::Comment {
                if raw.tokens.is_empty() {
                    raw.comments.push(token);
                }
                continue;
            }
            if token.kind == Kind::Meta {
                // `\g` and its like end a statement as a semicolon does.
                if raw.tokens.is_empty() {
                    raw.tokens.push(token);
                }
                raw.end = token.end();
                return Ok(Some(raw));
            }
            raw.end = token.end();
            if token.is_symbol("(") {
                open.push(token.start);
            } else if token.is_symbol(")") {
                open.pop();
            } else if token.is_symbol(";") && open.is_empty() && blocks == 0 {
                if raw.tokens.is_empty() {
                    continue;
                }
                if is_copy_from_stdin(&raw.tokens) {
                    self.lexer.skip_copy_data();
                }
                return Ok(Some(raw));
            } else if makes_routine(&raw.tokens) {
                let after_begin = raw.tokens.last().is_some_and(|last| last.is("begin"));
                if token.is("atomic") && after_begin || blocks > 0 && token.is("case") {
                    blocks += 1;
                } else if token.is("end") {
                    blocks = blocks.saturating_sub(1);
                }
            }
            raw.tokens.push(token);
        }
    }
}

fn is_copy_from_stdin(tokens: &[Token<'_>]) -> bool {
    tokens.first().is_some_and(|token| token.is("copy"))
        && tokens
            .windows(2)
            .any(|pair| matches!(pair, [from, stdin] if from.is("from") && stdin.is("stdin")))
}

fn makes_routine(tokens: &[Token<'_>]) -> bool {
    tokens.first().is_some_and(|token| token.is("create"))
        && tokens
            .iter()
            .take(4)
            .any(|token| token.is("function") || token.is("procedure"))
}

/// Reads what one statement says of indexes.
fn read(text: &str, raw: &Raw<'_>, script: &mut Script) {
    let (Some(first), Some(last)) = (raw.tokens.first(), raw.tokens.last()) else {
        return;
    };
    let mut push = |action: Action, comments: Vec<String>| {
        script.statements.push(Statement {
            start: first.start,
            comments,
            action,
        });
    };
    if first.kind == Kind::Meta {
        let command = first.text.split_whitespace().next().unwrap_or_default();
        if matches!(command, "\\c" | "\\connect") {
            push(Action::Connect, Vec::new());
        } else if matches!(command, "\\i" | "\\ir" | "\\include" | "\\include_relative") {
            push(
                Action::Unsaid("another file is included here; import it too".to_owned()),
                Vec::new(),
            );
        }
        return;
    }
    let words = Words::new(text, &raw.tokens);
    if words.begins(&["create", "index"]) || words.begins(&["create", "unique", "index"]) {
        let statement = text.get(first.start..last.end()).unwrap_or_default();
        match create_index(statement) {
            Ok(found) => push(Action::Create(Box::new(found)), comments_above(text, raw)),
            Err(fault) => script.faults.push(Fault {
                message: fault.message,
                start: fault.start + first.start,
                end: fault.end + first.start,
            }),
        }
        return;
    }
    match words.actions() {
        Ok(actions) => {
            for action in actions {
                push(action, Vec::new());
            }
        }
        Err(message) => script.faults.push(Fault {
            message,
            start: first.start,
            end: last.end(),
        }),
    }
    if let Some(place) = hidden(&raw.tokens) {
        script.faults.push(Fault {
            message: "this CREATE INDEX is within another statement and cannot be imported"
                .to_owned(),
            start: place.start,
            end: place.end(),
        });
    }
}

/// Finds a CREATE INDEX that another statement holds: in CREATE SCHEMA, or in the text of a DO block.
fn hidden<'a, 't>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let runs_text = tokens.first().is_some_and(|token| token.is("do"));
    tokens.iter().enumerate().find_map(|(at, token)| {
        let rest = tokens.get(at..).unwrap_or_default();
        let begins = creates_index(rest.iter().take(3).map(|token| token.text));
        let held = token.kind == Kind::Word && begins
            || runs_text && token.kind == Kind::Text && {
                let value = token.value();
                let words: Vec<&str> = value
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .filter(|word| !word.is_empty())
                    .collect();
                words
                    .windows(3)
                    .any(|three| creates_index(three.iter().copied()))
                    || creates_index(words.iter().rev().take(2).rev().copied())
            };
        held.then_some(token)
    })
}

fn creates_index<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    matches!(
        words
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice(),
        ["create", "index", ..] | ["create", "unique", "index", ..]
    )
}

/// Returns the lines of the comments that stand directly above a statement, with no empty line between.
fn comments_above(text: &str, raw: &Raw<'_>) -> Vec<String> {
    let Some(first) = raw.tokens.first() else {
        return Vec::new();
    };
    let mut below = first.start;
    let mut kept = Vec::new();
    for comment in raw.comments.iter().rev() {
        let between = text.get(comment.end()..below).unwrap_or_default();
        let line_start = text.get(..comment.start).is_none_or(|before| {
            before
                .rsplit('\n')
                .next()
                .is_none_or(|line| line.trim().is_empty())
        });
        if between.matches('\n').count() > 1 || !line_start {
            break;
        }
        below = comment.start;
        kept.push(comment_lines(comment.text));
    }
    kept.into_iter().rev().flatten().collect()
}

fn comment_lines(comment: &str) -> Vec<String> {
    let inner = match comment.strip_prefix("/*") {
        Some(rest) => rest.strip_suffix("*/").unwrap_or(rest),
        None => comment.trim_start_matches('-'),
    };
    inner
        .lines()
        .map(|line| line.trim().trim_start_matches("* ").trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

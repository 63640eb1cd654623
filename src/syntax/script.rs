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

#[cfg(test)]
mod tests {
    use super::*;

    const MESSY: &str = r##"\restrict abc
-- it's; not a statement
SELECT pg_catalog.set_config('search_path', '', false);
SET default_tablespace = '';
CREATE TABLE public.notes (id int PRIMARY KEY, body text UNIQUE CHECK (body <> ';'));
COPY public.notes (id, body) FROM stdin;
1	it's; CREATE INDEX nope ON t (a);
2	$$ unbalanced ( "
\.

CREATE FUNCTION f() RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
CREATE FUNCTION g() RETURNS void AS $body$ begin execute 'create index x on y (z);'; end $body$ LANGUAGE plpgsql;
CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);
/* outer /* inner; */ ' still */

-- why it is there
-- in two lines
CREATE INDEX a_idx ON public.notes USING btree (body); -- and this
-- too far above

CREATE UNIQUE INDEX "B;x" ON ONLY app.t (lower(b), (E'it\'s;' || c)) WHERE d = ';';
create index on plain (x)
\gexec
ALTER INDEX app.b ATTACH PARTITION app.b_2026;
ALTER INDEX a_idx ALTER COLUMN 2 SET STATISTICS 500;
ALTER INDEX a_idx RENAME TO b_idx;
ALTER INDEX IF EXISTS a_idx SET TABLESPACE fast;
COMMENT ON INDEX public.a_idx IS 'it''s';
COMMENT ON INDEX a_idx IS NULL;
ALTER TABLE ONLY public.notes
    ADD CONSTRAINT n_key UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (c) WITH (fillfactor='70') USING INDEX TABLESPACE fast,
    ADD PRIMARY KEY (id),
    ADD COLUMN z int;
ALTER TABLE notes ADD CONSTRAINT late UNIQUE (a) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE notes ADD CONSTRAINT u UNIQUE USING INDEX u_idx;
ALTER TABLE notes CLUSTER ON a_idx;
DROP INDEX CONCURRENTLY IF EXISTS old_a, app."Old";
SET search_path TO "$user", app, public;
SET default_tablespace = fast;
\connect other
DO $$ BEGIN PERFORM 1; END $$;
"##;

    fn names(script: &Script) -> Vec<Option<&str>> {
        script
            .statements
            .iter()
            .filter_map(|statement| match &statement.action {
                Action::Create(found) => Some(found.spec.name.as_deref()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn statements_are_told_apart_whatever_stands_between_them() {
        let script = script(MESSY);
        assert_eq!(script.faults, []);
        assert_eq!(names(&script), [Some("a_idx"), Some("B;x"), None]);
        let first = &script.statements[3];
        assert_eq!(
            first.comments,
            ["why it is there", "in two lines", "and this"]
        );
        assert!(MESSY[first.start..].starts_with("CREATE INDEX a_idx"));
        assert_eq!(script.statements[4].comments, [""; 0]);
    }

    #[test]
    fn what_belongs_to_indexes_is_read() {
        let script = script(MESSY);
        let name = |text: &str| {
            let (schema, name) = crate::ident::split_name(text).unwrap();
            ObjectName { schema, name }
        };
        let actions: Vec<&Action> = script
            .statements
            .iter()
            .map(|statement| &statement.action)
            .filter(|action| !matches!(action, Action::Create(_)))
            .collect();
        assert_eq!(
            actions[..9],
            [
                &Action::SearchPath(None),
                &Action::DefaultTablespace(None),
                &Action::Inline(2),
                &Action::Attach(name("app.b_2026")),
                &Action::Statistics(name("a_idx"), 2, 500),
                &Action::Rename(name("a_idx"), "b_idx".to_owned()),
                &Action::Tablespace(name("a_idx"), "fast".to_owned()),
                &Action::Comment(name("public.a_idx"), Some("it's".to_owned())),
                &Action::Comment(name("a_idx"), None),
            ]
        );
        let Action::Constraint(unique) = actions[9] else {
            panic!("{:?}", actions[9]);
        };
        let spec = &unique.index.as_ref().unwrap().spec;
        assert!(spec.unique && spec.nulls_not_distinct && !unique.primary);
        assert_eq!(
            (spec.include.len(), spec.tablespace.as_deref()),
            (1, Some("fast"))
        );
        assert_eq!(spec.with["fillfactor"], "70");
        let Action::Constraint(primary) = actions[10] else {
            panic!("{:?}", actions[10]);
        };
        assert!(primary.primary && primary.name.is_none());
        assert!(matches!(actions[11], Action::Constraint(late) if late.index.is_none()));
        assert!(matches!(actions[12], Action::UsingIndex { index, .. } if index == "u_idx"));
        assert!(matches!(actions[13], Action::Unsaid(_)));
        assert_eq!(
            actions[14..],
            [
                &Action::Drop(vec![name("old_a"), name("app.\"Old\"")]),
                &Action::SearchPath(Some("app".to_owned())),
                &Action::DefaultTablespace(Some("fast".to_owned())),
                &Action::Connect,
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_placed_and_never_dropped() {
        for (text, at) in [
            ("select 1; create index i on t (a b c);", "c);"),
            (
                "create index i on t (a) where b = 'x; create index j on t (a);",
                "'x",
            ),
            ("create index i on t ((a);\ncreate index j on t (a);", "((a"),
            ("select 1; /* x", "/*"),
            ("create function f() as $x$ y", "$x$"),
            ("select \"a", "\"a"),
            (
                "do $$ begin create unique\n index i on t (a); end $$;",
                "$$",
            ),
            (
                "create schema s create table t (a int) create index i on t (a);",
                "create index",
            ),
            ("alter index i set (fillfactor = 50);", "alter"),
            ("create index i on :schema.t (a);", ":"),
            (
                "create index an_index_name_that_is_longer_than_postgresql_keeps_it_at_sixty_three on t (a)",
                "create",
            ),
        ] {
            let script = script(text);
            let start = script.faults.first().map(|fault| fault.start);
            assert_eq!(start, text.find(at), "{text}\n{script:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in r#"([ -~\n]|create index |;|\$\$|'|"|--|/\*|\*/|\\)*"#) {
            script(&text);
        }

        #[test]
        fn a_damaged_script_is_read(cut in 0..MESSY.len(), length in 0..40_usize) {
            let mut text = MESSY.to_owned();
            text.replace_range(cut..(cut + length).min(MESSY.len()), "");
            script(&text);
        }
    }
}

//! Statements about indexes other than CREATE INDEX, read word by word.

use super::create_index::create_index;
use super::index_spec::ObjectName;
use super::lexer::{Kind, Token};
use super::script::{Action, Constraint};
use crate::ident::{quote_ident, split_name};

/// A statement as words, with a place in it.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    text: &'a str,
    tokens: &'a [Token<'a>],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a [Token<'a>]) -> Self {
        Self { text, tokens }
    }

    /// Whether the statement goes on with these keywords.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        self.tokens.len() >= words.len()
            && words
                .iter()
                .zip(self.tokens)
                .all(|(word, token)| token.is(word))
    }

    /// Passes over these keywords where they come next.
    fn take(&mut self, words: &[&str]) -> bool {
        let found = self.begins(words);
        if found {
            self.tokens = self.tokens.get(words.len()..).unwrap_or_default();
        }
        found
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn next_is(&self, symbol: &str) -> bool {
        self.tokens
            .first()
            .is_some_and(|token| token.is_symbol(symbol))
    }

    /// Reads a name of one or two parts.
    fn name(&mut self) -> Result<ObjectName, String> {
        let mut written = String::new();
        loop {
            match self.next() {
                Some(part) if matches!(part.kind, Kind::Word | Kind::Quoted) => {
                    written.push_str(part.text);
                }
                _ => return Err("a name is missing in this statement".to_owned()),
            }
            if !self.next_is(".") {
                break;
            }
            self.next();
            written.push('.');
        }
        let (schema, name) = split_name(&written)?;
        Ok(ObjectName { schema, name })
    }

    fn simple_name(&mut self) -> Result<String, String> {
        self.name().map(|name| name.name)
    }

    /// Reads what comes in parentheses, as it was written.
    fn bracketed(&mut self) -> Result<&'a str, String> {
        let missing = || "a list in parentheses is missing in this statement".to_owned();
        if !self.next_is("(") {
            return Err(missing());
        }
        let start = self.next().map(|token| token.end()).ok_or_else(missing)?;
        let mut depth = 1;
        while let Some(token) = self.next() {
            if token.is_symbol("(") {
                depth += 1;
            } else if token.is_symbol(")") {
                depth -= 1;
                if depth == 0 {
                    return self.text.get(start..token.start).ok_or_else(missing);
                }
            }
        }
        Err(missing())
    }

    /// Splits at commas that are in no parentheses.
    fn split(&self) -> Vec<Words<'a>> {
        let mut depth = 0_usize;
        self.tokens
            .split(|token| {
                if token.is_symbol("(") {
                    depth += 1;
                } else if token.is_symbol(")") {
                    depth = depth.saturating_sub(1);
                }
                depth == 0 && token.is_symbol(",")
            })
            .map(|tokens| Words {
                text: self.text,
                tokens,
            })
            .collect()
    }

    /// Returns what the statement does to indexes.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub(super) fn actions(mut self) -> Result<Vec<Action>, String> {
        if self.take(&["comment", "on", "index"]) {
            let name = self.name()?;
            if !self.take(&["is"]) {
                return Err("COMMENT ON INDEX lacks IS".to_owned());
            }
            let text = self.next().filter(|token| token.kind == Kind::Text);
            return Ok(vec![Action::Comment(name, text.map(|token| token.value()))]);
        }
        if self.take(&["alter", "index"]) {
            if self.begins(&["all"]) {
                return Ok(vec![Action::Unsaid(
                    "ALTER INDEX ALL is left out".to_owned(),
                )]);
            }
            self.take(&["if", "exists"]);
            let name = self.name()?;
            return Ok(vec![self.alter_index(name)?]);
        }
        if self.take(&["drop", "index"]) {
            self.take(&["concurrently"]);
            self.take(&["if", "exists"]);
            let names = self.split().into_iter().map(|mut name| name.name());
            return Ok(vec![Action::Drop(names.collect::<Result<_, _>>()?)]);
        }
        if self.take(&["alter", "table"]) || self.take(&["alter", "materialized", "view"]) {
            self.take(&["if", "exists"]);
            self.take(&["only"]);
            let table = self.name()?;
            if self.next_is("*") {
                self.next();
            }
            let parts = self.split().into_iter();
            let actions = parts.filter_map(|part| part.alter_table(&table).transpose());
            return actions.collect();
        }
        if self.take(&["create"]) {
            for word in [
                "global",
                "local",
                "temporary",
                "temp",
                "unlogged",
                "foreign",
            ] {
                self.take(&[word]);
            }
            let inline = if self.take(&["table"]) {
                self.inline()
            } else {
                0
            };
            return Ok((inline > 0)
                .then_some(Action::Inline(inline))
                .into_iter()
                .collect());
        }
        Ok(self.setting().into_iter().collect())
    }

    fn alter_index(mut self, name: ObjectName) -> Result<Action, String> {
        if self.take(&["attach", "partition"]) {
            return Ok(Action::Attach(self.name()?));
        }
        if self.take(&["rename", "to"]) {
            return Ok(Action::Rename(name, self.simple_name()?));
        }
        if self.take(&["set", "tablespace"]) {
            return Ok(Action::Tablespace(name, self.simple_name()?));
        }
        if self.take(&["alter"]) {
            self.take(&["column"]);
            let position = self.number()?;
            if self.take(&["set", "statistics"]) {
                return Ok(Action::Statistics(name, position, self.number()?));
            }
        } else if self.begins(&["depends"])
            || self.begins(&["no", "depends"])
            || self.begins(&["owner"])
        {
            return Ok(Action::Unsaid(
                "an owner or a dependency of an index is left out".to_owned(),
            ));
        }
        Err("this ALTER INDEX changes an index in a way that is not read; write it into CREATE INDEX".to_owned())
    }

    fn number(&mut self) -> Result<i16, String> {
        let negative = self.next_is("-");
        if negative {
            self.next();
        }
        let number: Option<i16> = self.next().and_then(|token| token.text.parse().ok());
        number
            .map(|number| if negative { -number } else { number })
            .ok_or_else(|| "a number is missing in this statement".to_owned())
    }

    fn alter_table(mut self, table: &ObjectName) -> Result<Option<Action>, String> {
        if self.take(&["cluster", "on"]) {
            let index = self.simple_name()?;
            return Ok(Some(Action::Unsaid(format!(
                "CLUSTER ON `{index}` is left out: plan files say nothing of it"
            ))));
        }
        if self.take(&["replica", "identity", "using", "index"]) {
            let index = self.simple_name()?;
            return Ok(Some(Action::Unsaid(format!(
                "REPLICA IDENTITY USING INDEX `{index}` is left out: plan files say nothing of it"
            ))));
        }
        if !self.take(&["add"]) {
            return Ok(None);
        }
        let name = if self.take(&["constraint"]) {
            Some(self.simple_name()?)
        } else {
            None
        };
        let primary = self.take(&["primary", "key"]);
        if !primary && !self.take(&["unique"]) {
            if self.begins(&["exclude"]) {
                return Ok(Some(Action::Unsaid(format!(
                    "the exclusion constraint `{}` is left out: no index alone can say it",
                    name.unwrap_or_default()
                ))));
            }
            return Ok(None);
        }
        if self.take(&["using", "index"]) {
            let index = self.simple_name()?;
            return Ok(Some(Action::UsingIndex {
                table: table.clone(),
                name,
                index,
                primary,
            }));
        }
        let index = self.constraint_index(table, name.as_deref())?;
        Ok(Some(Action::Constraint(Constraint {
            table: table.clone(),
            name,
            primary,
            index: index.map(Box::new),
        })))
    }

    /// Reads the rest of a constraint as the unique index that the server makes of it.
    fn constraint_index(
        mut self,
        table: &ObjectName,
        name: Option<&str>,
    ) -> Result<Option<super::create_index::CreateIndex>, String> {
        let nulls = if self.take(&["nulls", "not", "distinct"]) {
            " nulls not distinct"
        } else {
            self.take(&["nulls", "distinct"]);
            ""
        };
        let columns = self.bracketed()?;
        let mut sql = format!(
            "create unique index {} on {}{} ({columns})",
            name.map_or_else(String::new, quote_ident),
            table
                .schema
                .as_deref()
                .map_or_else(String::new, |schema| format!("{}.", quote_ident(schema))),
            quote_ident(&table.name),
        );
        if self.take(&["include"]) {
            sql.push_str(&format!(" include ({})", self.bracketed()?));
        }
        sql.push_str(nulls);
        if self.take(&["with"]) {
            sql.push_str(&format!(" with ({})", self.bracketed()?));
        }
        if self.take(&["using", "index", "tablespace"]) {
            sql.push_str(&format!(
                " tablespace {}",
                quote_ident(&self.simple_name()?)
            ));
        }
        let deferrable = self.begins(&["deferrable"]) || self.begins(&["initially", "deferred"]);
        let temporal = columns.to_ascii_lowercase().contains("without overlaps");
        if deferrable || temporal {
            return Ok(None);
        }
        create_index(&sql).map(Some).map_err(|fault| fault.message)
    }

    /// Counts PRIMARY KEY and UNIQUE within CREATE TABLE.
    fn inline(&self) -> usize {
        let primary = |pair: &[Token<'_>]| matches!(pair, [a, b] if a.is("primary") && b.is("key"));
        self.tokens.windows(2).filter(|pair| primary(pair)).count()
            + self
                .tokens
                .iter()
                .filter(|token| token.is("unique"))
                .count()
    }

    /// Reads SET and set_config() of what decides where an index goes.
    fn setting(mut self) -> Option<Action> {
        let value = if self.take(&["set"]) {
            self.take(&["session"]);
            self.take(&["local"]);
            let name = self.next()?;
            if self.next_is("=") {
                self.next();
            } else if !self.take(&["to"]) {
                return None;
            }
            (name.text.to_ascii_lowercase(), self.first_name())
        } else if self.take(&["select"]) {
            self.tokens = self
                .tokens
                .iter()
                .position(|token| token.is("set_config"))
                .and_then(|at| self.tokens.get(at + 2..))?;
            let name = self.next()?.value().to_ascii_lowercase();
            let value = self.tokens.get(1)?.value();
            let first = value
                .split(',')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            (name, first)
        } else {
            return None;
        };
        let (name, value) = value;
        let given = !value.is_empty() && !value.eq_ignore_ascii_case("default");
        let value = given.then_some(value);
        match name.as_str() {
            "search_path" => Some(Action::SearchPath(value)),
            "default_tablespace" => Some(Action::DefaultTablespace(value)),
            _ => None,
        }
    }

    /// The first name of a list that new objects can go to.
    fn first_name(&self) -> String {
        self.tokens
            .iter()
            .filter(|token| !token.is_symbol(","))
            .map(|token| match token.kind {
                Kind::Text => token.value(),
                _ => split_name(token.text).map_or_else(|_| String::new(), |(_, name)| name),
            })
            .find(|name| name != "$user" && name != "pg_catalog")
            .unwrap_or_default()
    }
}

//! Table aliases by order of appearance, and which numbers are structure: both need to know the clause.
//!
//! PostgreSQL 18 keeps one entry per alias where older servers keep one. Aliases are found by tokens: what follows a
//! table in FROM, JOIN, USING, UPDATE, INTO. A name then stands for the alias of the nearest query around it.

use crate::syntax::items::{Item, Kind};
use crate::syntax::words::{Class, Word};

/// An alias of a query.
pub(super) struct Alias<'a> {
    scope: u16,
    kind: Kind,
    text: &'a str,
}

/// The aliases of a statement.
pub(super) struct Aliases<'a> {
    /// In order of appearance.
    found: Vec<Alias<'a>>,
    /// The query around each query.
    parents: Vec<u16>,
}

/// More than any person or ORM writes; the rest keep their names, so that no text takes quadratic time.
const MOST: usize = 250;

/// How many queries further out an alias is looked for.
const MOST_STEPS: u16 = 24;

/// What is expected in a list of tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Nothing,
    Table,
    Alias,
}

/// The inside of a parenthesis, or the statement.
#[derive(Clone, Copy)]
struct Frame {
    scope: u16,
    /// The query around it.
    outer: u16,
    expect: Expect,
    /// Whether it is a query, which can have FROM.
    query: bool,
    /// Whether a comma leads to another table.
    list: bool,
    /// Whether an alias needs AS, as in INSERT.
    needs_as: bool,
    /// Whether it is in ORDER BY or GROUP BY, where a number is a position.
    by: bool,
    /// Whether it is the length of a type.
    length: bool,
    /// Whether an alias may follow its closing parenthesis.
    is_table: bool,
    /// Where it opens.
    from: usize,
}

impl Frame {
    fn new(scope: u16, outer: u16) -> Self {
        Self {
            scope,
            outer,
            expect: Expect::Nothing,
            query: false,
            list: false,
            needs_as: false,
            by: false,
            length: false,
            is_table: false,
            from: 0,
        }
    }
}

struct Finder<'a, 'b> {
    items: &'b mut [Item<'a>],
    at: usize,
    frames: Vec<Frame>,
    frame: Frame,
    aliases: Aliases<'a>,
    /// Whether the statement can have table aliases.
    data: bool,
}

/// Finds aliases, notes the query that each token stands in, and pairs parentheses, makes constants of the numbers that are none.
pub(super) fn find<'a>(items: &mut [Item<'a>]) -> Aliases<'a> {
    let data = items.first().is_some_and(|first| {
        first.is_mark("(")
            || matches!(
                first.word,
                Word::Select
                    | Word::Insert
                    | Word::Update
                    | Word::Delete
                    | Word::Merge
                    | Word::With
                    | Word::Values
                    | Word::Create
                    | Word::Declare
                    | Word::Prepare
                    | Word::Copy
            )
            || first.text.eq_ignore_ascii_case("explain")
    });
    let mut finder = Finder {
        items,
        at: 0,
        frames: Vec::new(),
        frame: Frame::new(0, 0),
        aliases: Aliases {
            found: Vec::new(),
            parents: vec![0],
        },
        data,
    };
    while finder.at < finder.items.len() {
        finder.step();
        finder.at += 1;
    }
    finder.aliases
}

impl<'a> Finder<'a, '_> {
    fn get(&self, at: usize) -> Option<Item<'a>> {
        self.items.get(at).copied()
    }

    /// The word `by` tokens after the current one.
    fn ahead(&self, by: usize) -> Word {
        self.items
            .get(self.at + by)
            .map_or(Word::None, |item| item.word)
    }

    /// The token before the current one.
    fn before(&self) -> Option<Item<'a>> {
        self.get(self.at.checked_sub(1)?)
    }

    fn step(&mut self) {
        let Some(item) = self.get(self.at) else {
            return;
        };
        let scope = self.frame.scope;
        if let Some(here) = self.items.get_mut(self.at) {
            here.scope = scope;
        }
        match item.kind {
            Kind::Number => self.number(),
            Kind::Mark if item.text == "(" => return self.open(),
            Kind::Mark if item.text == ")" => return self.close(),
            _ => {}
        }
        if !self.data {
            return;
        }
        match self.frame.expect {
            Expect::Table => self.table(&item),
            Expect::Alias => self.alias(&item),
            Expect::Nothing => self.clause(&item),
        }
    }

    /// Positions and lengths stay numbers.
    fn number(&mut self) {
        let position = self.frame.by
            && self.before().is_some_and(|before| {
                before.word == Word::By || before.is_mark(",") || before.is_mark("(")
            });
        if !position
            && !self.frame.length
            && let Some(item) = self.items.get_mut(self.at)
        {
            item.conceal();
        }
    }

    fn open(&mut self) {
        let parent = self.frame;
        let inner = self.ahead(1);
        let is_query = matches!(
            inner,
            Word::Select
                | Word::With
                | Word::Values
                | Word::Insert
                | Word::Update
                | Word::Delete
                | Word::Merge
        );
        let mut frame = Frame::new(parent.scope, parent.outer);
        let before = self.before();
        if is_query {
            frame = Frame::new(self.scope(parent.scope), parent.scope);
        } else {
            let word = before.map_or(Word::None, |before| before.word);
            let nests = before.is_some_and(|before| before.is_mark("(") || before.is_mark(","));
            frame.by = parent.by
                && (nests
                    || matches!(word, Word::Rollup | Word::Cube | Word::By)
                    || before.is_some_and(|before| before.text.eq_ignore_ascii_case("sets")));
            frame.length = self.is_length(before.as_ref());
        }
        if parent.expect == Expect::Table {
            frame.is_table = true;
            if !is_query {
                frame.expect = Expect::Table;
                frame.query = true;
                frame.list = true;
            }
        }
        frame.from = self.at;
        self.frames.push(parent);
        self.frame = frame;
    }

    fn close(&mut self) {
        let Frame { is_table, from, .. } = self.frame;
        let Some(parent) = self.frames.pop() else {
            return;
        };
        self.frame = parent;
        if let Some(open) = self.items.get_mut(from) {
            open.close = u32::try_from(self.at).ok();
        }
        if is_table {
            self.frame.expect = Expect::Alias;
        }
    }

    /// Whether the parenthesis holds the length of a type: `varchar(10)`, `x::vector(3)`, `cast(x as vector(3))`.
    fn is_length(&self, before: Option<&Item<'a>>) -> bool {
        let Some(name) = before.filter(|before| matches!(before.kind, Kind::Name | Kind::Quoted))
        else {
            return false;
        };
        let known = matches!(
            name.word,
            Word::Varchar
                | Word::Char
                | Word::Character
                | Word::Varying
                | Word::Nchar
                | Word::Bpchar
                | Word::Numeric
                | Word::Decimal
                | Word::Dec
                | Word::Float
                | Word::Bit
                | Word::Time
                | Word::Timestamp
                | Word::Timetz
                | Word::Timestamptz
                | Word::Interval
        );
        let follows = self
            .at
            .checked_sub(2)
            .and_then(|at| self.get(at))
            .is_some_and(|item| {
                item.is_mark("::") || (item.word == Word::As && name.class != Class::Reserved)
            });
        known || follows
    }

    /// Opens a query inside another.
    fn scope(&mut self, parent: u16) -> u16 {
        match u16::try_from(self.aliases.parents.len()) {
            Ok(scope) => {
                self.aliases.parents.push(parent);
                scope
            }
            Err(_) => parent,
        }
    }

    /// A table is expected.
    fn table(&mut self, item: &Item<'a>) {
        if matches!(item.word, Word::Only | Word::Lateral) {
            return;
        }
        if item.word == Word::Rows && self.ahead(1) == Word::From {
            self.at += 1;
            return;
        }
        if !item.is_name() && item.class != Class::Function {
            self.frame.expect = Expect::Nothing;
            return self.clause(item);
        }
        if let Some(name) = self.items.get_mut(self.at) {
            name.is_table = true;
        }
        // A name of several parts, and `*` for the tables below it.
        while self.get(self.at + 1).is_some_and(|next| next.is_mark(".")) {
            self.at += 2;
        }
        if self.get(self.at + 1).is_some_and(|next| next.is_mark("*")) {
            self.at += 1;
        }
        self.frame.expect = Expect::Alias;
    }

    /// An alias may come.
    fn alias(&mut self, item: &Item<'a>) {
        if item.word == Word::With && self.ahead(1) == Word::Ordinality {
            self.at += 1;
            return;
        }
        self.frame.expect = Expect::Nothing;
        if item.word == Word::As {
            // A list of columns without an alias may follow.
            if self
                .get(self.at + 1)
                .is_some_and(|next| matches!(next.kind, Kind::Name | Kind::Quoted))
            {
                if let Some(word) = self.items.get_mut(self.at) {
                    word.kind = Kind::Silent;
                }
                self.at += 1;
                self.define();
            }
        } else if item.is_name() && item.word != Word::Set && !self.frame.needs_as {
            self.define();
        } else {
            self.clause(item);
        }
    }

    /// Takes the current token for an alias.
    fn define(&mut self) {
        let (scope, at) = (self.frame.scope, self.at);
        let number = self.aliases.found.len();
        let Some(item) = self.items.get_mut(at).filter(|_| number < MOST) else {
            return;
        };
        self.aliases.found.push(Alias {
            scope,
            kind: item.kind,
            text: item.text,
        });
        item.kind = Kind::Alias(u16::try_from(number).unwrap_or(u16::MAX));
        item.word = Word::None;
    }

    /// Any other token: which clause begins?
    fn clause(&mut self, item: &Item<'a>) {
        if item.kind == Kind::Mark {
            if item.text == "," && self.frame.list {
                self.frame.expect = Expect::Table;
            }
            return;
        }
        let before = self.before().map_or(Word::None, |before| before.word);
        match item.word {
            Word::Select => {
                self.frame.query = true;
                self.frame.list = false;
            }
            Word::From if self.frame.query && before != Word::Distinct => self.tables(true),
            Word::Delete => self.frame.query = true,
            Word::Join => self.frame.expect = Expect::Table,
            Word::Into if matches!(before, Word::Insert | Word::Merge) => {
                self.tables(false);
                self.frame.needs_as = before == Word::Insert;
            }
            Word::Update if self.begins() && self.ahead(1) != Word::Set => self.tables(false),
            Word::Using if self.frame.query => {
                let next = self.get(self.at + 1);
                let query = matches!(self.ahead(2), Word::Select | Word::With | Word::Values);
                if next.is_some_and(|next| {
                    next.is_name() || matches!(next.word, Word::Only | Word::Lateral)
                }) || (next.is_some_and(|next| next.is_mark("(")) && query)
                {
                    self.tables(true);
                }
            }
            Word::By => {
                self.frame.by = matches!(before, Word::Order | Word::Group);
                self.frame.list = false;
            }
            Word::Union | Word::Intersect | Word::Except => {
                let outer = self.frame.outer;
                self.frame.scope = self.scope(outer);
                self.frame.list = false;
                self.frame.by = false;
            }
            Word::Where
            | Word::Set
            | Word::Group
            | Word::Order
            | Word::Having
            | Word::Window
            | Word::Limit
            | Word::Offset
            | Word::Fetch
            | Word::For
            | Word::Returning
            | Word::When
            | Word::Values => {
                self.frame.list = false;
                self.frame.by = false;
            }
            _ => {}
        }
    }

    /// A list of tables begins.
    fn tables(&mut self, list: bool) {
        self.frame.query = true;
        self.frame.expect = Expect::Table;
        self.frame.list = list;
        self.frame.needs_as = false;
        self.frame.by = false;
    }

    /// Whether a statement can begin here: `for update`, `do update` and `then update` are none.
    fn begins(&self) -> bool {
        self.before().is_none_or(|before| {
            before.is_mark("(")
                || before.is_mark(")")
                || matches!(before.word, Word::As | Word::Analyze | Word::Verbose)
                || before.text.eq_ignore_ascii_case("explain")
        })
    }
}

/// Puts the number of an alias where its name stands.
pub(super) fn replace(items: &mut [Item<'_>], aliases: &Aliases<'_>) {
    if aliases.found.is_empty() {
        return;
    }
    for at in 0..items.len() {
        let Some(item) = items.get(at) else { continue };
        if item.is_table || !matches!(item.kind, Kind::Name | Kind::Quoted) {
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| items.get(at));
        let after = items.get(at + 1);
        // What follows a dot is a column, what follows AS the name of a result's column.
        let other = before.is_some_and(|before| before.is_mark(".") || before.word == Word::As)
            || after.is_some_and(|after| after.is_mark("("));
        if other {
            continue;
        }
        if let Some(number) = aliases.number(item)
            && let Some(item) = items.get_mut(at)
        {
            item.kind = Kind::Alias(number);
            item.word = Word::None;
        }
    }
}

impl Aliases<'_> {
    /// Which alias a name stands for: that of the nearest query.
    fn number(&self, item: &Item<'_>) -> Option<u16> {
        let mut best: Option<(u16, u16)> = None;
        for (number, alias) in self.found.iter().enumerate() {
            if !same_name(item, alias) {
                continue;
            }
            let Some(distance) = self.distance(item.scope, alias.scope) else {
                continue;
            };
            if best.is_none_or(|(nearest, _)| distance < nearest) {
                best = Some((distance, u16::try_from(number).ok()?));
            }
        }
        best.map(|(_, number)| number)
    }

    /// How many queries lie between; `None`: the alias is not seen there.
    fn distance(&self, from: u16, to: u16) -> Option<u16> {
        let mut at = from;
        let mut steps = 0;
        while at != to {
            // Queries nest less deep, and a text must not take quadratic time.
            if at == 0 || steps == MOST_STEPS {
                return None;
            }
            at = self.parents.get(usize::from(at)).copied()?;
            steps += 1;
        }
        Some(steps)
    }
}

fn same_name(item: &Item<'_>, alias: &Alias<'_>) -> bool {
    item.kind == alias.kind
        && item.text.len() == alias.text.len()
        && match item.kind {
            Kind::Quoted => item.text == alias.text,
            _ => item.text.eq_ignore_ascii_case(alias.text),
        }
}

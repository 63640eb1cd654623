//! Keywords of PostgreSQL: which may be names, and which the readers of this room look at.
//!
//! Classes as in `pg_get_keywords()` of PostgreSQL 18; of those that are free as names only the ones that a reader asks
//! for are listed. See <https://www.postgresql.org/docs/current/sql-keywords-appendix.html>.

/// What a keyword may be besides a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Any name.
    Free,
    /// A column or a table, not a function: `char`, `values`.
    Special,
    /// A function or a type, not a column: `left`, `is`.
    Function,
    /// Nothing: `select`, `user`.
    Reserved,
}

macro_rules! words {
    ($($name:ident $text:literal $class:ident,)*) => {
        /// A keyword, or none that is known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Word {
            /// A name.
            None,
            $(#[doc = $text] $name,)*
        }

        /// Keywords in order of their letters.
        static WORDS: &[(&[u8], Class, Word)] = &[$(($text.as_bytes(), Class::$class, Word::$name),)*];
    };
}

#[rustfmt::skip]
words! {
    Abort "abort" Free, Absolute "absolute" Free, All "all" Reserved, Alter "alter" Free,
    Analyse "analyse" Reserved, Analyze "analyze" Reserved, And "and" Reserved, Any "any" Reserved,
    Array "array" Reserved, As "as" Reserved, Asc "asc" Reserved, Asymmetric "asymmetric" Reserved, At "at" Free,
    Authorization "authorization" Function, Backward "backward" Free, Begin "begin" Free, Between "between" Special,
    Bigint "bigint" Special, Binary "binary" Function, Bit "bit" Special, Boolean "boolean" Special,
    Both "both" Reserved, Bpchar "bpchar" Free, By "by" Free, Call "call" Free, Case "case" Reserved,
    Cast "cast" Reserved, Char "char" Special, Character "character" Special,
    Characteristics "characteristics" Free, Check "check" Reserved, Checkpoint "checkpoint" Free,
    Close "close" Free, Cluster "cluster" Free, Coalesce "coalesce" Special, Collate "collate" Reserved,
    Collation "collation" Function, Column "column" Reserved, Comment "comment" Free, Commit "commit" Free,
    Concurrently "concurrently" Function, Conflict "conflict" Free, Constraint "constraint" Reserved,
    Constraints "constraints" Free, Copy "copy" Free, Create "create" Reserved, Cross "cross" Function,
    Cube "cube" Free, CurrentCatalog "current_catalog" Reserved, CurrentDate "current_date" Reserved,
    CurrentRole "current_role" Reserved, CurrentSchema "current_schema" Function,
    CurrentTime "current_time" Reserved, CurrentTimestamp "current_timestamp" Reserved,
    CurrentUser "current_user" Reserved, Cursor "cursor" Free, Deallocate "deallocate" Free, Dec "dec" Special,
    Decimal "decimal" Special, Declare "declare" Free, Default "default" Reserved, Deferrable "deferrable" Reserved,
    Delete "delete" Free, Desc "desc" Reserved, Discard "discard" Free, Distinct "distinct" Reserved,
    Do "do" Reserved, Drop "drop" Free, Else "else" Reserved, Encrypted "encrypted" Free, End "end" Reserved,
    Escape "escape" Free, Except "except" Reserved, Execute "execute" Free, Exists "exists" Special,
    Explain "explain" Free, Extract "extract" Special, False "false" Reserved, Fetch "fetch" Reserved,
    Filter "filter" Free, First "first" Free, Float "float" Special, For "for" Reserved, Foreign "foreign" Reserved,
    Forward "forward" Free, Freeze "freeze" Function, From "from" Reserved, Full "full" Function,
    Grant "grant" Reserved, Greatest "greatest" Special, Group "group" Reserved, Grouping "grouping" Special,
    Having "having" Reserved, Ilike "ilike" Function, Import "import" Free, In "in" Reserved,
    Initially "initially" Reserved, Inner "inner" Function, Inout "inout" Special, Insert "insert" Free,
    Int "int" Special, Integer "integer" Special, Intersect "intersect" Reserved, Interval "interval" Special,
    Into "into" Reserved, Is "is" Function, Isnull "isnull" Function, Join "join" Function, Json "json" Special,
    JsonArray "json_array" Special, JsonArrayagg "json_arrayagg" Special, JsonExists "json_exists" Special,
    JsonObject "json_object" Special, JsonObjectagg "json_objectagg" Special, JsonQuery "json_query" Special,
    JsonScalar "json_scalar" Special, JsonSerialize "json_serialize" Special, JsonTable "json_table" Special,
    JsonValue "json_value" Special, Key "key" Free, Lateral "lateral" Reserved, Leading "leading" Reserved,
    Least "least" Special, Left "left" Function, Like "like" Function, Limit "limit" Reserved, Listen "listen" Free,
    Load "load" Free, Local "local" Free, Localtime "localtime" Reserved, Localtimestamp "localtimestamp" Reserved,
    Lock "lock" Free, Locked "locked" Free, Mapping "mapping" Free, Matched "matched" Free,
    Materialized "materialized" Free, Merge "merge" Free, MergeAction "merge_action" Special, Move "move" Free,
    Names "names" Free, National "national" Special, Natural "natural" Function, Nchar "nchar" Special,
    Next "next" Free, No "no" Free, NoKind "none" Special, Normalize "normalize" Special, Not "not" Reserved,
    Nothing "nothing" Free, Notify "notify" Free, Notnull "notnull" Function, Nowait "nowait" Free,
    Null "null" Reserved, Nullif "nullif" Special, Nulls "nulls" Free, Numeric "numeric" Special, Of "of" Free,
    Offset "offset" Reserved, On "on" Reserved, Only "only" Reserved, Operator "operator" Free,
    Option "option" Free, Options "options" Free, Or "or" Reserved, Order "order" Reserved,
    Ordinality "ordinality" Free, Out "out" Special, Outer "outer" Function, Over "over" Free,
    Overlaps "overlaps" Function, Overlay "overlay" Special, Partition "partition" Free, Password "password" Free,
    Placing "placing" Reserved, Position "position" Special, Precision "precision" Special, Prepare "prepare" Free,
    Primary "primary" Reserved, Real "real" Special, Recursive "recursive" Free, References "references" Reserved,
    Refresh "refresh" Free, Reindex "reindex" Free, Relative "relative" Free, Release "release" Free,
    Reset "reset" Free, Returning "returning" Reserved, Right "right" Function, Role "role" Free,
    Rollback "rollback" Free, Rollup "rollup" Free, Row "row" Special, Rows "rows" Free, Savepoint "savepoint" Free,
    Schema "schema" Free, Security "security" Free, Select "select" Reserved, Server "server" Free,
    Session "session" Free, SessionUser "session_user" Reserved, Set "set" Free, Setof "setof" Special,
    Sets "sets" Free, Share "share" Free, Show "show" Free, Similar "similar" Function, Skip "skip" Free,
    Smallint "smallint" Special, Some "some" Reserved, Start "start" Free, Subscription "subscription" Free,
    Substring "substring" Special, Symmetric "symmetric" Reserved, SystemUser "system_user" Reserved,
    Table "table" Reserved, Tablesample "tablesample" Function, Then "then" Reserved, Time "time" Special,
    Timestamp "timestamp" Special, Timestamptz "timestamptz" Free, Timetz "timetz" Free, To "to" Reserved,
    Trailing "trailing" Reserved, Transaction "transaction" Free, Treat "treat" Special, Trim "trim" Special,
    True "true" Reserved, Truncate "truncate" Free, Union "union" Reserved, Unique "unique" Reserved,
    Unlisten "unlisten" Free, Update "update" Free, User "user" Reserved, Using "using" Reserved,
    Vacuum "vacuum" Free, Values "values" Special, Varchar "varchar" Special, Variadic "variadic" Reserved,
    Varying "varying" Free, Verbose "verbose" Function, When "when" Reserved, Where "where" Reserved,
    Window "window" Reserved, With "with" Reserved, Within "within" Free, Xmlattributes "xmlattributes" Special,
    Xmlconcat "xmlconcat" Special, Xmlelement "xmlelement" Special, Xmlexists "xmlexists" Special,
    Xmlforest "xmlforest" Special, Xmlnamespaces "xmlnamespaces" Special, Xmlparse "xmlparse" Special,
    Xmlpi "xmlpi" Special, Xmlroot "xmlroot" Special, Xmlserialize "xmlserialize" Special,
    Xmltable "xmltable" Special, Zone "zone" Free,
}

/// Where the words of each letter begin in [`WORDS`], and where the last end.
static STARTS: [u16; 27] = starts();

const fn starts() -> [u16; 27] {
    let mut found = [0; 27];
    let mut letter = 0;
    let mut at = 0;
    while letter < 27 {
        while at < WORDS.len() && WORDS[at].0[0] < b'a' + letter as u8 {
            at += 1;
        }
        found[letter] = at as u16;
        letter += 1;
    }
    found
}

/// Finds a word written in any case.
pub(super) fn lookup(text: &str) -> (Word, Class) {
    let bytes = text.as_bytes();
    let Some(letter) = bytes
        .first()
        .map(|first| first | 0x20)
        .filter(u8::is_ascii_lowercase)
        .map(|first| usize::from(first - b'a'))
    else {
        return (Word::None, Class::Free);
    };
    let range = match (STARTS.get(letter), STARTS.get(letter + 1)) {
        (Some(&from), Some(&to)) => usize::from(from)..usize::from(to),
        _ => 0..0,
    };
    WORDS
        .get(range)
        .into_iter()
        .flatten()
        .find(|(word, ..)| word.eq_ignore_ascii_case(bytes))
        .map_or((Word::None, Class::Free), |&(_, class, word)| (word, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case_and_only_whole() {
        assert!(WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for &(text, class, word) in WORDS {
            let text = std::str::from_utf8(text).unwrap();
            assert_eq!(lookup(text), (word, class));
            assert_eq!(lookup(&text.to_uppercase()), (word, class));
            assert_eq!(lookup(&format!("{text}_")).0, Word::None);
        }
        for name in ["", "_select", "\u{e9}", "id", "zzz", "[select"] {
            assert_eq!(lookup(name).0, Word::None, "{name}");
        }
    }
}

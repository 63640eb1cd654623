//! Which ORM wrote a statement, as far as its SQL tells.

use serde::Serialize;

use super::observation::Group;

/// A library that writes SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orm {
    Prisma,
    TypeOrm,
    Sequelize,
    Drizzle,
    Knex,
    Django,
    SqlAlchemy,
    ActiveRecord,
    Hibernate,
    Ecto,
    Eloquent,
    Unknown,
}

impl Orm {
    /// As it is written in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prisma => "Prisma",
            Self::TypeOrm => "TypeORM",
            Self::Sequelize => "Sequelize",
            Self::Drizzle => "Drizzle",
            Self::Knex => "Knex or Objection",
            Self::Django => "Django",
            Self::SqlAlchemy => "SQLAlchemy",
            Self::ActiveRecord => "ActiveRecord",
            Self::Hibernate => "Hibernate",
            Self::Ecto => "Ecto",
            Self::Eloquent => "Eloquent",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns the ORM of most statements of a group that show one.
pub(super) fn of_group(group: &Group) -> Orm {
    let mut seen: Vec<(Orm, usize)> = Vec::new();
    for statement in &group.statements {
        let orm = of(&statement.text);
        if orm != Orm::Unknown {
            match seen.iter_mut().find(|(known, _)| *known == orm) {
                Some((_, count)) => *count += 1,
                None => seen.push((orm, 1)),
            }
        }
    }
    seen.into_iter()
        .max_by_key(|(orm, count)| (*count, std::cmp::Reverse(*orm)))
        .map_or(Orm::Unknown, |(orm, _)| orm)
}

/// Returns the ORM that a text shows.
pub(super) fn of(text: &str) -> Orm {
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |wanted: &str| text.contains(wanted);
    let upper = words
        .first()
        .is_some_and(|word| *word == word.to_uppercase());
    if !matches!(
        words.first().map(|word| word.to_lowercase()).as_deref(),
        Some("select" | "insert" | "update" | "delete")
    ) {
        return Orm::Unknown;
    }
    if numbered(text, "_0.") || numbered(text, "_1.") {
        return Orm::Hibernate;
    }
    if upper && dotted(text) && (has("OFFSET $") || has("RETURNING \"") || has("WHERE (\"")) {
        return Orm::Prisma;
    }
    if words.iter().any(|word| ecto(word)) {
        return Orm::Ecto;
    }
    if typeorm(&words) {
        return Orm::TypeOrm;
    }
    if upper && aliased_as_itself(&words) {
        return Orm::Sequelize;
    }
    if upper && has("\nFROM ") && !has("\nFROM \"public\"") {
        return Orm::SqlAlchemy;
    }
    if upper && has("\".* FROM \"") {
        return Orm::ActiveRecord;
    }
    if upper
        && words.first() == Some(&"SELECT")
        && words
            .get(1)
            .is_some_and(|word| word.starts_with('"') && word.contains("\".\""))
    {
        return Orm::Django;
    }
    if !upper && has(" is not null") && has("select * from \"") {
        return Orm::Eloquent;
    }
    if !upper && (has("select * from \"") || has("\".* from \"")) {
        return Orm::Knex;
    }
    if !upper && has("from \"") && words.get(1).is_some_and(|word| word.starts_with('"')) {
        return Orm::Drizzle;
    }
    Orm::Unknown
}

/// `x1_0.`: Hibernate 6 numbers its aliases.
fn numbered(text: &str, ending: &str) -> bool {
    text.match_indices(ending).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        before.ends_with(|letter: char| letter.is_ascii_digit())
            && before
                .trim_end_matches(|letter: char| letter.is_ascii_digit())
                .ends_with(|letter: char| letter.is_ascii_lowercase())
    })
}

/// `"public"."T"."c"`: a column with its table and schema.
fn dotted(text: &str) -> bool {
    text.split(|letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | ','))
        .any(|word| word.matches("\".\"").count() == 2)
}

/// `p0."id"`.
fn ecto(word: &str) -> bool {
    let mut letters = word.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters.next().is_some_and(|second| second.is_ascii_digit())
        && word.get(2..).is_some_and(|rest| rest.starts_with(".\""))
}

/// `"T"."id" AS "T_id"`.
fn typeorm(words: &[&str]) -> bool {
    words.windows(3).any(|three| {
        let [column, "AS", alias] = three else {
            return false;
        };
        let Some((table, name)) = column.split_once("\".\"") else {
            return false;
        };
        let wanted = format!("{table}_{}", name.trim_end_matches('"'));
        alias.trim_end_matches(',').trim_end_matches('"') == wanted
    })
}

/// `FROM "Post" AS "Post"`.
fn aliased_as_itself(words: &[&str]) -> bool {
    words.windows(4).any(|four| {
        let [from, table, "AS", alias] = four else {
            return false;
        };
        matches!(*from, "FROM" | "JOIN")
            && table.trim_end_matches('s') == alias.trim_end_matches('s')
            || { *from == "FROM" && table.starts_with('"') && alias.starts_with('"') }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_orm_is_known_by_its_sql() {
        for (text, orm) in [
            (
                "SELECT \"public\".\"Post\".\"id\" FROM \"public\".\"Post\" WHERE \"public\".\"Post\".\"userId\" = $1 OFFSET $2",
                Orm::Prisma,
            ),
            (
                "SELECT \"User\".\"id\" AS \"User_id\", \"User\".\"name\" AS \"User_name\" FROM \"User\" \"User\" WHERE ((\"User\".\"id\" = $1)) LIMIT $2",
                Orm::TypeOrm,
            ),
            (
                "SELECT \"id\", \"title\" FROM \"Post\" AS \"Post\" WHERE \"Post\".\"userId\" = $1",
                Orm::Sequelize,
            ),
            ("select * from \"Comment\" where \"postId\" = $1", Orm::Knex),
            (
                "select \"id\", \"title\" from \"Post\" where \"Post\".\"userId\" = $1",
                Orm::Drizzle,
            ),
            (
                "SELECT \"users\".\"id\", \"users\".\"email\" FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2",
                Orm::Django,
            ),
            (
                "SELECT posts.id, posts.title \nFROM posts \nWHERE $1 = posts.user_id",
                Orm::SqlAlchemy,
            ),
            (
                "SELECT \"posts\".* FROM \"posts\" WHERE \"posts\".\"user_id\" = $1",
                Orm::ActiveRecord,
            ),
            (
                "select c1_0.user_id,c1_0.* from posts c1_0 where c1_0.user_id=$1",
                Orm::Hibernate,
            ),
            (
                "SELECT p0.\"id\", p0.\"title\" FROM \"posts\" AS p0 WHERE (p0.\"user_id\" = $1)",
                Orm::Ecto,
            ),
            (
                "select * from \"posts\" where \"posts\".\"user_id\" = $1 and \"posts\".\"user_id\" is not null",
                Orm::Eloquent,
            ),
            ("SELECT id FROM posts WHERE user_id = $1", Orm::Unknown),
        ] {
            assert_eq!(of(text), orm, "{text}");
        }
    }
}

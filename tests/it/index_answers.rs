//! Expressions fold to the planner's form, duplicates and arbiters are found, each look bounded.
#![expect(
    clippy::disallowed_methods,
    reason = "tests run statements beside the reader themselves"
)]

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dbops::catalog::index_model::{
    ArbiterQuestion, DuplicateQuestion, FoldQuestion, Folded, IndexAnswers, IndexQuestions,
};
use dbops::catalog::indexes::answer;
use dbops::ident::QualifiedName;
use tokio_postgres::Client;

use crate::common::{Ctx, Db, same, tests};
use crate::index_catalog::begin;

tests!(
    Every: texts_that_mean_the_same_fold_to_one_form,
    texts_that_mean_something_else_fold_apart,
    what_no_index_takes_is_refused_for_itself_alone,
    a_partition_folds_as_its_root_does,
    tables_that_cannot_be_asked_are_unknown,
    duplicates_are_found_as_the_index_would_see_them,
    recorded_statements_tell_of_arbiters_where_they_can_be_read,
);

const TABLE: &str = r#"
create schema app;
create type app.mood as enum ('sad', 'ok', 'happy');
create domain app.email as text check (value like '%@%');
create function app.norm(text) returns text language sql immutable as 'select lower(btrim($1))';
create function app.opaque(text) returns text language plpgsql immutable as 'begin return $1; end';
create table app."Item" (
    id bigint, "userId" int, name text, code varchar(20), tags text[], doc jsonb, at timestamptz,
    mood app.mood, mail app.email, price numeric(10, 2), full_name text generated always as (name || '!') stored
);
create function app.of_row(app."Item") returns text language sql immutable as 'select $1.name';
create function app.row_text(app."Item") returns text language plpgsql immutable as 'begin return $1.name; end';
"#;

fn item() -> QualifiedName {
    QualifiedName::new("app", "Item")
}

async fn answers(client: &mut Client, questions: &IndexQuestions) -> Result<IndexAnswers> {
    let tx = begin(client).await?;
    let answers = answer(&tx, questions).await?;
    let path: String = tx
        .query_typed(
            "select current_setting('search_path') || current_setting('work_mem')",
            &[],
        )
        .await?
        .first()
        .context("no row")?
        .try_get(0)?;
    ensure!(path.starts_with("4MB") || path == "\"\"4MB", "{path}");
    Ok(answers)
}

fn fold_of(table: QualifiedName, texts: &[&str]) -> IndexQuestions {
    IndexQuestions {
        folds: vec![FoldQuestion {
            table,
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }],
        ..IndexQuestions::default()
    }
}

async fn folded(db: &Db, table: QualifiedName, texts: &[&str]) -> Result<BTreeMap<String, Folded>> {
    let mut client = db.connect().await?;
    let answers = answers(&mut client, &fold_of(table, texts)).await?;
    Ok(answers
        .folds
        .into_iter()
        .map(|fold| (fold.text, fold.folded))
        .collect())
}

/// Groups of texts of one meaning, as a person and as the server's own deparse writes them.
const SAME: &[&[&str]] = &[
    &[
        "lower(name)",
        "(lower( name ))",
        "LOWER(name) -- note",
        "lower(\"Item\".name)",
        "lower(app.\"Item\".name)",
    ],
    &[
        "code in ('a', 'b')",
        "((code)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
        "((code)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
    ],
    &["id between 1 and 10", "((id >= 1) AND (id <= 10))"],
    &[
        "name collate \"C\" > 'a'",
        "((name COLLATE \"C\") > 'a'::text)",
        "name collate pg_catalog.\"C\" > 'a'",
    ],
    &[
        "(name collate \"C\") between 'a' and 'b'",
        "(((name COLLATE \"C\") >= 'a'::text) AND ((name COLLATE \"C\") <= 'b'::text))",
    ],
    &[
        "at >= '2024-01-01'",
        "(at >= '2024-01-01 00:00:00+00'::timestamp with time zone)",
    ],
    &["mood = 'ok'", "(mood = 'ok'::app.mood)"],
    &["norm(name)", "app.norm(name)"],
    &["of_row(\"Item\")", "app.of_row(\"Item\".*)"],
    &[
        "row_text(\"Item\")",
        "app.row_text(\"Item\".*)",
        "\"Item\".row_text",
    ],
    &["\"userId\" is not null", "(\"userId\" IS NOT NULL)"],
    &["name like 'a%'", "(name ~~ 'a%'::text)"],
    &["doc ->> 'k'", "(doc ->> 'k'::text)"],
    &["tags[1]", "tags[1]::text"],
    &["full_name || '?'", "(full_name || '?'::text)"],
    &["true and id > 0", "id > 0", "not (id <= 0)"],
    &["mail = 'a@b'", "((mail)::text = 'a@b'::text)"],
    &["price * 1.0", "(price * 1.0)"],
];

async fn texts_that_mean_the_same_fold_to_one_form(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let all: Vec<&str> = SAME
        .iter()
        .flat_map(|group| group.iter().copied())
        .collect();
    let found = folded(&db, item(), &all).await?;
    let mut forms = BTreeMap::new();
    for group in SAME {
        let first = &found[group[0]];
        let Folded::Text(form) = first else {
            anyhow::bail!("{}: {first:?}", group[0]);
        };
        for text in *group {
            ensure!(
                found[*text] == *first,
                "{text}: {:?}\n{}: {first:?}",
                found[*text],
                group[0]
            );
        }
        if let Some(other) = forms.insert(form.clone(), group[0]) {
            anyhow::bail!("{other} and {} fold to {form}", group[0]);
        }
    }
    Ok(())
}

/// Pairs that look alike.
const APART: &[(&str, &str)] = &[
    ("name > 'a'", "name collate \"C\" > 'a'"),
    ("name collate \"C\" > 'a'", "name collate \"POSIX\" > 'a'"),
    ("lower(name)", "upper(name)"),
    ("at > '2024-01-01'", "at > '2024-01-01 00:00+02'"),
    ("code in ('a', 'b')", "code in ('a', 'c')"),
    ("id > 1", "id >= 1"),
    ("mood = 'ok'", "mood = 'sad'"),
    ("coalesce(name, '')", "coalesce(name, ' ')"),
    ("opaque(name)", "name"),
    ("tags[1]", "tags[2]"),
    ("doc -> 'k'", "doc ->> 'k'"),
    ("name", "'name'"),
];

async fn texts_that_mean_something_else_fold_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let all: Vec<&str> = APART.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let found = folded(&db, item(), &all).await?;
    for (a, b) in APART {
        let (Folded::Text(first), Folded::Text(second)) = (&found[*a], &found[*b]) else {
            anyhow::bail!("{a}: {:?}, {b}: {:?}", found[*a], found[*b]);
        };
        ensure!(first != second, "{a} and {b} fold to {first}");
    }
    Ok(())
}

/// Texts and a part of the message.
const REFUSED: &[(&str, &str)] = &[
    (
        "nothing_like_it",
        "column \"nothing_like_it\" does not exist",
    ),
    ("no_such(name)", "function no_such(text) does not exist"),
    (
        "count(name)",
        "aggregate functions are not allowed in index expressions",
    ),
    (
        "row_number() over ()",
        "window functions are not allowed in index expressions",
    ),
    (
        "generate_series(1, id)",
        "set-returning functions are not allowed in index expressions",
    ),
    ("(select max(id) from app.\"Item\")", "subquery"),
    ("name || (select 'x')", "subquery"),
    (
        "ctid::text",
        "index creation on system columns is not supported",
    ),
    (
        "\"Item\".xmin::text",
        "index creation on system columns is not supported",
    ),
    (
        "\"Item\".*",
        "row expansion via \"*\" is not supported here",
    ),
    ("id > $1", "there is no parameter $1"),
    ("id) from pg_class; drop table app.\"Item\"; select (1", ""),
    ("id, name", ""),
    (
        "name collate \"nowhere\"",
        "collation \"nowhere\" for encoding \"UTF8\" does not exist",
    ),
    ("other.id", "missing FROM-clause entry for table \"other\""),
    ("1 / 0", "division by zero"),
];

async fn what_no_index_takes_is_refused_for_itself_alone(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let mut all = vec!["lower(name)", "id > 0", "name"];
    all.extend(REFUSED.iter().map(|(text, _)| *text));
    let found = folded(&db, item(), &all).await?;
    same(found.len(), all.len())?;
    for good in &all[..3] {
        ensure!(
            matches!(found[*good], Folded::Text(_)),
            "{good}: {:?}",
            found[*good]
        );
    }
    for (text, words) in REFUSED {
        match &found[*text] {
            Folded::Refused(message) if message.contains(words) => {}
            other => anyhow::bail!("{text}: {other:?}"),
        }
    }
    // More than one query's worth, one of them wrong.
    let mut many: Vec<String> = (0..2_500).map(|at| format!("id + {at}")).collect();
    many[1_234] = "id + x".to_owned();
    let texts: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = folded(&db, item(), &texts).await?;
    same(found.len(), 2_500)?;
    let refused = found
        .values()
        .filter(|folded| matches!(folded, Folded::Refused(_)));
    same(refused.count(), 1)?;
    same(&found["id + 77"], &Folded::Text("(id + 77)".to_owned()))
}

async fn a_partition_folds_as_its_root_does(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create schema app; create schema parts;
         create function app.norm(text) returns text language plpgsql immutable as 'begin return $1; end';
         create table app.events (id int, dropped int, body text) partition by list (id);
         alter table app.events drop column dropped;
         create table parts.events_1 (body text, id int);
         alter table app.events attach partition parts.events_1 for values in (1);
         create function app.whole(app.events) returns text language plpgsql immutable as 'begin return $1.body; end';
         create index on app.events (app.norm(body)) where body <> 'x'",
    )
    .await?;
    let questions = IndexQuestions {
        folds: [("app", "events"), ("parts", "events_1")]
            .map(|(schema, name)| FoldQuestion {
                table: QualifiedName::new(schema, name),
                texts: vec![
                    "norm(body)".to_owned(),
                    "app.norm(body)".to_owned(),
                    "body <> 'x'".to_owned(),
                ],
            })
            .to_vec(),
        ..IndexQuestions::default()
    };
    let found = answers(&mut db.connect().await?, &questions).await?;
    let of = |table: &str| -> Vec<(String, Folded)> {
        found
            .folds
            .iter()
            .filter(|fold| fold.table.name == table)
            .map(|fold| (fold.text.clone(), fold.folded.clone()))
            .collect()
    };
    same(of("events_1"), of("events"))?;
    same(of("events")[0].1.clone(), of("events")[2].1.clone())
}

async fn tables_that_cannot_be_asked_are_unknown(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let unknown = |found: &BTreeMap<String, Folded>| {
        found
            .values()
            .all(|folded| matches!(folded, Folded::Unknown(_)))
    };
    let found = folded(&db, QualifiedName::new("app", "none"), &["a", "b"]).await?;
    ensure!(unknown(&found), "{found:?}");

    db.run("begin; lock table app.\"Item\"").await?;
    let found = folded(&db, item(), &["id + 1", "id + 2"]).await?;
    ensure!(unknown(&found), "{found:?}");
    db.run("rollback").await?;

    let role = format!("{}_few", db.name);
    db.run(&format!(
        "create role \"{role}\"; grant usage on schema app to \"{role}\""
    ))
    .await?;
    let few = async |sql: &str, text: &[&str]| -> Result<Vec<Folded>> {
        db.run(sql).await?;
        let mut client = db.connect().await?;
        client
            .batch_execute(&format!("set role \"{role}\"; set row_security = off"))
            .await?;
        let answers = answers(&mut client, &fold_of(item(), text)).await?;
        Ok(answers.folds.into_iter().map(|fold| fold.folded).collect())
    };
    let found = few("select 1", &["id + 1"]).await?;
    ensure!(matches!(found[0], Folded::Unknown(_)), "{found:?}");
    // Column by column, and with a policy that hides every row.
    let found = few(
        &format!(
            "grant select (id) on app.\"Item\" to \"{role}\"; alter table app.\"Item\" enable row level security;
             create policy p on app.\"Item\" using (name = (select 'x'))"
        ),
        &["id + 1", "lower(name)"],
    )
    .await?;
    ensure!(found[0] == Folded::Text("(id + 1)".to_owned()), "{found:?}");
    ensure!(matches!(found[1], Folded::Unknown(_)), "{found:?}");
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}

fn duplicates(
    table: &str,
    keys: &[&str],
    predicate: Option<&str>,
    nulls_equal: bool,
) -> DuplicateQuestion {
    DuplicateQuestion {
        index: QualifiedName::new("public", format!("{table}_{}", keys.join("_"))),
        table: QualifiedName::new("public", table),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        predicate: predicate.map(str::to_owned),
        nulls_equal,
    }
}

async fn duplicates_are_found_as_the_index_would_see_them(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table t (a int, \"B\" text, c int);
         insert into t values (1, 'x', 1), (1, 'X', 2), (2, 'y', 3), (3, null, 4), (3, null, 5);
         create table p (a int, b int) partition by list (a);
         create table p_1 partition of p for values in (1);
         insert into p values (1, 7), (1, 7);
         create table heir () inherits (t); insert into heir values (2, 'y', 3);
         create table forbidden (a int, d json)",
    )
    .await?;
    let questions = IndexQuestions {
        duplicates: vec![
            duplicates("t", &["a"], None, false),
            duplicates("t", &["a", "\"B\""], None, false),
            duplicates("t", &["a", "\"B\""], None, true),
            duplicates("t", &["a", "(lower(\"B\"))"], None, false),
            duplicates("t", &["a"], Some("c > 1 and c < 4"), false),
            duplicates("p", &["a", "b"], None, false),
            duplicates("forbidden", &["d"], None, false),
            duplicates("none", &["d"], None, false),
        ],
        ..IndexQuestions::default()
    };
    let found = answers(&mut db.connect().await?, &questions).await?;
    let samples: Vec<_> = found.duplicates.into_iter().map(|of| of.samples).collect();
    let some = |list: &[(&str, i64)]| {
        Some(
            list.iter()
                .map(|(key, count)| ((*key).to_owned(), *count))
                .collect::<Vec<_>>(),
        )
    };
    same(
        samples,
        vec![
            some(&[("(a) = (1)", 2), ("(a) = (3)", 2)]),
            some(&[]),
            some(&[("(a, \"B\") = (3, null)", 2)]),
            some(&[("(a, lower(\"B\")) = (1, x)", 2)]),
            some(&[]),
            some(&[("(a, b) = (1, 7)", 2)]),
            None,
            None,
        ],
    )
}

async fn recorded_statements_tell_of_arbiters_where_they_can_be_read(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let found = answers(&mut db.connect().await?, &arbiter()).await?;
    ensure!(found.arbiters.is_empty() && !found.statements_seen);
    let role = format!("{}_few", db.name);
    db.run(&format!(
        "create schema ext; create extension pg_stat_statements schema ext;
         create table t (a int, \"B\" int, c int);
         create unique index t_a_b on t (a, \"B\"); create unique index t_c on t (c);
         create role \"{role}\"; grant usage on schema ext to \"{role}\""
    ))
    .await?;
    for at in 0..3 {
        db.run(&format!(
            "insert into public.t (a, \"B\") values ({at}, 1) on conflict (\"B\", a) do nothing"
        ))
        .await?;
    }
    let mut client = db.connect().await?;
    let found = answers(&mut client, &arbiter()).await?;
    ensure!(found.statements_seen);
    same(
        found
            .arbiters
            .iter()
            .map(|of| (of.index.name.as_str(), of.calls))
            .collect(),
        vec![("t_a_b", 3)],
    )?;
    client
        .batch_execute(&format!("set role \"{role}\""))
        .await?;
    let found = answers(&mut client, &arbiter()).await?;
    ensure!(found.arbiters.is_empty() && !found.statements_seen);
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}

fn arbiter() -> IndexQuestions {
    let of = |index: &str, columns: &[&str]| ArbiterQuestion {
        index: QualifiedName::new("public", index),
        table: QualifiedName::new("public", "t"),
        columns: columns
            .iter()
            .map(|column| Some((*column).to_owned()))
            .collect(),
    };
    IndexQuestions {
        arbiters: vec![of("t_a_b", &["a", "B"]), of("t_c", &["c"])],
        ..IndexQuestions::default()
    }
}

//! What a fingerprint folds, and what it must not.

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    canonical(text)
        .split(|&byte| byte == 0)
        .map(|token| String::from_utf8_lossy(token).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn same(one: &str, other: &str) {
    assert_eq!(shown(one), shown(other), "{one}\n{other}");
    assert_eq!(fingerprint(one), fingerprint(other));
}

#[track_caller]
fn differ(one: &str, other: &str) {
    assert_ne!(
        fingerprint(one),
        fingerprint(other),
        "{one}\n{other}\n{}",
        shown(one)
    );
}

#[test]
fn it_is_sixteen_digits_and_reads_back() {
    let one = fingerprint("select 1");
    assert_eq!(one.to_string().len(), 16);
    assert_eq!(one.to_string().parse(), Ok(one));
    assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
    assert_eq!(
        serde_json::from_str::<Fingerprint>(&format!("\"{one}\"")).unwrap(),
        one
    );
    for wrong in [
        "",
        "1",
        "+123456789abcdef",
        "zzzzzzzzzzzzzzzz",
        "0123456789abcdef0",
    ] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
    // Stored fingerprints must be found again by later versions of dbops.
    assert_eq!(
        fingerprint("SELECT * FROM t WHERE id = $1").to_string(),
        "2f68e4dac9e292d0"
    );
}

#[test]
fn what_the_majors_write_differently_is_the_same() {
    // Each pair as 13 and 18 store it.
    for (old, new) in [
        (
            "select id from t where id in ($1,$2,$3)",
            "select id from t where id in ($1 /*, ... */)",
        ),
        (
            "select id from t where id in ($1::int,$2::int)",
            "select id from t where id in ($1 /*, ... */)",
        ),
        (
            "select id from t where id in (cast($1 as int),cast($2 as varchar(3)))",
            "select id from t where id in ($1 /*, ... */)",
        ),
        (
            "select id from t where d in (date $1, date $2)",
            "select id from t where d in ($1 /*, ... */)",
        ),
        (
            "select id from t where id = any(array[$1,$2])",
            "select id from t where id = any(array[$1 /*, ... */])",
        ),
        ("savepoint s1", "savepoint $1"),
        ("release savepoint s1", "release savepoint $1"),
        ("rollback to s1", "rollback to $1"),
        ("deallocate p1", "deallocate $1"),
        (
            "set search_path to public, pg_catalog",
            "set search_path to $1, pg_catalog",
        ),
        (
            "SET client_min_messages TO warning",
            "SET client_min_messages TO $1",
        ),
        (
            "set local statement_timeout = '5s'",
            "set local statement_timeout to $1",
        ),
        (
            "declare c1 cursor for select * from t where id = 4",
            "declare c2 cursor for select * from t where id = $1;",
        ),
        (
            "create table t2 as select * from t where id = 5 order by 1",
            "create table t2 as select * from t where id = $1 order by 1",
        ),
        (
            "explain select * from t where id = -5",
            "explain select * from t where id = $1",
        ),
        ("fetch 10 from c1", "fetch 50 from \"C2\""),
        ("fetch forward -1 in c1", "fetch forward 5 in c1"),
        ("close c1", "close c2"),
        ("prepare p1 as select $1", "prepare p2 as select $1"),
        (
            "select true, null, 'a', e'\\'', $$b$$, 1.5e-3 from t where a = -1",
            "select $1, $2, $3, $4, $5, $6 from t where a = $7",
        ),
    ] {
        same(old, new);
    }
}

#[test]
fn spelling_does_not_count() {
    same(
        "SELECT  Id\nFROM \"t\" -- x\nWHERE a=$1;",
        "select id from T where A = $2 /* route='b' */",
    );
    same("select a->>'x' from t", "select a ->> 'y' from t");
    same(
        "insert into t (a) values ($1,$2),($3,$4)",
        "insert into t (a) values ($1,$2)",
    );
    same(
        "insert into t values ($1, default), ($2, default)",
        "insert into t values ($1, default)",
    );
    same(
        "select 1 from t where (a,b) in (($1,$2),($3,$4))",
        "select 1 from t where (a,b) in (($1,$2))",
    );
    same(
        "select 1 from t where a in ($1)",
        "select 1 from t where a in ($1,$2)",
    );
}

#[test]
fn aliases_do_not_count() {
    for (one, other) in [
        (
            "select u.id from users u where u.id = $1",
            "select x1_0.id from users AS x1_0 where X1_0.id = $1",
        ),
        (
            "select \"A\".id, count(b) from t \"A\" join s b on b.id = \"A\".id",
            "select x.id, count(\"Y\") from t x join s as \"Y\" on \"Y\".id = x.id",
        ),
        (
            "select x.a from t x, s y where x.a = y.b for update of y",
            "select p.a from t p, s q where p.a = q.b for update of q",
        ),
        (
            "select q.n from (select x.n from t x) q",
            "select x.n from (select q.n from t q) x",
        ),
        (
            "select a.x from a a union select a.x from b a",
            "select p.x from a p union select q.x from b q",
        ),
        (
            "update t x set a = x.b from s y where x.id = y.id returning x.*",
            "update t set_ set a = set_.b from s z where set_.id = z.id returning set_.*",
        ),
        (
            "delete from t x using s y where x.id = y.id",
            "delete from t using_ using s b where using_.id = b.id",
        ),
        (
            "insert into t as x (a) values ($1) on conflict (a) do update set a = x.a + $2",
            "insert into t as y (a) values ($1) on conflict (a) do update set a = y.a + $2",
        ),
        (
            "merge into t x using (select $1 as id) s on x.id = s.id when matched then update set a = s.id",
            "merge into t y using (select $1 as id) z on y.id = z.id when matched then update set a = z.id",
        ),
        (
            "select f.v from generate_series($1, $2) with ordinality as f(v, n)",
            "select g.v from generate_series($1, $2) with ordinality as g(v, n)",
        ),
        (
            "select x.a from (t x join s y on x.a = y.a) where y.b = $1",
            "select p.a from (t p join s q on p.a = q.a) where q.b = $1",
        ),
        (
            "with c as (select x.a from t x) select x.a from c x, lateral (select x.a) y",
            "with c as (select y.a from t y) select z.a from c z, lateral (select z.a) w",
        ),
    ] {
        same(one, other);
    }
}

#[test]
fn other_statements_are_others() {
    let all = [
        "select a from t where id = $1",
        "select b from t where id = $1",
        "select a from t where id > $1",
        "select a from t where id = any($1)",
        "select a from t where id in ($1)",
        "select a from t where id not in ($1)",
        "select a from t where id = any(array[$1])",
        "select a from t where id is null",
        "select a from t where id is not null",
        "select a from t where a is true",
        "select a from t where a is not true",
        "select a from t where id in ($1, b)",
        "select a from t where id in (b, c)",
        "select a from t where id = $1 and a = $2",
        "select a from t where id = $1 limit $2",
        "select a from t where id = $1 order by 1",
        "select a from t where id = $1 order by 2",
        "select a from t where id = $1 order by 1, 2",
        "select a from t group by 1",
        "select a from t group by 2",
        "select a from t group by rollup (1, 2)",
        "select a from t group by rollup (2, 1)",
        "select a from \"T\" where id = $1",
        "select a from s.t where id = $1",
        "select \"A\" from t where id = $1",
        "select a::varchar(10) from t",
        "select a::varchar(20) from t",
        "select a::vector(3) from t",
        "select a::vector(4) from t",
        "select cast(a as numeric(10,2)) from t",
        "select cast(a as numeric(10,3)) from t",
        "select a::\"char\" from t",
        "select a::char from t",
        "select user from t",
        "select \"user\" from t",
        "select a - $1 from t",
        "select a from t x join s y on x.id = y.t_id",
        "select a from t x join s y on y.id = x.t_id",
        "select x.a from t x join t y on x.id = y.id",
        "select y.a from t x join t y on x.id = y.id",
        "select a from t x where exists (select from s y where y.a = x.a)",
        "select a from t x where exists (select from s y where y.a = y.a)",
        "insert into t values ($1)",
        "insert into t values ($1), (default)",
        "insert into t values (default)",
        "insert into t values ($1, $2)",
        "savepoint a",
        "release a",
        "rollback",
        "rollback to a",
        "set a = 1",
        "set b = 1",
        "set a to default",
        "set local a = 1",
        "set time zone 'UTC'",
        "set session characteristics as transaction read only",
        "set transaction read only",
        "fetch 1 from c",
        "fetch all from c",
        "fetch next from c",
        "deallocate all",
        "deallocate a",
        "grant select on t to bob",
        "grant select on t to eve",
        "revoke select on t from bob cascade",
        "revoke select on t from bob restrict",
        "alter table t add column a int",
        "alter table t add column b int",
    ];
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            differ(one, other);
        }
    }
}

/// A statement with holes: `{n}` a name of alias n, `{?}` a constant, `{,}` a list of constants, ` ` a space.
const TEMPLATES: &[&str] = &[
    "select {0} . id , {1} . \"Name\" from users {0} join posts as {1} on {1} . user_id = {0} . id where {0} . id = {?} and {1} . k in ( {,} )",
    "update users as {0} set name = {?} from teams {1} where {0} . team_id = {1} . id and {1} . n in ( {,} )",
    "select count ( * ) from ( select {0} . id from \"Post\" {0} where {0} . id in ( {,} ) limit {?} ) {1} where {1} . id > {?}",
    "delete from posts {0} using users {1} where {0} . user_id = {1} . id and {1} . id = {?}",
];

fn render(
    template: &str,
    names: &[String],
    spaces: &[String],
    list: usize,
    first: usize,
    upper: bool,
) -> String {
    let mut out = String::new();
    let mut number = first;
    for (at, token) in template.split(' ').enumerate() {
        out.push_str(&spaces[at % spaces.len()]);
        match token {
            "{0}" => out.push_str(&names[0]),
            "{1}" => out.push_str(&names[1]),
            "{?}" => {
                number += 1;
                out.push_str(&format!("${number}"));
            }
            "{,}" => {
                let all: Vec<String> = (0..list).map(|n| format!("${}", number + 1 + n)).collect();
                out.push_str(&all.join(", "));
                number += list;
            }
            quoted if quoted.starts_with('"') => out.push_str(quoted),
            word if upper => out.push_str(&word.to_uppercase()),
            word => out.push_str(word),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn only_what_counts_changes_it(
        which in 0..TEMPLATES.len(),
        one in "[a-z]{1,3}[0-9]_[0-9]", other in "\"[A-Z][a-z_ ]{1,8}\"",
        spaces in proptest::collection::vec(prop_oneof![Just(" "), Just("\n\t"), Just(" /* a 'b' */ "), Just(" -- c\n")], 1..9),
        list in 1_usize..40, first in 0_usize..90, upper: bool,
    ) {
        let template = TEMPLATES[which];
        let names = [one, other];
        let spaces: Vec<String> = spaces.into_iter().map(str::to_owned).collect();
        let changed = render(template, &names, &spaces, list, first, upper);
        let plain = render(template, &["t0".into(), "t1".into()], &[" ".into()], 2, 0, false);
        prop_assert_eq!(shown(&changed), shown(&plain));
        for other in TEMPLATES.iter().filter(|other| **other != template) {
            let another = render(other, &names, &spaces, list, first, upper);
            prop_assert_ne!(fingerprint(&changed), fingerprint(&another));
        }
    }

    #[test]
    fn any_text_has_one(text in "\\PC{0,80}", parts in proptest::collection::vec("(select|from|in|values|\\(|\\)|,|'|\"|\\$\\$|/\\*|\\*/|--|as|t|x|\\.|set|::|-|1|array|\\[|join|union|update)", 0..60)) {
        fingerprint(&text);
        fingerprint(&parts.join(" "));
        fingerprint(&parts.concat());
    }
}

#[test]
fn deep_and_long_texts_end() {
    for text in [
        "in ((",
        "values ((",
        "from (",
        "(select * from t x union ",
        "x::",
        "array[",
        "cast(",
        "select * from a b,",
    ] {
        fingerprint(&format!("select {}", text.repeat(2_000)));
    }
}

#[test]
fn texts_of_real_servers_merge_only_where_they_are_one_statement() {
    let file = include_str!("../../../tests/fixtures/statements/orm.sql");
    let texts: Vec<&str> = file.trim_end().split("\n----\n").skip(1).collect();
    let mut kinds = std::collections::BTreeMap::new();
    for text in &texts {
        // A second, slow and simple reading: lists to one element, then letters, digits and signs alone.
        let mut plain = text.to_lowercase().replace("/*, ... */", "");
        for number in 0..10 {
            plain = plain.replace(number.to_string().as_str(), "");
        }
        plain.retain(|c| !c.is_whitespace() && c != '"');
        while plain.contains("$,$") {
            plain = plain.replace("$,$", "$");
        }
        let plain = plain.replace("warning", "$");
        let others: &mut Vec<String> = kinds.entry(fingerprint(text)).or_default();
        others.push(plain);
    }
    assert_eq!((texts.len(), kinds.len()), (252, 209));
    for plain in kinds.values() {
        assert!(
            plain.windows(2).all(|pair| pair[0] == pair[1]),
            "{plain:#?}"
        );
    }
}

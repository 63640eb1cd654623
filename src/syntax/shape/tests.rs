//! Shapes of texts as the server stores them.

mod stored;

use proptest::prelude::*;

use super::*;

fn columns(shape: &Shape, column: &ColumnUse) -> String {
    let table = column
        .table
        .map_or("?", |at| shape.tables[at].name.as_str());
    format!("{table}.{}", column.name)
}

/// The grammar takes each text, and reads it so.
#[track_caller]
fn all_read(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, shown(&read(text)), expected))
        .filter(|(_, shown, expected)| shown != *expected)
        .map(|(text, shown, expected)| format!("{text}\n  read     {shown}\n  expected {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Both readers read each text so.
#[track_caller]
fn all_shown(cases: &[(&str, &str)]) {
    all_read(cases);
    for (text, expected) in cases {
        let skimmed = Shape {
            parsed: true,
            ..skim(text)
        };
        assert_eq!(shown(&skimmed), *expected, "by its tokens: {text}");
    }
}

/// Everything of a shape that is there, on one line.
fn shown(shape: &Shape) -> String {
    let mut out = Vec::new();
    for table in &shape.tables {
        let schema = table
            .schema
            .as_ref()
            .map_or(String::new(), |schema| format!("{schema}."));
        let alias = table
            .alias
            .as_ref()
            .map_or(String::new(), |alias| format!(" {alias}"));
        let written = if table.written { "!" } else { "" };
        let depth = if table.depth > 0 {
            format!("^{}", table.depth)
        } else {
            String::new()
        };
        out.push(format!("[{schema}{}{alias}{written}{depth}]", table.name));
    }
    for (one, other) in &shape.joins {
        out.push(format!("{}~{}", columns(shape, one), columns(shape, other)));
    }
    for one in &shape.equalities {
        let values = match one.values {
            Values::One => "1".to_owned(),
            Values::List(Some(count)) => format!("in{count}"),
            Values::List(None) => "in".to_owned(),
            Values::Array => "any".to_owned(),
        };
        out.push(format!(
            "{}={values}{}",
            columns(shape, &one.column),
            if one.reversed { "r" } else { "" }
        ));
    }
    for one in &shape.ranges {
        out.push(format!("range {}", columns(shape, one)));
    }
    for one in &shape.sorts {
        out.push(format!("sort {}", columns(shape, one)));
    }
    let mut flag = |is: bool, name: &str| {
        if is {
            out.push(name.to_owned());
        }
    };
    flag(
        shape.other_conditions > 0,
        &format!("other{}", shape.other_conditions),
    );
    flag(shape.limit, "limit");
    flag(shape.offset, "offset");
    flag(!shape.aggregates.is_empty(), &shape.aggregates.join("+"));
    flag(shape.grouped, "grouped");
    flag(shape.distinct, "distinct");
    flag(shape.locks_rows, "locks");
    flag(shape.skips_locked, "skips");
    flag(
        shape.value_rows.is_some(),
        &format!("rows{}", shape.value_rows.unwrap_or_default()),
    );
    flag(
        !shape.set_columns.is_empty(),
        &format!("set {}", shape.set_columns.join("+")),
    );
    flag(shape.returning, "returning");
    flag(shape.on_conflict, "conflict");
    flag(shape.foreign_key_check, "fk");
    flag(!shape.parsed, "UNPARSED");
    out.join(" ")
}

#[test]
fn texts_of_orms_are_read() {
    all_shown(&[
        // Prisma
        (
            r#"SELECT "public"."Team"."id" FROM "public"."Team" WHERE ("public"."Team"."id" = $1 AND $4=$5) LIMIT $2 OFFSET $3"#,
            "[public.Team] Team.id=1 limit offset",
        ),
        (
            r#"SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Comment"."id" FROM "public"."Comment" WHERE "public"."Comment"."postId" = $1 OFFSET $2) AS "sub""#,
            "[public.Comment^1] Comment.postId=1 offset count",
        ),
        (
            r#"SELECT "public"."Tag"."id" FROM "public"."Tag" WHERE "public"."Tag"."id" IN ($1 /*, ... */) OFFSET $2"#,
            "[public.Tag] Tag.id=in offset",
        ),
        (
            r#"SELECT "public"."Tag"."id" FROM "public"."Tag" WHERE "public"."Tag"."id" IN ($1,$2) OFFSET $3"#,
            "[public.Tag] Tag.id=in2 offset",
        ),
        (
            r#"UPDATE "public"."Post" SET "views" = ("public"."Post"."views" + $1) WHERE ("public"."Post"."id" = $2 AND $3=$4) RETURNING "public"."Post"."id""#,
            "[public.Post!] Post.id=1 set views returning",
        ),
        // TypeORM
        (
            r#"SELECT "user"."id" AS "user_id" FROM "User" "user" INNER JOIN "Post" "Post" ON "Post"."userId" = "user"."id" WHERE "Post"."id" IN ($1)"#,
            "[User user] [Post Post] Post.userId~User.id Post.id=in1",
        ),
        (
            r#"SELECT "tags"."id" FROM "Tag" "tags" INNER JOIN "PostTag" "PostTag" ON "PostTag"."postId" IN ($1) AND "PostTag"."tagId"="tags"."id""#,
            "[Tag tags] [PostTag PostTag] PostTag.tagId~Tag.id PostTag.postId=in1",
        ),
        (
            r#"SELECT COUNT($2) AS "cnt" FROM "Comment" "Comment" WHERE (("Comment"."postId" = $1))"#,
            "[Comment Comment] Comment.postId=1 count",
        ),
        // Sequelize
        (
            r#"SELECT "Post"."id", "User"."id" AS "User.id" FROM "Post" AS "Post" LEFT OUTER JOIN "User" AS "User" ON "Post"."userId" = "User"."id" ORDER BY "Post"."id" DESC LIMIT $1 OFFSET $2"#,
            "[Post Post] [User User] Post.userId~User.id sort Post.id limit offset",
        ),
        (
            r#"INSERT INTO "Audit" ("id","action","userId") VALUES (DEFAULT,$1,$2) RETURNING "id","action","userId""#,
            "[Audit!] rows1 set id+action+userId returning",
        ),
        // SQLAlchemy
        (
            "SELECT comments.id \nFROM comments \nWHERE $1 = comments.post_id",
            "[comments] comments.post_id=1r",
        ),
        (
            "SELECT tags.id \nFROM tags, post_tags \nWHERE $1 = post_tags.post_id AND tags.id = post_tags.tag_id",
            "[tags] [post_tags] tags.id~post_tags.tag_id post_tags.post_id=1r",
        ),
        (
            "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = $1",
            "[pg_type t] [pg_namespace ns] ?.typnamespace~pg_namespace.oid ?.typname=1",
        ),
        // Knex, Hibernate, Django
        (
            r#"select * from "User" where "id" = $1 limit $2"#,
            "[User] User.id=1 limit",
        ),
        (
            "select d1_0.id from dna_tests d1_0 where d1_0.user_id=$1 fetch first $2 rows only",
            "[dna_tests d1_0] dna_tests.user_id=1 limit",
        ),
        (
            r#"SELECT "tags"."id" FROM "tags" INNER JOIN "post_tags" ON ("tags"."id" = "post_tags"."tag_id") WHERE "post_tags"."post_id" = $1"#,
            "[tags] [post_tags] tags.id~post_tags.tag_id post_tags.post_id=1",
        ),
        // the server itself
        (
            r#"SELECT $2 FROM ONLY "public"."parent" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#,
            "[public.parent x] parent.id=1 locks fk",
        ),
        (
            r#"DELETE FROM ONLY "public"."child" WHERE $1 OPERATOR(pg_catalog.=) "fk""#,
            "[public.child!] child.fk=1r fk",
        ),
    ]);
}

#[test]
fn clauses_are_read() {
    all_shown(&[
        (
            "select * from t where a = any($1) and b between $1 and $2 and c like $3 and d > now() - interval $4",
            "[t] t.a=any range t.b range t.c range t.d",
        ),
        ("select * from t where a = $1 or b = $2", "[t] other1"),
        (
            "select * from t where a is null and not b = $1 and c <> $2 and d not in ($3) and e = lower(f)",
            "[t] other5",
        ),
        (
            "select * from t where a in (select x from s where y = $1) and b = $2",
            "[t] [s^1] t.b=1 other1",
        ),
        (
            "select * from t where exists (select from s where s.t_id = t.id)",
            "[t] [s^1] s.t_id~t.id other1",
        ),
        (
            "select (select count(*) from s where s.t_id = t.id) from t where id = $1",
            "[s^1] [t] s.t_id~t.id t.id=1",
        ),
        (
            "select a, sum(b), count(distinct c), max(d) over () from t group by a having sum(b) > $1",
            "[t] other1 sum+count grouped",
        ),
        (
            "select distinct a from t order by a desc nulls last, lower(b), t.c",
            "[t] sort t.a sort t.c distinct",
        ),
        (
            "select * from jobs where state = $1 order by id limit $2 for update skip locked",
            "[jobs] jobs.state=1 sort jobs.id limit locks skips",
        ),
        (
            "with recent as (select * from posts where a = $1) select * from recent r join users u on u.id = r.user_id where u.n = $2",
            "[posts^1] [users u] users.id~?.user_id users.n=1",
        ),
        (
            "select * from a join b using (id) where a.x = $1",
            "[a] [b] a.id~b.id a.x=1",
        ),
        (
            "select * from (a join b on a.i = b.i) left join c on c.j = b.j where c.k = $1",
            "[a] [b] [c] a.i~b.i c.j~b.j c.k=1",
        ),
        (
            "select * from t, lateral (select * from s where s.i = t.i) x where t.a = $1",
            "[t] [s^1] s.i~t.i t.a=1",
        ),
        (
            "select * from generate_series($1, $2) g, t where t.a = g",
            "[t] t.a~?.g",
        ),
        (
            "select a from t where b = $1 union all select a from s where b = $2",
            "[t^1] [s^1] other1",
        ),
        ("(select a from t where b = $1) limit $2", "[t] t.b=1 limit"),
        (
            "update t x set a = $1, (b, c) = ($2, $3) from s where s.id = x.s_id and x.id = $4 returning *",
            "[t x!] [s] s.id~t.s_id t.id=1 set a+b+c returning",
        ),
        (
            "delete from t using s where t.s_id = s.id and s.a = $1",
            "[t!] [s] t.s_id~s.id s.a=1",
        ),
        (
            "insert into t (a, b) values ($1, $2), ($3, default) on conflict (a) do update set b = excluded.b where t.c = $5 returning id",
            "[t!] rows2 set a+b returning conflict",
        ),
        (
            "insert into t (a) select a from s where b = $1 on conflict do nothing",
            "[t!] [s^1] set a conflict",
        ),
        (
            "merge into t using s on t.id = s.id when matched then update set a = s.a when not matched then insert values (s.id)",
            "[t!] [s] t.id~s.id",
        ),
        (
            "select * from \"we\"\"ird\".\"T\" where \"T\".\"a.b\" = $1",
            "[we\"ird.T] T.a.b=1",
        ),
        (
            "select * from t where id::text = $1 and d = date $2 and e = cast($3 as int) and f = $4::varchar(10)[]",
            "[t] t.id=1 t.d=1 t.e=1 t.f=1",
        ),
        ("explain select * from t where a = $1", "[t^1]"),
        ("declare c cursor for select * from t", "[t^1]"),
        ("values ($1), ($2)", ""),
        ("begin", ""),
        // A column that is named like an alias, a table or both is a column.
        ("select u from users u where u = $1", "[users u] users.u=1"),
        (
            "select o.orders from orders o join users u on u.id = o.user_id where o.orders = $1",
            "[orders o] [users u] users.id~orders.user_id orders.orders=1",
        ),
        // What is asked of a count is asked of the query inside it only where nothing else is.
        (
            "select count(*) from ((select id from t where fk = $1)) x",
            "[t^1] t.fk=1 count",
        ),
        (
            "select count(*) from (select id from t where fk = $1) x where x.id > $2",
            "[t^1] range ?.id count",
        ),
        (
            "select count(*) from (select id from t where fk = $1 limit $2) x join s on s.id = x.id",
            "[t^1] [s] s.id~?.id count",
        ),
        (
            "select c.n from c cross join lateral (select * from o where o.c = c.id limit $1) o",
            "[c] [o^1] o.c~c.id",
        ),
        (
            "select a from t where b = $1 union select a from s except select a from r order by a limit $2 offset $3",
            "[t^1] [s^1] [r^1] sort ?.a other1 limit offset",
        ),
        (
            "(select a from t where b = $1) union all (select a from s limit $2)",
            "[t^1] [s^1] other1",
        ),
        ("insert into t default values", "[t!]"),
        (
            "select * from a cross join b join c using (id)",
            "[a] [b] [c] ?.id~c.id",
        ),
        (
            "with m as (delete from q where id = $1 returning *) insert into archive select * from m where z = $2",
            "[q!^1] [archive!]",
        ),
        (
            "explain (analyze) select * from t where a = $1 and b = c",
            "[t^1] t.b~t.c",
        ),
        ("prepare p as update t set a = $1 where b = $2", "[t!^1]"),
        ("copy (select * from t where a = $1) to stdout", "[t^1]"),
        ("delete from t where current of c", "[t!] other1"),
        (
            "select * from t where a in ($1) and b in (c, $2) and (d, e) in (($3, $4)) and f in (select 1)",
            "[t] t.a=in1 other3",
        ),
    ]);
}

/// What tokens alone do not tell.
#[test]
fn the_grammar_reads_what_tokens_do_not_tell() {
    all_read(&[
        (
            "select case when a = $1 then b else c end from t where d = case when $2 then $3 end",
            "[t] t.d=1",
        ),
        (
            "with t as (select * from t where a = $1) select * from t where b = $2",
            "[t^1] ?.b=1",
        ),
        (
            "select * from (with b as (select 1) select * from b) x join b on true",
            "[b]",
        ),
        (
            "select * from x, a join b using (id)",
            "[x] [a] [b] a.id~b.id",
        ),
        (
            "select * from t where cast(a as text) = $1 and b = $2 collate \"C\" and c = user and $3 is null and $4 in ($5)",
            "[t] t.a=1 t.b=1 t.c=1",
        ),
        (
            "select count(*) filter (where x) over (), sum(a) filter (where b) from t",
            "[t] sum",
        ),
        (
            "select * from only (s.t) as q, f(q.a) g where q.b = $1",
            "[s.t q] t.b=1",
        ),
        ("select * from t where exists (table s)", "[t] [s^1] other1"),
    ]);
}

#[test]
fn skimmed_statements_are_not_parsed() {
    assert!(!skim("select 1").parsed);
    assert!(read("select 1").parsed);
}

#[test]
fn what_was_cut_off_is_read_as_far_as_it_goes() {
    for (text, expected) in [
        (
            "select a from t where b = $1 and c in ($2, $3, $4",
            "[t] t.b=1 t.c=in UNPARSED",
        ),
        (
            "select a from t where b = $1 and c = 'x",
            "[t] t.b=1 t.c=1 UNPARSED",
        ),
        (
            "select count(*) from (select a from t where (b = $1 and",
            "[t^1] t.b=1 count UNPARSED",
        ),
        (
            "select a from t x join s on s.i = x.",
            "[t x] [s] other1 UNPARSED",
        ),
    ] {
        assert_eq!(shown(&read(text)), expected, "{text}");
        assert_eq!(read(text), skim(text), "{text}");
    }
}

#[test]
fn kinds_are_told_without_a_parse() {
    use StatementKind::{Delete, Insert, Merge, Select, Transaction, Update, Utility};
    for (text, expected) in [
        ("/* a */ ( SELECT 1 )", Select),
        ("values (1)", Select),
        ("table t", Select),
        (
            "with a as (select 1), b as (delete from x returning 1) insert into t select 1",
            Insert,
        ),
        (
            "with a as (insert into x values (1)) update t set a = 1",
            Update,
        ),
        ("with a as (select 1) select 1", Select),
        ("with a as (sel", Select),
        ("delete from t", Delete),
        (
            "merge into t using s on true when matched then delete",
            Merge,
        ),
        ("begin", Transaction),
        ("start transaction", Transaction),
        ("end", Transaction),
        ("prepare transaction 'x'", Transaction),
        ("prepare p as select 1", Utility),
        ("rollback to $1", Transaction),
        ("set a = 1", Utility),
        ("explain select 1", Utility),
        ("<insufficient privilege>", Utility),
        ("", Utility),
    ] {
        assert_eq!(kind(text), expected, "{text}");
        assert_eq!(read(text).kind, expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text_is_read(text in "\\PC{0,60}", parts in proptest::collection::vec(
        "(select|from|in|values|\\(|\\)|,|'|\"|as|t|x|\\.|set|::|\\$1|array|\\[|join|on|using|union|update|insert into|delete|merge|with|where|and|or|not|between|case|end|=|only|operator|order by|limit|for update|cast|any)", 0..50)) {
        for text in [text, parts.join(" "), format!("select {}", parts.join(" "))] {
            let (shape, skimmed) = (read(&text), skim(&text));
            prop_assert_eq!(shape.kind, skimmed.kind);
            prop_assert!(shape.parsed || shape == skimmed);
        }
    }

    #[test]
    fn any_cut_is_read(at in 0_usize..400) {
        let text = r#"with a as (select x from "T" where y in ($1, $2)) update s.t as u set (a, b) = ($1, 'é') from (a join b using (i)) as j
            where u.id = any($2) and (c between $3 and $4 or exists (select from z where q = $5::numeric(3))) and cast(k as int) = $6 returning case when $7 then $8 end"#;
        let cut: String = text.chars().take(at).collect();
        let shape = read(&cut);
        prop_assert!(shape.parsed || shape == skim(&cut));
    }
}

#[test]
fn deep_and_long_texts_are_read() {
    for part in [
        "(",
        "(select * from t x where a = ",
        "in ((",
        "case when ",
        "not (",
        "from (a join ",
        "with a as (",
        "a and ",
        "[",
        "union select 1 ",
        "select ",
    ] {
        read(&format!("select {}", part.repeat(1_500)));
    }
}

/// Each level of a tree takes of the parser's stack: what the grammar is given fits a thread of 2 MiB, as the threads of
/// tests are, and what it is not given is read by its tokens.
#[test]
fn long_chains_are_read_without_a_stack_overflow() {
    for (before, part, after) in [
        ("select 1 from t where ", "a = $1 and ", "true"),
        ("select 1 from t where ", "(a = $1 and b = $2) or ", "true"),
        ("select 1 from t where ", "not ", "true"),
        ("select ", "- ", "1"),
        ("select 1 ", "union select 1 from t ", ""),
        ("select 1 from t ", "join t on true ", ""),
        ("select 1 from t ", "cross join t ", ""),
        ("select 1 from t ", "natural join t ", ""),
        ("select a", "::int", " from t"),
        ("select a", "[1]", " from t"),
        ("select 1", " + 1", " from t"),
        ("select a", " is null", " from t"),
        ("select a", ".b", " from t"),
        ("select a", " collate x", " from t"),
        ("select a", " at time zone b", " from t"),
        ("select 1 from t where a like b ", "escape c ", ""),
        ("select ", "a like ", "b from t"),
        ("select ", "case when a then b else ", "c from t"),
        ("select ", "-(", "1"),
    ] {
        for count in [120, 480, 2_900, 20_000] {
            let text = format!("{before}{}{after}", part.repeat(count));
            assert_eq!(read(&text).kind, StatementKind::Select, "{part}");
        }
    }
    let conditions = format!("select 1 from t where {}true", "a = $1 and ".repeat(1_000));
    let shape = read(&conditions);
    assert!(shape.parsed);
    assert_eq!(shape.equalities.len(), 1_000);
    let cases = format!("select {}1", "case when a then b end, ".repeat(200));
    assert!(read(&cases).parsed);
}

"""Bar 30: drops that would do harm are refused, others are not."""

import json

from cluster import Cluster, Dbops, run
from indexes import APPLY, plan, state
from report import table, verdict

TITLE = "Indexes: 8 dangerous drops and 10 safe ones"
COMMAND = APPLY
SETUP = """
create extension pg_stat_statements;
create table parent (id bigint primary key, code int not null, sku text not null, price int, note text, at timestamptz not null default now());
insert into parent select i, i, 'sku ' || i, i % 100, 'note' from generate_series(1, 20000) i;

-- dangerous
create table identity (id bigint not null, x int); create unique index d_identity on identity (id); alter table identity replica identity using index d_identity;
create materialized view counts as select price, count(*) from parent group by price; create unique index d_matview on counts (price); refresh materialized view concurrently counts;
alter table parent add constraint d_constraint unique (sku);
create unique index d_fk_parent on parent (code); create table child (id bigint primary key, parent_code int references parent (code), parent_id bigint references parent (id));
create index d_fk_child on child (parent_code);
create table upserted (id bigint primary key, k text not null, v int); create unique index d_arbiter on upserted (k);
insert into upserted values (1, 'a', 1) on conflict (k) do update set v = excluded.v;
create table clustered (id bigint primary key, x int); create index d_clustered on clustered (x); alter table clustered cluster on d_clustered;
create table tree (id bigint not null, x int) partition by hash (id); create table tree_0 partition of tree for values with (modulus 1, remainder 0);
create index tree_x on tree (x); alter index tree_0_x_idx rename to d_leaf;

-- safe
create index s_plain on parent (price);
create index s_twin_of_key on parent (id);
create index s_second_on_child on child (parent_id); create index s_second_on_child_too on child (parent_id, id);
create unique index s_unique_no_arbiter on upserted (v, id);
create materialized view sums as select price, sum(code) as total from parent group by price; create unique index sums_price on sums (price); create unique index s_other_of_matview on sums (price, total);
create index s_partial on parent (at) where price > 90;
create index s_expression on parent (lower(note));
create index s_beside_identity on identity (x);
create index s_own_of_leaf on tree_0 (x, id);
create index s_hash on clustered using hash (x);
create index s_beside_cluster on clustered (x, id);
vacuum analyze
"""
DANGEROUS = {
    "d_identity": "replica identity", "d_matview": "only unique index of a materialized view", "d_constraint": "constraint", "d_fk_parent": "unique index that a foreign key points to",
    "d_fk_child": "only index on a foreign key's columns", "d_arbiter": "arbiter of an ON CONFLICT seen in pg_stat_statements", "d_clustered": "clustered on it", "d_leaf": "attached leaf",
}
SAFE = {
    "s_plain": "plain", "s_twin_of_key": "same column as the primary key", "s_second_on_child_too": "one of two on a foreign key's column", "s_unique_no_arbiter": "unique, no arbiter",
    "s_other_of_matview": "second unique index of a materialized view", "s_partial": "partial", "s_expression": "expression", "s_own_of_leaf": "a leaf's own, not attached",
    "s_hash": "hash", "s_beside_identity": "another index than the replica identity",
}


def refusal(ran):
    """The first refusal of a run in words."""
    try:
        for one in json.loads(ran.out)["runs"]:
            for found in (one.get("changeset") or {}).get("refusals", []):
                return f"{found['code']}: {found['message']}"
            for step in (one.get("outcome") or {}).get("steps", []):
                if step["status"] == "refused":
                    return f"{step['reason']}"
    except (json.JSONDecodeError, KeyError, TypeError):
        pass
    return (ran.err.strip() or "no refusal").splitlines()[0]


def measure(_cluster, dbops):
    with Cluster(shared_preload_libraries="'pg_stat_statements'") as cluster:
        return on(cluster, dbops and Dbops(dbops.path, cluster))


def on(cluster, dbops):
    cluster.sql("postgres", "create database idx_guards")
    for sql in SETUP.split(";\n"):
        for statement in sql.split("; "):
            cluster.sql("idx_guards", "\n".join(line for line in statement.splitlines() if not line.startswith("--")))
    rows, flagged, dropped, spared = [], 0, 0, 0
    for kind, names in (("dangerous", DANGEROUS), ("safe", SAFE)):
        for name, words in names.items():
            line = [kind, words]
            # Each by itself on the same tables: what is dropped comes back before the next.
            if dbops:
                policy = dbops.plan(name, plan(f"{{ absent: [public.{name}], allow: [drops-index] }}"))
                before = state(cluster, "idx_guards")[name]
                dry, ran = dbops("idx_guards", policy, *APPLY, "--dry-run"), dbops("idx_guards", policy, *APPLY)
                after = state(cluster, "idx_guards").get(name)
                there = after is not None and after.meaning == before.meaning
                line += ["still there" if there else "dropped" if after is None else "INVALID", f"{dry.code}, {ran.code}", refusal(ran) if kind == "dangerous" or there else "-"]
                flagged += kind == "dangerous" and there and ran.code == 4
                dropped += kind == "safe" and after is None and ran.code == 0
                spared += kind == "dangerous" and there
                if after is None:
                    cluster.sql("idx_guards", before.definition)
                    if name == "d_identity":
                        cluster.sql("idx_guards", "alter table identity replica identity using index d_identity")
                    if name == "d_clustered":
                        cluster.sql("idx_guards", "alter table clustered cluster on d_clustered")
            rows.append((name, line))
    # Bare DROP INDEX CONCURRENTLY, last, because it drops what is needed.
    for name, line in rows:
        ran = run([f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url("idx_guards"), "-c", f"drop index concurrently {name}"])
        line.append("dropped" if ran.code == 0 else "refused: " + ran.err.strip().splitlines()[0].removeprefix("ERROR:").strip())
    header = ["drop", "index", *(["dbops", "exit of dry run, run", "what dbops says"] if dbops else []), "psql"]
    text = table(header, [line for _, line in rows])
    if dbops:
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            ["8 of 8 dangerous drops refused", f"{flagged} of {len(DANGEROUS)} ({spared} spared)", verdict(flagged == len(DANGEROUS))],
            ["10 of 10 safe drops done", f"{dropped} of {len(SAFE)}", verdict(dropped == len(SAFE))]])
    return text + "\n\nEach index is named under `absent` with `allow: [drops-index]`, alone in its plan file. psql runs `DROP INDEX CONCURRENTLY`."

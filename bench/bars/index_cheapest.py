"""Bar 31: what need not be built again is not."""

from indexes import APPLY, plan, state
from load import outcome
from report import ms, table, verdict

TITLE = "Indexes: the cheapest change, on 500,000 rows"
COMMAND = APPLY
LIMIT_SECONDS = 0.2
SETUP = (
    "create table t (id bigint primary key, a int not null, b int not null);"
    " insert into t select i, hashint8(i) % 5000, hashint8(i) % 700 from generate_series(1, 500000) i"
)
# Words, the index that is there, the plan entry, what shows that it was done, whether the file must stay.
CASES = [
    ("storage parameter", "create index t_a on t (a)", "{ name: t_a, table: public.t, columns: [a], with: { fillfactor: 70 } }",
     "select 'fillfactor=70' = any (reloptions) from pg_class where relname = 't_a'"),
    ("comment", "create index t_a on t (a)", "{ name: t_a, table: public.t, columns: [a], comment: for the report }",
     "select obj_description('t_a'::regclass, 'pg_class') = 'for the report'"),
    ("statistics target", "create index t_a on t ((a + b))", "{ name: t_a, table: public.t, columns: [{ expr: a + b, statistics: 500 }] }",
     "select attstattarget = 500 from pg_attribute where attrelid = 't_a'::regclass"),
    ("an equal index under another name", "create index made_by_hand on t (a)", "{ name: t_a, table: public.t, columns: [a] }",
     "select count(*) = 1 from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 't'::regclass and not i.indisprimary and relname = 't_a'"),
    ("an equal predicate in other words", "create index t_a on t (a) where b in (1, 2)", "{ name: t_a, table: public.t, columns: [a], where: \"b = any (array[1, 2])\" }",
     "select true"),
    ("a constraint over the index", "create unique index t_a on t (id, a)", "{ name: t_a, table: public.t, columns: [id, a], unique: true, constraint: unique }",
     "select count(*) = 1 from pg_constraint where conname = 't_a' and contype = 'u'"),
]


def measure(cluster, dbops):
    if dbops is None:
        return "not measured without dbops"
    cluster.sql("postgres", "create database idx_cheap")
    cluster.sql("idx_cheap", SETUP)
    cluster.sql("idx_cheap", "vacuum analyze")
    rows, kept, quick = [], 0, 0
    for number, (words, before, entry, proof) in enumerate(CASES):
        cluster.fresh("bench", "idx_cheap")
        cluster.sql("bench", before)
        old = {index.file for index in state(cluster, "bench").values()}
        policy = dbops.plan(f"cheap_{number}", plan(entry))
        ran, again = dbops("bench", policy, *APPLY), dbops("bench", policy, *APPLY, "--dry-run", "--exit-code")
        same = {index.file for index in state(cluster, "bench").values()} == old
        done = cluster.sql("bench", proof)[0][0] == "t"
        kept += same and done and ran.code == 0 and again.code == 0
        report = outcome(ran)
        held = sum(step.get("duration_ms") or 0 for step in report["steps"]) / 1000 if report else 0.0
        quick += done and held <= LIMIT_SECONDS
        rows.append([words, "yes" if done else "NO", "kept" if same else "BUILT AGAIN", ms(held), ms(ran.seconds), ran.code, again.code])
    return (
        table(["difference", "done", "the index's file", "steps", "whole run", "exit", "exit of a dry run after it"], rows)
        + "\n\n" + table(["bar", "measured", "verdict"], [
            ["done without building anything, and then nothing to do", f"{kept} of {len(CASES)}", verdict(kept == len(CASES))],
            [f"steps <= {ms(LIMIT_SECONDS)}, so no lock was held longer", f"{quick} of {len(CASES)}", verdict(quick == len(CASES))]])
        + "\n\nThe file is pg_class.relfilenode: an index that keeps it was not built again. Steps: their duration as dbops reports it; the whole run bounds it. `--exit-code` makes a dry run exit with 1 when there is something to do."
    )

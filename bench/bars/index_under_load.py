"""Bar 25: create, replace, drop and a tree of 16 leaves while the table is written and read beside an idle reader."""

import load
from cluster import run
from indexes import APPLY, plan, state
from months import RUNS
from report import ms, table, verdict

TITLE = "Indexes: stalls of writers and readers during create, replace, drop and a tree of 16 leaves"
COMMAND = APPLY
TURNS = max(1, min(RUNS // 4, 3))
BUDGET_MS = 100 + 100
ROWS, LEAF_ROWS, LEAVES = 1_000_000, 40_000, 16
COLUMNS = "id bigint generated always as identity, user_id int not null, payload text not null default 'x', created_at timestamptz not null default now()"
FILL = "insert into events (user_id, created_at) select 1 + i % 5000, now() - i * interval '1 second' from generate_series(1, {rows}) i"

CREATE = "{ name: events_created, table: public.events, columns: [created_at, user_id] }"
REPLACE = "{ name: events_user, table: public.events, columns: [user_id, created_at] }"
DROP = "{ absent: [public.events_old], allow: [drops-index] }"
PSQL = {
    "psql, plain": {
        "create": ["create index events_created on events (created_at, user_id)"],
        "replace": ["begin; drop index events_user; create index events_user on events (user_id, created_at); commit"],
        "drop": ["drop index events_old"],
        "tree of 16 leaves": ["create index events_created on events (created_at, user_id)"],
    },
    "psql, concurrently": {
        "create": ["create index concurrently events_created on events (created_at, user_id)"],
        "replace": ["create index concurrently events_user_new on events (user_id, created_at)", "drop index concurrently events_user",
                    "alter index events_user_new rename to events_user"],
        "drop": ["drop index concurrently events_old"],
        "tree of 16 leaves": [
            "create index events_created on only events (created_at, user_id)",
            *(f"create index concurrently events_{leaf}_created on events_{leaf} (created_at, user_id)" for leaf in range(LEAVES)),
            *(f"alter index events_created attach partition events_{leaf}_created" for leaf in range(LEAVES))],
    },
}


def set_up(cluster):
    cluster.sql("postgres", "create database idx_load")
    cluster.sql("idx_load", f"create table events ({COLUMNS}, primary key (id))")
    cluster.sql("idx_load", FILL.format(rows=ROWS))
    cluster.sql("idx_load", "create index events_user on events (user_id); create index events_old on events (payload, id)")
    cluster.sql("idx_load", "vacuum analyze")
    cluster.sql("postgres", "create database idx_load_tree")
    cluster.sql("idx_load_tree", f"create table events ({COLUMNS}, primary key (id)) partition by hash (id)")
    for leaf in range(LEAVES):
        cluster.sql("idx_load_tree", f"create table events_{leaf} partition of events for values with (modulus {LEAVES}, remainder {leaf})")
    cluster.sql("idx_load_tree", FILL.format(rows=LEAF_ROWS * LEAVES))
    cluster.sql("idx_load_tree", "create index events_user on events (user_id)")
    cluster.sql("idx_load_tree", "vacuum analyze")


def by_psql(cluster, commands):
    words = [word for command in commands for word in ("-c", command)]
    return lambda db: run([f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", cluster.url(db), *words])


def done(cluster, kind):
    """Whether the catalog is as it should be after a step."""
    found = state(cluster, "bench")
    if not all(index.valid for index in found.values()):
        return False
    if kind == "drop":
        return "events_old" not in found
    if kind == "replace":
        return found["events_user"].definition.endswith("(user_id, created_at)")
    leaves = [index for index in found.values() if index.parent == "events_created"]
    return "events_created" in found and (kind == "create" or len(leaves) == LEAVES)


def measure(cluster, dbops):
    set_up(cluster)
    contestants = {name: {kind: by_psql(cluster, commands) for kind, commands in kinds.items()} for name, kinds in PSQL.items()}
    if dbops:
        def ours(name, entry):
            policy = dbops.plan(name, plan(entry))
            return lambda db: dbops(db, policy, *APPLY)
        contestants["dbops"] = {"create": ours("create", CREATE), "replace": ours("replace", REPLACE), "drop": ours("drop", DROP), "tree of 16 leaves": ours("tree", CREATE)}
    seen = {}
    for _ in range(TURNS):
        for name, kinds in contestants.items():
            for base, wanted in (("idx_load", ["create", "replace", "drop"]), ("idx_load_tree", ["tree of 16 leaves"])):
                cluster.fresh("bench", base)
                fine = {}

                def checked(kind, step):
                    def work(database):
                        ran = step(database)
                        fine[kind] = ran.code == 0 and done(cluster, kind)
                        return ran
                    return work

                for kind, (ran, stalls) in load.series(cluster, "bench", [(kind, checked(kind, kinds[kind])) for kind in wanted]).items():
                    seen.setdefault((kind, name), []).append((ran, stalls, fine[kind]))
    rows, bars = [], []
    for kind in PSQL["psql, plain"]:
        for name in contestants:
            turns = seen[(kind, name)]
            worst = max(s.longest for _, s, _ in turns)
            rows.append([kind, name, f"{max(s.writer for _, s, _ in turns):,.0f} ms", f"{max(s.reader for _, s, _ in turns):,.0f} ms", sum(s.over for _, s, _ in turns),
                         f"{max(s.quiet for _, s, _ in turns):,.0f} ms", " ".join(ms(r.seconds) for r, _, _ in turns),
                         " ".join(f"{r.code}/{'yes' if good else 'NO'}" for r, _, good in turns)])
            if name == "dbops":
                bars.append([f"{kind}: no gap above {BUDGET_MS} ms", f"{worst:,.0f} ms", verdict(worst <= BUDGET_MS and all(good for _, _, good in turns))])
    return (
        table(["step", "contestant", "longest write", "longest read", "over 100 ms", "longest before", "wall", "exit/as wished"], rows)
        + ("\n\n" + table(["bar", "worst of runs", "verdict"], bars) if bars else "")
        + f"\n\n{TURNS} alternated run(s) each; 2 writers at 250/s and 2 readers at 100/s, latencies from pgbench's logs counted from when a transaction was due. Beside"
        " them one session reads the whole table, idles in its transaction for 1.5 s, commits, and begins again half a second later, by turns REPEATABLE READ and READ COMMITTED;"
        " every step begins when it has just read and keeps its snapshot."
        f" {ROWS:,} rows in the plain table, {LEAF_ROWS:,} in each of the {LEAVES} leaves, which every read visits. max_block is 100 ms. `longest before` is the"
        " same figure in the two seconds before a step: the machine's own noise."
    )

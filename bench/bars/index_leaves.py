"""Bar 24: an index on a partitioned table of 16 leaves, two leaves at a time."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from indexes import APPLY, clear, plan, state
from months import RUNS
from report import median, ms, table, verdict

TITLE = "Indexes: 16 leaves of 250,000 rows, two at a time"
COMMAND = APPLY
LEAVES, ROWS, LIMIT = 16, 250_000, 0.7
TURNS = max(1, min(RUNS, 3))


# What a careful person types: the parent alone, each leaf concurrently, then attach.
PARENT = ["create index parts_user on only parts (user_id, created_at);"]
BUILDS = [f"create index concurrently parts_{leaf}_user on parts_{leaf} (user_id, created_at);" for leaf in range(LEAVES)]
ATTACH = [f"alter index parts_user attach partition parts_{leaf}_user;" for leaf in range(LEAVES)]


def script(cluster, name, lines):
    path = f"{cluster.home}/{name}.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def side_by_side(cluster):
    """The same with two psql at a time: what the machine gives at most."""
    paths = [script(cluster, f"leaves_{name}", lines) for name, lines in (("parent", PARENT), ("even", BUILDS[::2]), ("odd", BUILDS[1::2]), ("attach", ATTACH))]

    def work():
        ran = cluster.psql("idx_leaves", "-f", paths[0])
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda path: cluster.psql("idx_leaves", "-f", path), paths[1:3]))
        cluster.psql("idx_leaves", "-f", paths[3])
        return replace(ran, seconds=time.time() - ran.started)
    return work


def set_up(cluster, database, rows):
    cluster.sql("postgres", f"create database {database}")
    cluster.sql(database, "create table parts (id bigint not null, user_id int not null, note text not null, created_at timestamptz not null) partition by hash (id)")
    for leaf in range(LEAVES):
        cluster.sql(database, f"create table parts_{leaf} partition of parts for values with (modulus {LEAVES}, remainder {leaf})")
    cluster.sql(database, "insert into parts select i, hashint8(i) % 100000, 'note ' || i, timestamptz '2026-01-01 00:00+00' + (hashint8(-i) % 10000000) * interval '1 second'"
                f" from generate_series(1, {LEAVES * rows}) i")
    cluster.sql(database, "vacuum analyze")


def fine(found):
    """Whether the parent is valid and every leaf's index hangs on it."""
    parent = found.get("parts_user")
    leaves = [index for index in found.values() if index.parent == "parts_user"]
    return bool(parent and parent.valid) and len(leaves) == LEAVES and all(leaf.valid for leaf in leaves) and len(found) == LEAVES + 1


def measure(cluster, dbops):
    set_up(cluster, "idx_leaves", ROWS)
    path = script(cluster, "leaves", PARENT + BUILDS + ATTACH)
    contestants = {"psql in sequence": lambda: cluster.psql("idx_leaves", "-f", path), "psql, two at a time": side_by_side(cluster)}
    if dbops:
        policy = dbops.plan("leaves", plan("{ name: parts_user, table: public.parts, columns: [user_id, created_at] }"))
        contestants["dbops, --jobs 1"] = lambda: dbops("idx_leaves", policy, *APPLY, "--jobs", "1")
        contestants["dbops, --jobs 2"] = lambda: dbops("idx_leaves", policy, *APPLY, "--jobs", "2")
    rows, bars = [], []
    for workers, words in ((0, "no parallel workers"), (2, "2 parallel workers, the default")):
        cluster.sql("postgres", f"alter database idx_leaves set max_parallel_maintenance_workers = {workers}")
        times, wrong = {name: [] for name in contestants}, {}
        for _ in range(TURNS):
            for name, contestant in contestants.items():
                clear(cluster, "idx_leaves", "checkpoint")
                ran = contestant()
                times[name].append(ran.seconds)
                if ran.code != 0 or not fine(state(cluster, "idx_leaves")):
                    wrong[name] = f"exit {ran.code}: {(ran.err or ran.out)[-300:]}"
        middle = {name: median(values) for name, values in times.items()}
        base = middle["psql in sequence"]
        rows += [[name, words, ms(middle[name]), ms(min(values)), ms(max(values)), f"{middle[name] / base:.2f}", wrong.get(name, "yes")] for name, values in times.items()]
        if dbops:
            ratio = middle["dbops, --jobs 2"] / base
            floor = middle["psql, two at a time"] / base
            bars.append([f"--jobs 2 <= {LIMIT} x psql in sequence, {words}", f"{ratio:.2f} (two psql: {floor:.2f})", verdict(not wrong and ratio <= LIMIT)])
    text = table(["contestant", "builds", "median", "fastest", "slowest", "x psql", "all attached and valid"], rows)
    if bars:
        text += "\n\n" + table(["bar", "ratio", "verdict"], bars)
    return text + (
        f"\n\n{TURNS} alternated runs, each with a checkpoint before it. Parallel workers of one build compete with a second build for the cores, so both settings are"
        " measured. Two psql that share"
        " the leaves between them are the floor: what this machine gives to two builds at a time, without a look at anything."
    )

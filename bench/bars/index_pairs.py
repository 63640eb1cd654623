"""Bar 27: two applies of one plan at the same time."""

import threading
import time

from cluster import run
from indexes import APPLY, LOG_BUILDS, builds, clear, plan, state
from report import median, ms, table, verdict

TITLE = "Indexes: 50 pairs of simultaneous applies of one plan"
COMMAND = APPLY
PAIRS = 50
SETUP = [
    "create table left_side (id bigint primary key, a int not null, b int not null)",
    "create table right_side (id bigint primary key, a int not null, b int not null)",
    "insert into left_side select i, i % 5000, i % 700 from generate_series(1, 100000) i",
    "insert into right_side select i, i % 5000, i % 700 from generate_series(1, 100000) i",
]
NAMES = {"left_a": "on public.left_side using btree (a)", "left_ab": "on public.left_side using btree (a, b)", "right_b": "on public.right_side using btree (b)"}
PLAN = [
    "{ name: left_a, table: public.left_side, columns: [a] }",
    "{ name: left_ab, table: public.left_side, columns: [a, b] }",
    "{ name: right_b, table: public.right_side, columns: [b] }",
]
PSQL = ["create index concurrently if not exists left_a on left_side (a)", "create index concurrently if not exists left_ab on left_side (a, b)",
        "create index concurrently if not exists right_b on right_side (b)"]


def pair(cluster, contestant, delay):
    """Starts two runs, the second a little later; returns what became of them."""
    clear(cluster, "idx_pairs")
    offset, ran = cluster.log_size(), []
    threads = [threading.Thread(target=lambda: ran.append(contestant())) for _ in range(2)]
    threads[0].start()
    time.sleep(delay)
    threads[1].start()
    for thread in threads:
        thread.join()
    time.sleep(0.05)
    log = cluster.log_since(offset)
    found = {name: index for name, index in state(cluster, "idx_pairs").items() if not name.endswith("_pkey")}
    right = set(found) == set(NAMES) and all(index.valid and index.definition.lower().endswith(NAMES[name]) for name, index in found.items())
    return {"ran": ran, "right": right, "deadlocks": log.count("deadlock detected"), "builds": len(builds(log)),
            "errors": [line for line in log.splitlines() if "|ERROR:" in line]}


def measure(cluster, dbops):
    cluster.sql("postgres", "create database idx_pairs")
    for sql in SETUP:
        cluster.sql("idx_pairs", sql)
    cluster.sql("idx_pairs", "vacuum analyze")
    words = [word for command in PSQL for word in ("-c", command)]
    contestants = {"psql: create concurrently if not exists": (10, lambda: run(
        [f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", cluster.url("idx_pairs"), *words]))}
    if dbops:
        policy = dbops.plan("pairs", plan(*PLAN))
        contestants["dbops"] = (PAIRS, lambda: dbops("idx_pairs", policy, *APPLY))
    cluster.set(**LOG_BUILDS)
    seen = {}
    for name, (count, contestant) in contestants.items():
        # From the same moment up to well into the first one's builds.
        seen[name] = [pair(cluster, contestant, (number % 10) * 0.03) for number in range(count)]
    cluster.set(**dict.fromkeys(LOG_BUILDS))
    rows = []
    for name, pairs in seen.items():
        errors = [line.split("|", 1)[1] for one in pairs for line in one["errors"]]
        rows.append([name, len(pairs), sum(one["builds"] for one in pairs), len(NAMES) * len(pairs), sum(one["deadlocks"] for one in pairs), sum(one["right"] for one in pairs),
                     sorted({ran.code for one in pairs for ran in one["ran"]}), ms(median([max(ran.seconds for ran in one["ran"]) for one in pairs])),
                     f"{len(errors)}" + (f", first: {errors[0]}" if errors else "")])
    text = table(["contestant", "pairs", "builds begun", "indexes to build", "deadlocks", "pairs that ended as wished", "exit", "wall of the slower, median", "errors in the server's log"], rows)
    if dbops:
        ours = seen["dbops"]
        once = sum(one["builds"] == len(NAMES) and one["right"] for one in ours)
        deadlocks, well = sum(one["deadlocks"] for one in ours), sum(all(ran.code == 0 for ran in one["ran"]) for one in ours)
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            ["one build an index in every pair", f"{once} of {PAIRS}", verdict(once == PAIRS)], ["deadlocks = 0", deadlocks, verdict(deadlocks == 0)],
            ["both exit with 0", f"{well} of {PAIRS}", verdict(well == PAIRS)]])
    return text + (
        "\n\nTwo tables of 100,000 rows and three indexes. The second run of a pair starts 0 to 270 ms after the first. Builds are the CREATE INDEX commands in the server's log."
    )

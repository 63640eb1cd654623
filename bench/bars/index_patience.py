"""Bar 32: the two clocks: how long a build waits for other sessions' snapshots."""

import threading
import time

from cluster import run
from indexes import APPLY, clear, plan, state
from load import outcome
from pg import Session
from report import ms, table, verdict

TITLE = "Indexes: a build behind an old snapshot, with patience and without"
COMMAND = APPLY
HOLD_SECONDS, PATIENCE_SECONDS = 6.0, 3.0
ENTRY = "{ name: t_a, table: public.t, columns: [a] }"


def measure(cluster, dbops):
    cluster.sql("postgres", "create database idx_patience")
    cluster.sql("idx_patience", "create table t (id bigint primary key, a int not null); insert into t select i, i % 5000 from generate_series(1, 20000) i; create table elsewhere (id int)")
    policy = dbops and dbops.plan("patience", plan(ENTRY))
    build = "create index concurrently t_a on t (a)"
    psql = [f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url("idx_patience")]
    cases = [
        ("psql", HOLD_SECONDS, lambda: run([*psql, "-c", build])),
        ("psql, lock_timeout 3 s", HOLD_SECONDS, lambda: run([*psql, "-c", f"set lock_timeout = '{PATIENCE_SECONDS:.0f}s'", "-c", build])),
    ]
    if dbops:
        cases += [("dbops", HOLD_SECONDS, lambda: dbops("idx_patience", policy, *APPLY)),
                  ("dbops, --patience 3s", HOLD_SECONDS, lambda: dbops("idx_patience", policy, *APPLY, "--patience", f"{PATIENCE_SECONDS:.0f}s"))]
    rows, bars = [], []
    for name, hold, contestant in cases:
        clear(cluster, "idx_patience")
        # An idle session without a snapshot is no blocker, and must not be named. It has not touched the table: what
        # is left of a given-up build cannot be dropped by anybody while another transaction has a lock on its table.
        with Session(cluster, "idx_patience", "bench-snapshot") as holder, Session(cluster, "idx_patience", "bench-harmless") as harmless:
            harmless.query("begin; select count(*) from elsewhere; insert into elsewhere values (1)")
            holder.query("begin isolation level repeatable read; select count(*) from elsewhere")
            released = []

            def release(holder=holder, released=released):
                released.append(time.time())
                holder.query("commit")

            timer = threading.Timer(hold, release)
            timer.start()
            ran = contestant()
            ended = ran.started + ran.seconds
            timer.join()
            harmless.query("rollback")
        left = state(cluster, "idx_patience").get("t_a")
        report = outcome(ran) or {"steps": []}
        named = sorted({str(blocker.get("application")) for step in report["steps"] for blocker in step.get("blockers", [])})
        after = ended - released[0]
        rows.append([name, ms(ran.seconds), f"{after:+.2f} s", ran.code, "none" if left is None else "valid" if left.valid else "INVALID", ", ".join(named) or "-"])
        if name == "dbops":
            bars.append(["snapshot gone after 6 s: done <= 1 s later", f"{after:.2f} s", verdict(ran.code == 0 and bool(left and left.valid) and after <= 1)])
        elif name.startswith("dbops"):
            bars.append(["patience 3 s: ends at 3 s +- 0.5 s, deferred, nothing left behind", f"{ran.seconds:.2f} s, exit {ran.code}",
                         verdict(abs(ran.seconds - PATIENCE_SECONDS) <= 0.5 and ran.code == 6 and left is None)])
            bars.append(["and names the blocker and nobody else", ", ".join(named) or "nobody", verdict(named == ["bench-snapshot"])])
    return (
        table(["contestant", "wall", "ended after the snapshot", "exit", "index", "blockers named"], rows)
        + ("\n\n" + table(["bar", "measured", "verdict"], bars) if bars else "")
        + f"\n\nA REPEATABLE READ transaction that has read another table keeps its snapshot for {HOLD_SECONDS:.0f} s. Beside it an idle READ COMMITTED transaction has"
        " written to that other table: it holds no snapshot and keeps no build waiting."
    )

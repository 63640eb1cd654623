"""Bar 5: what dbops reports about blocking, held against an observer that is not dbops."""

import json
import pathlib
import subprocess
import sys

import load
from cluster import run
from months import RUNS
from report import table, verdict

TITLE = "Reported blocked time against a separate observer"
PRUNE = """version: 1
lock_budget: { max_block: 100ms, give_up_after: 8s }
partitions:
  - { table: public.events, every: month, premake: 1, retain: 11 months, expire: drop, allow: [drops-data] }
"""
# With a DEFAULT partition nothing can be detached concurrently: after polling, dbops queues in short turns.
QUEUE = """version: 1
lock_budget: { max_block: 300ms, give_up_after: 5s }
partitions:
  - { table: public.events, every: month, premake: 1, retain: 13 months, expire: drop, allow: [drops-data] }
"""
# A budget wide enough for a scan of DEFAULT under ACCESS EXCLUSIVE: readers wait, and that is to be reported.
ENSURE = """version: 1
lock_budget: { max_block: 900ms, give_up_after: 60s }
partitions:
  - { table: public.events, every: month, premake: 3 }
"""
OLD_ROWS = 1_500_000
OBSERVER = pathlib.Path(__file__).resolve().parent.parent / "observer.py"


def observed(cluster, application, work):
    """Runs `work` beside the observer; returns (what work gave, what the observer saw)."""
    observer = subprocess.Popen(
        [sys.executable, str(OBSERVER), cluster.socket_dir, str(cluster.port), "bench", application],
        stdout=subprocess.PIPE, text=True,
    )
    observer.stdout.readline()
    try:
        result = work()
    finally:
        observer.terminate()
        seen = observer.communicate()[0]
    return result, json.loads(seen)


def by_hand(cluster):
    """A plain `lock table` with a time-out of 400 ms: the observer must see a wait of that length."""
    command = [f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url("bench"), "-c",
               "set application_name = 'dbops-stand-in'; set lock_timeout = '400ms'; begin; lock table events"]
    return run(command)


def measure(cluster, dbops):
    load.template(cluster, "report_plain", past=14)
    load.template(cluster, "report_queue", past=14, default=True)
    load.template(cluster, "report_default", past=2, default=True, rows=20_000)
    cluster.sql("report_default", "insert into events (user_id, created_at) select 1, timestamptz '2001-01-01 00:00+00' + i * interval '1 second'"
                f" from generate_series(1, {OLD_ROWS}) i")
    cluster.fresh("bench", "report_plain")
    (_, stalls), seen = observed(cluster, "dbops", lambda: load.measure(cluster, "bench", lambda _: by_hand(cluster), hold=3))
    rows = [["psql, `lock table` that waits for 400 ms", "-", f"{seen['longest_ms']:.0f} ms", f"{stalls.longest:.0f} ms",
             seen["count"], f"{seen['slowest_sample_ms']:.0f} ms", "-"]]
    good = []
    cases = [("prune behind a reader", "report_plain", PRUNE, "prune", 12), ("prune that queues in short turns", "report_queue", QUEUE, "prune", 12),
             ("ensure that scans DEFAULT", "report_default", ENSURE, "ensure", 0.5)]
    for turn in range(RUNS if dbops else 0):
        for kind, base, text, verb, hold in cases:
            policy = dbops.plan("report", text)
            cluster.fresh("bench", base)
            (ran, stalls), seen = observed(
                cluster, "dbops",
                lambda: load.measure(cluster, "bench", lambda db: dbops(db, policy, "partitions", verb), hold=hold))
            found = load.outcome(ran)
            said = found["blocked"]["longest_ms"] if found else None
            holds = said is not None and abs(said - seen["longest_ms"]) <= max(20, 0.1 * seen["longest_ms"])
            # Two zeroes agree, but prove nothing: only a wait worth measuring counts.
            counts = said is None or max(said, seen["longest_ms"]) >= 20
            if counts:
                good.append(holds)
            rows.append([f"dbops, {kind}, run {turn + 1} (exit {ran.code})", "-" if said is None else f"{said:.0f} ms", f"{seen['longest_ms']:.0f} ms",
                         f"{stalls.longest:.0f} ms", seen["count"], f"{seen['slowest_sample_ms']:.0f} ms", verdict(holds) if counts else "nobody waited"])
    text = table(["contestant", "reported longest", "observed longest", "longest by pgbench", "waits observed", "observer's slowest sample", "within 20 ms or 10 %"], rows)
    if dbops:
        text += "\n\n" + table(["bar", "measured", "verdict"], [["every run with a wait within 20 ms or 10 %", f"{sum(good)} of {len(good)}", verdict(all(good) if good else None)]])
    return text + (
        "\n\nThe first line checks the observer itself: a wait of known length. Where it queues, each turn is bounded by max_block (300 ms there) shared among its locks. In the last case a DEFAULT partition holds"
        f" {OLD_ROWS:,} old rows, which the server scans under ACCESS EXCLUSIVE when a month is attached; max_block is 900 ms there."
    )

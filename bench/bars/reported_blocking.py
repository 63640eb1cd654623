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
PLAN = """version: 1
lock_budget: { max_block: 100ms, give_up_after: 8s }
partitions:
  - { table: public.events, every: month, premake: 0, retain: 11 months, expire: drop, allow: [drops-data] }
"""
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
    cluster.fresh("bench", "report_plain")
    (_, stalls), seen = observed(cluster, "dbops", lambda: load.measure(cluster, "bench", lambda _: by_hand(cluster), hold=3))
    rows = [["psql, LOCK TABLE with lock_timeout 400 ms", "-", f"{seen['longest_ms']:.0f} ms", f"{stalls.longest:.0f} ms",
             seen["count"], f"{seen['slowest_sample_ms']:.0f} ms", "-"]]
    good = []
    for turn in range(RUNS if dbops else 0):
        policy = dbops.plan("report", PLAN)
        cluster.fresh("bench", "report_plain")
        # A reader that stays longer than dbops polls: it has to queue, so that there is something to report.
        (ran, stalls), seen = observed(
            cluster, "dbops",
            lambda: load.measure(cluster, "bench", lambda db: dbops(db, policy, "partitions", "prune"), hold=12))
        found = load.outcome(ran)
        said = found["blocked"]["longest_ms"] if found else None
        difference = None if said is None else said - seen["longest_ms"]
        good.append(said is not None and abs(difference) <= max(20, 0.1 * seen["longest_ms"]))
        rows.append([f"dbops, run {turn + 1} (exit {ran.code})", "-" if said is None else f"{said:.0f} ms", f"{seen['longest_ms']:.0f} ms",
                     f"{stalls.longest:.0f} ms", seen["count"], f"{seen['slowest_sample_ms']:.0f} ms", verdict(good[-1])])
    text = table(["contestant", "reported longest", "observed longest", "longest by pgbench", "waits observed", "observer's slowest sample", "within 20 ms or 10 %"], rows)
    if dbops:
        text += "\n\n" + table(["bar", "measured", "verdict"], [["every run within 20 ms or 10 %", f"{sum(good)} of {len(good)}", verdict(all(good))]])
    return text + "\n\nThe first line checks the observer itself: a wait of known length. An open reader holds the table for longer than dbops polls, so that it has to queue."

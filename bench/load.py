"""The load of bars 3 to 5 and 25: two writers, two readers that scan all partitions, one open reader; stalls by pgbench's own logs."""

import contextlib
import glob
import json
import subprocess
import threading
import time
from dataclasses import dataclass

from months import month, partman_template, plain_template
from pg import Session

WRITERS, READERS = (2, 250), (2, 100)  # clients, transactions per second in all
HOLD_SECONDS = 6.0
WRITE = "\\set uid random(1, 5000)\ninsert into events (user_id, payload) values (:uid, 'bench');\n"
READ = "\\set uid random(1, 5000)\nselect count(*), max(created_at) from events where user_id = :uid;\n"


@dataclass
class Stalls:
    """Latencies in milliseconds of the sessions under load."""

    quiet: float  # longest before anything ran: the noise of the machine
    writer: float  # longest while the contestant ran
    reader: float
    over: int  # transactions above 100 ms while it ran
    failed: int

    @property
    def longest(self):
        return max(self.writer, self.reader)


def template(cluster, name, past, default=False, rows=200_000, partman=None):
    """A database with one table `events` of some months and rows, by hand or by pg_partman."""
    if partman is None:
        plain_template(cluster, name, ["events"], past)
        if default:
            cluster.sql(name, "create table events_default partition of events default")
    else:
        partman_template(cluster, name, ["events"], past, ahead=3, default=default)
        cluster.sql(name, f"update partman.part_config set {partman}")
    cluster.sql(
        name,
        "insert into events (user_id, created_at) select 1 + i % 5000,"
        f" timestamptz '{month(-past)} 00:00+00' + (now() - timestamptz '{month(-past)} 00:00+00') * (i::float8 / {rows})"
        f" from generate_series(0, {rows} - 1) i",
    )
    cluster.sql(name, "vacuum analyze")


@contextlib.contextmanager
def running(cluster, database, seconds=120):
    """pgbench's writers and readers, warmed up; gives the prefix of their logs, complete when the block has ended."""
    logs, jobs = f"{cluster.home}/load", []
    for old in glob.glob(f"{logs}.*"):
        subprocess.run(["rm", "-f", old], check=True)
    for kind, script, (clients, rate) in (("w", WRITE, WRITERS), ("r", READ, READERS)):
        path = f"{cluster.home}/{kind}.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        jobs.append(subprocess.Popen(
            [f"{cluster.bin}/pgbench", "-n", "-c", str(clients), "-j", str(clients), "-R", str(rate), "-T", str(seconds),
             "-l", "--log-prefix", f"{logs}.{kind}", "-f", path, cluster.url(database)],
            cwd=cluster.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ))
    try:
        time.sleep(3)
        yield logs
        # pgbench writes its log in blocks of 4 kB and loses the last one when it is ended; at the
        # lowest rate above a block fills in 2.5 s. Whatever was stalled must be on disk by then.
        time.sleep(5)
    finally:
        for job in jobs:
            job.terminate()
        for job in jobs:
            job.wait()


def measure(cluster, database, contestant, hold=HOLD_SECONDS):
    """Runs the contestant one second after an open reader began, under load; returns (Ran, Stalls)."""
    with running(cluster, database) as logs:
        with open_reader(cluster, database, hold):
            time.sleep(1)
            began = time.time()
            ran = contestant(database)
            ended = time.time()
    return ran, stalls(logs, began, ended)


def series(cluster, database, steps):
    """Runs steps one after the other under one load, beside a reader that comes back; returns {name: (Ran, Stalls)}."""
    windows = {}
    with running(cluster, database, seconds=600) as logs:
        with returning_reader(cluster, database) as reading:
            for name, step in steps:
                time.sleep(3)
                # Every contestant meets the reader in the same place: just in, its snapshot kept.
                reading.clear()
                reading.wait()
                time.sleep(0.2)
                began = time.time()
                ran = step(database)
                windows[name] = (ran, began, time.time())
    return {name: (ran, stalls(logs, began, ended)) for name, (ran, began, ended) in windows.items()}


@contextlib.contextmanager
def returning_reader(cluster, database, hold=1.5, pause=0.5):
    """A session that reads the whole table and then idles in its transaction, again and again, by turns with and without
    its snapshot kept; gives an event that is set whenever it has read and keeps its snapshot."""
    stop, reading = threading.Event(), threading.Event()

    def work():
        with Session(cluster, database, "bench-idle-reader") as session:
            while not stop.is_set():
                for level in ("repeatable read", "read committed"):
                    session.query(f"begin isolation level {level}; select count(*) from events")
                    if level == "repeatable read":
                        reading.set()
                    stop.wait(hold)
                    session.query("commit")
                    stop.wait(pause)

    reader = threading.Thread(target=work)
    reader.start()
    try:
        yield reading
    finally:
        stop.set()
        reader.join()


@contextlib.contextmanager
def open_reader(cluster, database, hold):
    """A transaction that has read every partition and stays open for `hold` seconds."""
    session = Session(cluster, database, "bench-open-reader")
    session.query("begin; select count(*) from events")
    timer = threading.Timer(hold, lambda: session.query("commit"))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        session.close()


def stalls(logs, began, ended):
    """Reads pgbench's per-transaction logs: client, number, latency (us), script, end (s), end (us), lag (us).

    With --rate the latency counts from the moment the transaction was due, so a stall is not hidden
    by the transactions that it kept from starting.
    """
    quiet, worst, over, failed = 0.0, {"w": 0.0, "r": 0.0}, 0, 0
    for kind in worst:
        for path in glob.glob(f"{logs}.{kind}.*"):
            with open(path, encoding="utf-8") as log:
                for line in log:
                    words = line.split()
                    if len(words) < 6 or not words[5].isdigit():
                        continue
                    if not words[2].isdigit():
                        failed += 1
                        continue
                    latency, end = int(words[2]) / 1000, int(words[4]) + int(words[5]) / 1e6
                    if end < began:
                        if end > began - 2:  # the first second is pgbench connecting
                            quiet = max(quiet, latency)
                    elif end - latency / 1000 < ended + 0.05:
                        worst[kind] = max(worst[kind], latency)
                        over += latency > 100
    return Stalls(quiet, worst["w"], worst["r"], over, failed)


def outcome(ran):
    """The run's report inside dbops's JSON: the object that has both `steps` and `blocked`."""
    def look(value):
        if isinstance(value, dict):
            if "steps" in value and "blocked" in value:
                return value
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                found = look(one)
                if found is not None:
                    return found
        return None

    try:
        return look(json.loads(ran.out))
    except json.JSONDecodeError:
        return None


def blockers(ran):
    """Applications named as blockers in dbops's report."""
    found = outcome(ran) or {"steps": []}
    return sorted({str(b.get("application")) for step in found["steps"] for b in step.get("blockers", [])})

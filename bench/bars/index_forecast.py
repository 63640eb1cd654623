"""Bar 33: who would hold a build up, told before it begins."""

import contextlib
import json
import threading
import time

from cluster import Cluster, Dbops, run
from indexes import APPLY, clear, plan
from pg import ServerError, Session
from report import median, ms, table, verdict

TITLE = "Indexes: who would hold a build up, told by the dry run"
COMMAND = APPLY
HARMLESS = 10
SETUP = "create table t (id bigint primary key, a int not null); insert into t select i, i from generate_series(1, 1000) i; create table elsewhere (id int)"
NAME = "bench-open"


def queries(*texts):
    def start(cluster, stack):
        session = stack.enter_context(Session(cluster, "bench", NAME))
        for text in texts:
            session.query(text)
    return start


def after_extended_protocol(cluster, stack):
    session = stack.enter_context(Session(cluster, "bench", NAME))
    session.query("begin")
    session.portal("select count(*) from elsewhere")


def waiting(cluster, stack, before, text):
    """A statement that waits for a lock held by a harmless session."""
    holder, session = (stack.enter_context(Session(cluster, "bench", name)) for name in ("bench-harmless", NAME))
    holder.query(before)

    def work():
        with contextlib.suppress(ServerError, ConnectionError):
            session.query(text)

    thread = threading.Thread(target=work)
    thread.start()
    stack.callback(thread.join)
    stack.callback(lambda: cluster.sql("bench", f"select pg_terminate_backend({session.pid})"))
    time.sleep(0.1)


def prepared(cluster, stack):
    with Session(cluster, "bench", NAME) as session:
        session.query("begin; insert into t values (0, 0)")
        session.query("prepare transaction 'bench-prepared'")
    stack.callback(lambda: cluster.sql("bench", "rollback prepared 'bench-prepared'"))


CASES = {
    "REPEATABLE READ, read elsewhere, idle": (queries("begin isolation level repeatable read; select count(*) from elsewhere"), True),
    "READ COMMITTED, read the table, idle": (queries("begin; select count(*) from t"), False),
    "READ COMMITTED, wrote elsewhere, idle": (queries("begin; insert into elsewhere values (1)"), False),
    "READ COMMITTED, wrote the table, idle": (queries("begin; insert into t values (0, 0)"), True),
    "open cursor elsewhere": (queries("begin", "declare c cursor for select * from elsewhere", "fetch 1 from c"), True),
    "idle after a SELECT by the extended protocol": (after_extended_protocol, True),
    "waits in `select pg_advisory_lock`": (lambda cluster, stack: waiting(cluster, stack, "select pg_advisory_lock(7)", "select pg_advisory_lock(7)"), True),
    "prepared transaction that wrote the table": (prepared, True),
    "DDL that queues for the table": (lambda cluster, stack: waiting(cluster, stack, "begin; select count(*) from t", "alter table t add column more int"), True),
}


def forecast(ran):
    """The object with `blocking` and `harmless` in the JSON of a dry run."""
    def look(value):
        if isinstance(value, dict):
            if "blocking" in value and "harmless" in value:
                return value
            value = list(value.values())
        return next(filter(None, map(look, value)), None) if isinstance(value, list) else None

    try:
        return look(json.loads(ran.out))
    except json.JSONDecodeError:
        return None


def measure(_cluster, dbops):
    with Cluster(max_prepared_transactions="4") as cluster:
        return on(cluster, dbops and Dbops(dbops.path, cluster))


def on(cluster, dbops):
    cluster.sql("postgres", "create database bench")
    cluster.sql("bench", SETUP)
    policy = dbops and dbops.plan("forecast", plan("{ name: t_a, table: public.t, columns: [a] }"))
    rows, right, alarms, slowest = [], 0, 0, []
    with contextlib.ExitStack() as crowd:
        for number in range(HARMLESS):
            session = crowd.enter_context(Session(cluster, "bench", "bench-harmless"))
            session.query(["select 1", "begin; select count(*) from elsewhere", "begin; insert into elsewhere values (1)", "begin"][number % 4])
        for words, (start, blocks) in CASES.items():
            clear(cluster, "bench")
            with contextlib.ExitStack() as stack:
                start(cluster, stack)
                line = [words]
                if dbops:
                    ran = dbops("bench", policy, *APPLY, "--dry-run")
                    found = forecast(ran)
                    named = [one for one in (found or {}).get("blocking", []) if one.get("application") == NAME or one.get("pid") in (0, None)]
                    false = [one for one in (found or {}).get("blocking", []) if one not in named]
                    right += found is not None and bool(named) == blocks
                    alarms += len(false)
                    slowest.append(ran.seconds)
                    line += ["no forecast" if found is None else "blocks" if named else "does not", (named[0].get("why") if named else None) or "-", len(false)]
                # The server's own answer: whether a build waits longer than 0.3 s for anybody.
                ran = run([f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url("bench"), "-c", "set lock_timeout = '300ms'", "-c", "create index concurrently t_a on t (a)"])
                truth = "lock timeout" in ran.err
                rows.append([*line, "blocks" if truth else "does not", "yes" if truth == blocks else "NO"])
    header = ["other session", *(["dbops says", "why", "harmless sessions named"] if dbops else []), "a real build", "as expected of the server"]
    text = table(header, rows)
    if dbops:
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            [f"{len(CASES)} of {len(CASES)} verdicts right", right, verdict(right == len(CASES))],
            [f"false alarms over {HARMLESS} harmless sessions = 0", alarms, verdict(right > 0 and alarms == 0)],
            ["within 1 s", f"median {ms(median(slowest))}, slowest {ms(max(slowest))}", verdict(max(slowest) <= 1)]])
    return text + (
        f"\n\nEach line alone, beside {HARMLESS} harmless sessions. A real build: `create index concurrently` by psql with lock_timeout 300 ms, at the same moment."
    )

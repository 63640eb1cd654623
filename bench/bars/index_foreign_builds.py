"""Bar 26: applies against a table on which somebody else's concurrent build or reindex is in flight."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from cluster import run
from indexes import APPLY, clear, plan, state, wait_for
from pg import Session
from report import ms, median, table, verdict

TITLE = "Indexes: 60 applies against another session's build in flight"
COMMAND = APPLY
TRIALS, NAIVE, LANES = 60, 6, 6
HOLD_SECONDS = 2.2  # above deadlock_timeout, so that a queue behind the build would kill it
SETUP = (
    "create table t (id bigint primary key, a int not null, b int not null); insert into t select i, i % 5000, i % 700 from generate_series(1, 100000) i;"
    " create table elsewhere (id int)"
)
FOREIGN = "create index concurrently t_a on t (a)"
# What the plan wants while the build runs: (foreign command, plan entries, definitions' ends at the end).
KINDS = {
    "the same index": (FOREIGN, ["{ name: t_a, table: public.t, columns: [a] }"], {"t_a": "(a)"}),
    "another index": (FOREIGN, ["{ name: t_b, table: public.t, columns: [b] }"], {"t_a": "(a)", "t_b": "(b)"}),
    "the same name, other keys": (FOREIGN, ["{ name: t_a, table: public.t, columns: [a, b], allow: [drops-index] }"], {"t_a": "(a, b)"}),
    "an index that is being reindexed": ("reindex index concurrently t_a",
                                         ["{ name: t_a, table: public.t, columns: [a] }", "{ name: t_b, table: public.t, columns: [b] }"], {"t_a": "(a)", "t_b": "(b)"}),
}
HOLDERS = {
    "a writer of the table": "begin; insert into t values (-1, 0, 0)",
    "a snapshot elsewhere": "begin isolation level repeatable read; select count(*) from elsewhere",
}
WAITING = "select 1 from pg_stat_progress_create_index where phase like 'waiting for%'"
PSQL = {
    "psql: drop index if exists, create concurrently": ["drop index if exists t_a", FOREIGN],
    "psql: create concurrently if not exists": ["create index concurrently if not exists t_a on t (a)"],
}


def trial(cluster, database, kind, holder, contestant):
    """One foreign build held in flight; returns what became of it and of the contestant."""
    foreign, _, wanted = KINDS[kind]
    clear(cluster, database, "delete from t where id < 0", *(["create index t_a on t (a)"] if foreign.startswith("reindex") else []))
    with Session(cluster, database) as blocker, Session(cluster, database) as observer:
        blocker.query(HOLDERS[holder])
        build = subprocess.Popen([f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url(database), "-c", foreign],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        caught = wait_for(lambda: observer.query(WAITING))
        ran = []
        work = threading.Thread(target=lambda: ran.append(contestant(database)))
        work.start()
        time.sleep(HOLD_SECONDS)
        in_flight = build.poll() is None  # else something has ended it before its time
        blocker.query("commit")
        said = build.communicate()[1].strip()
        work.join()
    found = {name: index for name, index in state(cluster, database).items() if name != "t_pkey"}
    right = set(found) == set(wanted) and all(index.valid and index.definition.endswith(wanted[name]) for name, index in found.items())
    return {"caught": caught, "survived": build.returncode == 0 and in_flight, "said": said, "ran": ran[0], "right": right,
            "left": "; ".join(f"{index.definition}{'' if index.valid else ' INVALID'}" for index in found.values())}


def all_trials(cluster, lanes, jobs):
    """Runs trials side by side, one a database: no build waits for another database's transactions."""
    free = list(lanes)

    def one(job):
        database = free.pop()
        try:
            return job[0], trial(cluster, database, *job[1:])
        finally:
            free.append(database)

    with ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(one, jobs))


def measure(cluster, dbops):
    lanes = [f"idx_foreign_{number}" for number in range(LANES)]
    for lane in lanes:
        cluster.sql("postgres", f"create database {lane}")
        cluster.sql(lane, SETUP)
    cases = [(kind, holder) for kind in KINDS for holder in HOLDERS]
    jobs = []
    for name, commands in PSQL.items():
        words = [word for command in commands for word in ("-c", command)]
        naive = lambda db, w=words: run([f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", cluster.url(db), *w])  # noqa: E731
        jobs += [(name, "the same index", list(HOLDERS)[number % 2], naive) for number in range(NAIVE)]
    for number in range(TRIALS if dbops else 0):
        kind, holder = cases[number % len(cases)]
        policy = dbops.plan(f"foreign_{list(KINDS).index(kind)}", plan(*KINDS[kind][1]))
        jobs.append((f"dbops: {kind}", kind, holder, lambda db, p=policy: dbops(db, p, *APPLY)))
    seen = {}
    for name, result in all_trials(cluster, lanes, jobs):
        seen.setdefault(name, []).append(result)
    rows, ours = [], []
    for name, results in seen.items():
        odd = next((r["said"].splitlines()[0] if r["said"] else f"exit {r['ran'].code}, left {r['left']}" for r in results if not (r["survived"] and r["right"])), "-")
        rows.append([name, len(results), sum(r["survived"] for r in results), sum(r["right"] for r in results), sorted({r["ran"].code for r in results}),
                     ms(median([r["ran"].seconds for r in results])), odd])
        ours += results if name.startswith("dbops") else []
    text = table(["contestant", "runs", "foreign builds that survived", "runs that ended as wished", "exit", "wall, median", "first mishap"], rows)
    if dbops:
        survived, right = sum(r["survived"] for r in ours), sum(r["right"] and r["ran"].code == 0 for r in ours)
        caught = all(r["caught"] for r in ours)
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            [f"{TRIALS} of {TRIALS} foreign builds survive", f"{survived} of {len(ours)}", verdict(survived == TRIALS and caught)],
            ["and every apply ends with 0 and its indexes valid", f"{right} of {len(ours)}", verdict(right == TRIALS and caught)]])
    return text + (
        f"\n\nEach run: another session's `create index concurrently` (or `reindex index concurrently`) is held in one of its waits for {HOLD_SECONDS} s, by a transaction that"
        " wrote to the table or by one that keeps a snapshot; the contestant starts meanwhile, then the transaction ends. Survived: the other session's command"
        " ended with 0 and was still there when the transaction ended."
    )

"""Bar 28: SIGKILL of dbops or of its server process at any moment, then one more run."""

import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from cluster import Cluster, Dbops
from indexes import APPLY, LOG_BUILDS, builds, clear, plan, state, wait_for
from pg import ServerError, Session
from report import median, ms, table, verdict

TITLE = "Indexes: SIGKILL of client and of server process at random points, then one more run"
COMMAND = APPLY
KILLED_SERVER = "server process, SIGKILL"
RESTARTED = "database system is ready to accept connections"
POINTS = {"client, SIGKILL": 64, KILLED_SERVER: 36, "server process, pg_terminate_backend": 28}
LANES = 2
SETTINGS = {"shared_buffers": "128MB", "restart_after_crash": "on", **{name: f"'{value}'" for name, value in LOG_BUILDS.items()}}
SETUP = """
create table a (id bigint primary key, x int not null, y int not null);
insert into a select i, i % 5000, i % 700 from generate_series(1, 120000) i;
create table p (id bigint not null, x int not null) partition by hash (id);
create table p_0 partition of p for values with (modulus 3, remainder 0);
create table p_1 partition of p for values with (modulus 3, remainder 1);
create table p_2 partition of p for values with (modulus 3, remainder 2);
insert into p select i, i % 5000 from generate_series(1, 90000) i;
"""
BEFORE = "create index a_y on a (y); create index a_old on a (x, y)"
PLAN = [
    "{ name: a_x, table: public.a, columns: [x] }",
    "{ name: a_y, table: public.a, columns: [y, x], allow: [drops-index] }",  # replaced
    "{ name: p_x, table: public.p, columns: [x] }",
    "{ absent: [public.a_old], allow: [drops-index] }",
]
OURS = "from pg_stat_activity where application_name like 'dbops%' and backend_type = 'client backend'"
# The process that changes something rather than the one that watches it.
VICTIM = f"select pid {OURS} order by (query ~* '^(create|drop|alter|reindex) ' and state = 'active') desc, random() limit 1"


def reset(cluster):
    clear(cluster, "postgres", "drop index if exists a_y", BEFORE, "checkpoint")


def meaning(cluster):
    """Definitions and validity; the names of a tree's leaves are dbops's own choice, and always the same."""
    return sorted((index.meaning for index in state(cluster, "postgres").values()), key=str)


def start(dbops, policy):
    return subprocess.Popen(dbops.command("postgres", policy, *APPLY), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def up(cluster):
    """Whether the server takes connections (it restarts itself when one of its processes is killed)."""
    try:
        Session(cluster, "postgres").close()
        return True
    except (OSError, ServerError, ConnectionError):
        return False


def strike(cluster, running, victim):
    """Kills the victim; False when the run was over already."""
    if victim.startswith("client"):
        if running.poll() is not None:
            return False
        running.send_signal(signal.SIGKILL)
        return True
    with Session(cluster, "postgres") as session:
        rows = session.query(VICTIM)
        if not rows:
            return False
        if victim.endswith("backend"):
            return session.query(f"select pg_terminate_backend({rows[0][0]})")[0][0] == "t"
        os.kill(int(rows[0][0]), signal.SIGKILL)
    return True


def trial(cluster, dbops, policy, victim, delay, wanted):
    """One kill after `delay` seconds and one more run; None when the first run was too quick for it."""
    reset(cluster)
    offset = cluster.log_size()
    running = start(dbops, policy)
    time.sleep(delay)
    hit = strike(cluster, running, victim)
    running.wait()
    if not hit:
        return None
    # After a kill of the client nothing is waited for: its server process may still be building.
    # A session may still get in before the server has seen the death of its process: its log tells when it is back.
    if victim == KILLED_SERVER and not wait_for(lambda: RESTARTED in cluster.log_since(offset) and up(cluster), 60):
        raise SystemExit("the server did not come back")
    ran = dbops("postgres", policy, *APPLY)
    found = meaning(cluster)
    time.sleep(0.02)
    begun = builds(cluster.log_since(offset))
    whole = {}
    for build in begun:
        whole[build.what] = whole.get(build.what, 0) + build.finished
    names = {one[0] for one in wanted}
    return {"code": ran.code, "valid": all(one[3] and one[4] for one in found), "same": found == wanted,
            "builds": len(begun), "left": [one[0] for one in found if one[0] not in names],
            "double": [what for what, count in whole.items() if count > 1] + [build.what for build in begun if build.beside],
            "why": (ran.out + ran.err)[-400:] if ran.code else "", "found": found, "at": delay}


def lane(path, number, jobs, results, lock):
    """A cluster of its own: a killed server process takes all sessions of its cluster with it."""
    with Cluster(**SETTINGS) as cluster:
        dbops = Dbops(path, cluster)
        policy = dbops.plan("killed", plan(*PLAN))
        cluster.sql("postgres", SETUP)
        cluster.sql("postgres", "vacuum analyze")
        times = []
        for _ in range(4):
            reset(cluster)
            ran = dbops("postgres", policy, *APPLY)
            times.append(ran.seconds)
            if ran.code != 0:
                raise SystemExit(f"an undisturbed run ends with {ran.code}: {(ran.err or ran.out)[-600:]}")
        usual, wanted = median(times[1:]), meaning(cluster)
        for victim, fraction in jobs[number::LANES]:
            for shorter in (1, 0.9, 0.75, 0.5):
                result = trial(cluster, dbops, policy, victim, usual * fraction * shorter, wanted)
                if result:
                    break
            with lock:
                results.append((victim, usual, result))


def measure(_cluster, dbops):
    if dbops is None:
        return "not measured without dbops"
    jobs = [(victim, (point + 0.5) / count) for victim, count in POINTS.items() for point in range(count)]
    results, lock = [], threading.Lock()
    with ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(lane, dbops.path, number, jobs, results, lock) for number in range(LANES)]:
            done.result()
    rows = []
    for victim in POINTS:
        seen = [result for name, _, result in results if name == victim and result]
        odd = next((f"at {r['at']:.2f} s: exit {r['code']}, left {r['left']}, double {r['double']}, {r['why']}"[:300].replace("\n", " ") for r in seen if not good(r)), "-")
        rows.append([victim, len(seen), sum(r["code"] == 0 for r in seen), sum(r["valid"] for r in seen), sum(r["same"] for r in seen),
                     sum(bool(r["left"]) for r in seen), sum(r["builds"] for r in seen), sum(bool(r["double"]) for r in seen), odd])
    seen = [result for _, _, result in results if result]
    usual = median([usual for _, usual, _ in results])
    return (
        table(["victim", "points", "next run exits with 0", "all valid", "catalog as undisturbed", "with leftovers", "builds begun", "with a double build", "first mishap"], rows)
        + "\n\n" + table(["bar", "measured", "verdict"], [
            ["at 100 or more points the next run ends valid", f"{sum(r['valid'] and r['same'] and r['code'] == 0 for r in seen)} of {len(seen)}",
             verdict(len(seen) >= 100 and all(r["valid"] and r["same"] and r["code"] == 0 for r in seen))],
            ["leftovers = 0", sum(bool(r["left"]) for r in seen), verdict(not any(r["left"] for r in seen))],
            ["double builds = 0", sum(bool(r["double"]) for r in seen), verdict(not any(r["double"] for r in seen))]])
        + f"\n\nThe plan builds one index, replaces one, drops one, and builds one on three leaves; undisturbed it takes {ms(usual)}. The points are spread evenly over that time."
        " After the death of the client the next run starts at once, while the server process may still be building. SIGKILL of a server process restarts the whole server."
        " A double build is a CREATE INDEX, by the server's log, of what another process was building just then, or of what had been built to the end."
    )


def good(result):
    return result["code"] == 0 and result["same"] and not result["double"]

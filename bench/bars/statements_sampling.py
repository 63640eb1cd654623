"""Bar 41: recording 20 windows of a second while the server holds 5,000 statements."""

import os
import time

from pg import Session
from report import table, verdict

TITLE = "Statements: 20 windows of 1 s at 5,000 entries"
COMMAND = ("queries", "snapshot")
ENTRIES, WINDOWS = 5_000, 20
LIMIT_CORE, LIMIT_MB = 1.5, 30
TICK = os.sysconf("SC_CLK_TCK")


def ended_children(cluster):
    """CPU seconds of all server processes that ended: dbops's session is one of them once it is over."""
    with open(f"{cluster.data}/postmaster.pid", encoding="ascii") as file:
        pid = file.readline().strip()
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / TICK


def fill(cluster):
    """Entries that differ by the number of their output columns and by the columns named."""
    with Session(cluster, "pgss") as session:
        session.query("create extension pg_stat_statements")
        for start in range(0, ENTRIES, 250):
            tables = ";".join(f"create table s{number} (a int, b int)" for number in range(start, start + 250))
            session.query(tables)
        session.query("select pg_stat_statements_reset()")
        for number in range(ENTRIES - 200):
            session.query(f"select a, b, a + b as c from s{number} where a = {number} and b > 5 order by a, b limit 10")
        return int(session.value("select count(*) from pg_stat_statements"))


def measure(cluster, dbops):
    cluster.set(shared_preload_libraries="pg_stat_statements")
    cluster.restart()
    cluster.sql("postgres", "create database pgss")
    entries = fill(cluster)
    rows = []
    if dbops:
        plan = dbops.plan("statements", "version: 1\n")
        target = f"{cluster.home}/windows.gz"
        time.sleep(1)  # the process of the session that filled the tables ends after it
        before, begin = ended_children(cluster), time.perf_counter()
        ran = dbops("pgss", plan, *COMMAND, "--windows", str(WINDOWS), "--window", "1s", "--file", target)
        seconds = time.perf_counter() - begin
        time.sleep(0.5)  # the session's process ends after the program
        core = (ended_children(cluster) - before) / seconds * 100
        temporary = cluster.sql("pgss", "select coalesce(sum(temp_blks_written), 0) from pg_stat_statements where query like '%/* dbops */%'")[0][0]
        if ran.code != 0:
            raise SystemExit(ran.err)
        rows = [
            [f"<= {LIMIT_CORE} % of one server core", f"{core:.2f} %", verdict(ran.code == 0 and core <= LIMIT_CORE)],
            [f"<= {LIMIT_MB} MB of memory", f"{ran.peak_rss_mb:.0f} MB", verdict(ran.code == 0 and ran.peak_rss_mb <= LIMIT_MB)],
            ["no temporary blocks", temporary, verdict(float(temporary) == 0)],
        ]
    return table(["bar", "measured", "verdict"], rows) + f"\n\n{entries} entries; the server's part is the CPU time of every server process that ended meanwhile, the start of dbops's session and its first reading with all texts included."

"""Records snapshots of pg_stat_statements while an application runs, in the format of the detector's fixtures."""

import json
import time

COLUMNS = ["queryid", "query", "calls", "rows", "total_exec_time", "min_exec_time", "max_exec_time", "mean_exec_time",
           "stddev_exec_time", "shared_blks_hit", "shared_blks_read", "plans"]
WHOLE = {"calls", "rows", "shared_blks_hit", "shared_blks_read", "plans"}


def snapshot(session):
    rows = session.query(
        f"select {', '.join('s.' + c for c in COLUMNS)} from public.pg_stat_statements s join pg_roles r on r.oid = s.userid"
        " where r.rolname = 'app' and s.dbid = (select oid from pg_database where datname = current_database())"
        " order by s.queryid"
    )
    return [{c: v if c in ("queryid", "query") else int(v) if c in WHOLE else float(f"{float(v):.5g}")
             for c, v in zip(COLUMNS, row)} for row in rows]


def record(session, application, scenario):
    """Lets the application run for the scenario's windows; gives the snapshots and what the workers counted."""
    session.query("select public.pg_stat_statements_reset()")
    application.tell("go")
    begin, snaps = time.monotonic(), []
    for number in range(scenario["windows"] + 1):
        time.sleep(max(0, begin + (number + 0.2) * scenario["window"] - time.monotonic()))
        snaps.append(snapshot(session))
    return snaps, application.stop()


def write(path, orm, major, scenario, snaps, counts, parents):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"orm": orm, "port": 61000 + major, "scn": scenario["name"], "half": scenario["half"],
                   "schema": scenario["schema"], "traffic": scenario["traffic"], "window_s": scenario["window"],
                   "eps": sorted({*scenario["mix"], *(hit["endpoint"] for hit in scenario["scheduled"])}),
                   "snaps": snaps, "labels": counts, "parents": parents}, file, separators=(",", ":"))

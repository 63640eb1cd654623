"""Bar 3: ensure while the table is written and read and one transaction holds it open."""

import load
from months import MAINTENANCE, RUNS, count_partitions, has_partman
from report import median, ms, table, verdict

TITLE = "Create 3 months under load, with an open reader for 6 s"
TURNS = max(1, min(RUNS, 3))
BUDGET_MS = 100 + 50
PLAN = """version: 1
lock_budget: {{ max_block: 100ms, give_up_after: {give_up} }}
partitions:
  - {{ table: public.events, every: month, premake: 3 }}
"""


def measure(cluster, dbops):
    rows, bars = [], []
    for default in (False, True):
        kind = "with DEFAULT" if default else "no DEFAULT"
        suffix = "default" if default else "bare"
        load.template(cluster, f"ensure_{suffix}", past=11, default=default)
        contestants = {}
        if has_partman(cluster):
            load.template(cluster, f"ensure_partman_{suffix}", past=11, default=default, partman="premake = 2")
            contestants["pg_partman"] = (f"ensure_partman_{suffix}", lambda db: cluster.psql(db, "-c", MAINTENANCE))
        if dbops:
            policy = dbops.plan("ensure", PLAN.format(give_up="60s"))
            contestants["dbops"] = (f"ensure_{suffix}", lambda db, p=policy: dbops(db, p, "partitions", "ensure"))
            hasty = dbops.plan("hasty", PLAN.format(give_up="2s"))
            if default:
                contestants["dbops, give_up_after 2 s"] = (f"ensure_{suffix}", lambda db, p=hasty: dbops(db, p, "partitions", "ensure"))
        seen = {name: [] for name in contestants}
        for _ in range(TURNS):
            for name, (base, contestant) in contestants.items():
                cluster.fresh("bench", base)
                before = count_partitions(cluster, "bench")
                ran, stalls = load.measure(cluster, "bench", contestant)
                seen[name].append((ran, stalls, count_partitions(cluster, "bench") - before))
        for name, turns in seen.items():
            rows.append([
                name, kind, f"{max(s.writer for _, s, _ in turns):,.0f} ms", f"{max(s.reader for _, s, _ in turns):,.0f} ms",
                f"{median([s.longest for _, s, _ in turns]):,.0f} ms", sum(s.over for _, s, _ in turns),
                f"{max(s.quiet for _, s, _ in turns):,.0f} ms", ms(median([r.seconds for r, _, _ in turns])),
                " ".join(f"{r.code}/{made}" for r, _, made in turns),
            ])
            if name.startswith("dbops"):
                worst = max(s.longest for _, s, _ in turns)
                clean = all(fine(ran, made) for ran, _, made in turns)
                named = sorted({b for ran, _, _ in turns for b in load.blockers(ran)})
                bars.append([f"{name}, {kind}: <= {BUDGET_MS} ms, done or deferred naming the blocker",
                             f"{worst:,.0f} ms" + (f"; named {', '.join(named)}" if named else ""), verdict(worst <= BUDGET_MS and clean)])
    return (
        table(["contestant", "table", "longest write", "longest read", "longest, median of runs", "over 100 ms",
               "longest before", "wall", "exit/made"], rows)
        + ("\n\n" + table(["bar", "worst of runs", "verdict"], bars) if bars else "")
        + f"\n\n{TURNS} alternated runs each; 2 writers at 250/s, 2 readers of all partitions at 100/s, latencies from pgbench's"
        " logs counted from when a transaction was due. `longest before` is the same figure in the two seconds before the"
        " contestant started: the machine's own noise."
    )


def fine(ran, made):
    """Finished with everything made, or deferred with the open reader's name."""
    return (ran.code == 0 and made == 3) or (ran.code == 6 and "bench-open-reader" in load.blockers(ran))

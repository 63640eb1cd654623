"""Bar 4: prune of three months under the same load, and nothing younger than the limit lost."""

import load
from months import MAINTENANCE, RUNS, count_partitions, has_partman, month
from report import median, ms, table, verdict

TITLE = "Remove 3 months under load, with an open reader for 6 s"
TURNS = max(1, min(RUNS, 3))
BUDGET_MS = 100 + 50
# 14 months of partitions before this one, 11 to keep: three lie wholly before now - 11 months.
PAST, KEEP = 14, 11
PLAN = f"""version: 1
lock_budget: {{ max_block: 100ms, give_up_after: 60s }}
partitions:
  - {{ table: public.events, every: month, premake: 1, retain: {KEEP} months, expire: drop, allow: [drops-data] }}
"""
PARTMAN = f"premake = 1, retention = '{KEEP} months', retention_keep_table = false, retention_keep_index = false"


def retention_limit(cluster):
    return cluster.sql("postgres", f"select now() - interval '{KEEP} months'")[0][0]


def young(cluster, database, limit):
    """Rows of the sample that must stay; those that the load adds have another payload."""
    return int(cluster.sql(database, f"select count(*) from events where created_at >= '{limit}' and payload = 'x'")[0][0])


def measure(cluster, dbops):
    load.template(cluster, "prune_plain", past=PAST)
    contestants = {}
    if has_partman(cluster):
        load.template(cluster, "prune_partman", past=PAST, partman=PARTMAN)
        # Months to come are made beforehand, so that only the removal is measured.
        cluster.sql("prune_partman", "update partman.part_config set retention = null")
        cluster.sql("prune_partman", MAINTENANCE)
        cluster.sql("prune_partman", f"update partman.part_config set {PARTMAN}")
        contestants["pg_partman"] = ("prune_partman", lambda db: cluster.psql(db, "-c", MAINTENANCE))
    if dbops:
        policy = dbops.plan("prune", PLAN)
        contestants["dbops"] = ("prune_plain", lambda db: dbops(db, policy, "partitions", "prune"))
    seen = {name: [] for name in contestants}
    for _ in range(TURNS):
        for name, (base, contestant) in contestants.items():
            cluster.fresh("bench", base)
            limit = retention_limit(cluster)
            before, kept = count_partitions(cluster, "bench"), young(cluster, "bench", limit)
            ran, stalls = load.measure(cluster, "bench", contestant)
            lost = kept - young(cluster, "bench", limit)
            seen[name].append((ran, stalls, before - count_partitions(cluster, "bench"), lost))
    rows, bars = [], []
    for name, turns in seen.items():
        worst = max(s.longest for _, s, _, _ in turns)
        rows.append([
            name, f"{max(s.writer for _, s, _, _ in turns):,.0f} ms", f"{max(s.reader for _, s, _, _ in turns):,.0f} ms",
            f"{median([s.longest for _, s, _, _ in turns]):,.0f} ms", sum(s.over for _, s, _, _ in turns),
            f"{max(s.quiet for _, s, _, _ in turns):,.0f} ms", ms(median([r.seconds for r, _, _, _ in turns])),
            " ".join(f"{r.code}/{gone}" for r, _, gone, _ in turns), sum(lost for _, _, _, lost in turns),
        ])
        if name == "dbops":
            clean = all((r.code == 0 and gone == 3) or (r.code == 6 and "bench-open-reader" in load.blockers(r)) for r, _, gone, _ in turns)
            bars.append([f"<= {BUDGET_MS} ms, done or deferred naming the blocker", f"{worst:,.0f} ms", verdict(worst <= BUDGET_MS and clean)])
            bars.append(["rows younger than the limit lost = 0", sum(lost for _, _, _, lost in turns), verdict(clean and not any(lost for _, _, _, lost in turns))])
    trap_rows = wide(cluster, dbops)
    if dbops:
        ours, code = next((lost, code) for name, lost, code in trap_rows if name == "dbops")
        bars.append(["wide first partition: rows younger than the limit lost = 0", ours, verdict(ours == 0 and code == 0)])
    return (
        table(["contestant", "longest write", "longest read", "longest, median of runs", "over 100 ms", "longest before",
               "wall", "exit/removed", "young rows lost"], rows)
        + "\n\n" + table(["contestant, wide first partition", "young rows lost", "exit"], trap_rows)
        + ("\n\n" + table(["bar", "worst of runs", "verdict"], bars) if bars else "")
        + f"\n\n{TURNS} alternated runs each, same load as bar 3. The second table is a trap without load: the oldest partition"
        f" reaches from {PAST} to {KEEP - 3} months back, so it begins before the limit of {KEEP} months and still holds rows that must stay."
    )


def wide(cluster, dbops):
    """One partition that a previous owner made several months wide."""
    results = []
    contestants = [("pg_partman", "prune_partman", lambda: cluster.psql("bench", "-c", MAINTENANCE))] if has_partman(cluster) else []
    if dbops:
        policy = dbops.plan("prune", PLAN)
        contestants.append(("dbops", "prune_plain", lambda: dbops("bench", policy, "partitions", "prune")))
    for name, base, contestant in contestants:
        cluster.fresh("bench", base)
        infix = "_p" if name == "pg_partman" else "_"
        first = f"events{infix}{month(-PAST):%Y_%m}"
        widen = ["begin"]
        for offset in range(-PAST + 1, -KEEP + 3):
            part = f"events{infix}{month(offset):%Y_%m}"
            widen += [f"alter table events detach partition {part}",
                      f"insert into {first} select * from {part}", f"drop table {part}"]
        # The narrow bound must go before rows of later months come in.
        widen.insert(1, f"alter table events detach partition {first}")
        widen += [f"alter table events attach partition {first} for values from ('{month(-PAST)} 00:00+00') to ('{month(-KEEP + 3)} 00:00+00')", "commit"]
        cluster.sql("bench", "; ".join(widen))
        limit = retention_limit(cluster)
        kept = young(cluster, "bench", limit)
        ran = contestant()
        results.append((name, kept - young(cluster, "bench", limit), ran.code))
    return results

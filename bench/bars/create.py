"""Bar 1: 100 tables, 12 partitions each to create."""

from months import (MAINTENANCE, RUNS, bounds, count_partitions, has_partman, names, partman_template, plain_template, plan)
from report import median, ms, table, verdict

TITLE = "Create 1,200 partitions (100 tables, 12 months ahead)"
TABLES, AHEAD = names(100), 12


def floor_script():
    """The same DDL by hand, one transaction a table."""
    lines = []
    for name in TABLES:
        lines.append("begin;")
        for offset in range(1, AHEAD + 1):
            first, end = bounds(offset)
            child = f"public.{name}_{first:%Y_%m}"
            lines.append(f"create table {child} (like public.{name} including all excluding identity);")
            lines.append(
                f"alter table public.{name} attach partition {child} for values from ('{first} 00:00+00') to ('{end} 00:00+00');"
            )
        lines.append("commit;")
    return "\n".join(lines) + "\n"


def measure(cluster, dbops):
    plain_template(cluster, "create_plain", TABLES, past=1)
    script = f"{cluster.home}/floor.sql"
    with open(script, "w", encoding="utf-8") as file:
        file.write(floor_script())
    contestants = {"psql": ("create_plain", lambda db: cluster.psql(db, "-f", script))}
    if has_partman(cluster):
        partman_template(cluster, "create_partman", TABLES, past=1, ahead=AHEAD)
        contestants["pg_partman"] = ("create_partman", lambda db: cluster.psql(db, "-c", MAINTENANCE))
    if dbops:
        policy = dbops.plan("create", plan(TABLES, premake=AHEAD))
        contestants["dbops"] = ("create_plain", lambda db: dbops(db, policy, "partitions", "ensure"))

    times = {name: [] for name in contestants}
    wrong = {}
    for _ in range(RUNS):
        for name, (template, contestant) in contestants.items():
            cluster.fresh("bench", template)
            ran = contestant("bench")
            times[name].append(ran.seconds)
            made = count_partitions(cluster, "bench") - 2 * len(TABLES)
            if ran.code != 0 or made != AHEAD * len(TABLES):
                wrong[name] = f"exit {ran.code}, {made} partitions made: {ran.err[-300:]}"

    middle = {name: median(values) for name, values in times.items()}
    rows = [
        [name, ms(middle[name]), ms(min(values)), ms(max(values)), f"{middle[name] / middle['psql']:.2f}", wrong.get(name, "yes")]
        for name, values in times.items()
    ]
    ours = middle.get("dbops")
    ratios = [
        (peer, limit, None if ours is None or peer not in middle else ours / middle[peer])
        for peer, limit in (("psql", 1.2), ("pg_partman", 0.4))
    ]
    bars = [
        [f"dbops <= {limit} x {peer}", "-" if ratio is None else f"{ratio:.2f}",
         verdict(None if ratio is None else ratio <= limit and "dbops" not in wrong)]
        for peer, limit, ratio in ratios
    ]
    return (
        table(["contestant", "median", "fastest", "slowest", "x psql", "all partitions made"], rows)
        + "\n\n" + table(["bar", "ratio", "verdict"], bars)
        + f"\n\n{RUNS} alternated runs, each on a fresh copy of the same database. psql runs `CREATE TABLE (LIKE …)` and"
        " `ATTACH`, one transaction a table: the floor. pg_partman runs `run_maintenance()`, one transaction for all."
    )

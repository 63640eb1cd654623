"""Bar 29: a unique index over rows with one duplicate."""

from cluster import run
from indexes import APPLY, clear, plan, state
from months import RUNS
from report import median, ms, table, verdict

TITLE = "Indexes: unique index over 1,000,000 rows with one duplicate"
COMMAND = APPLY
ROWS, LIMIT_SECONDS = 1_000_000, 2.0
KEY = "customer-1@example.com"


def measure(cluster, dbops):
    cluster.sql("postgres", "create database idx_unique")
    cluster.sql("idx_unique", "create table people (id bigint primary key, email text not null, note text not null)")
    # The two equal rows are the first and the last, as far apart as can be.
    cluster.sql("idx_unique", f"insert into people select i, 'customer-' || (i % {ROWS - 1} + case when i = {ROWS - 1} then {ROWS} else 0 end) || '@example.com', 'some more text'"
                f" from generate_series(1, {ROWS}) i")
    cluster.sql("idx_unique", "vacuum analyze")
    twice = cluster.sql("idx_unique", "select email, count(*) from people group by email having count(*) > 1")
    assert twice == [(KEY, "2")], twice
    contestants = {"psql": lambda: run([f"{cluster.bin}/psql", "-X", "-q", "-d", cluster.url("idx_unique"), "-c", "create unique index concurrently people_email on people (email)"])}
    if dbops:
        policy = dbops.plan("unique", plan("{ name: people_email, table: public.people, columns: [email], unique: true }"))
        contestants["dbops"] = lambda: dbops("idx_unique", policy, *APPLY)
    seen = {name: [] for name in contestants}
    for _ in range(RUNS):
        for name, contestant in contestants.items():
            clear(cluster, "idx_unique", "checkpoint")
            ran = contestant()
            left = [index.name for index in state(cluster, "idx_unique").values() if index.name != "people_pkey"]
            seen[name].append((ran, KEY in ran.out + ran.err, left))
    rows = [[name, ms(median([r.seconds for r, _, _ in turns])), ms(max(r.seconds for r, _, _ in turns)), sorted({r.code for r, _, _ in turns}),
             f"{sum(shown for _, shown, _ in turns)} of {len(turns)}", f"{sum(bool(left) for _, _, left in turns)} of {len(turns)}"] for name, turns in seen.items()]
    text = table(["contestant", "median", "slowest", "exit", "key shown", "INVALID index left behind"], rows)
    if dbops:
        ours = seen["dbops"]
        slowest = max(r.seconds for r, _, _ in ours)
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            [f"fails in {LIMIT_SECONDS:.0f} s", ms(slowest), verdict(slowest <= LIMIT_SECONDS and all(r.code not in (0, 130) for r, _, _ in ours))],
            ["the key is shown", f"{sum(shown for _, shown, _ in ours)} of {len(ours)}", verdict(all(shown for _, shown, _ in ours))],
            ["nothing left behind", f"{sum(not left for _, _, left in ours)} of {len(ours)}", verdict(not any(left for _, _, left in ours))]])
    return text + f"\n\n{RUNS} alternated runs, each with a checkpoint before it. The two equal rows are the first and the last of the table."

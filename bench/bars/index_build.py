"""Bar 23: one index on 2,000,000 rows, the whole program against the bare command."""

from indexes import APPLY, clear, plan, state
from months import RUNS
from report import median, ms, table, verdict

TITLE = "Indexes: build one index on 2,000,000 rows"
COMMAND = APPLY
ROWS = 2_000_000
FACTOR, EXTRA = 1.03, 0.3
CREATE = "create index concurrently big_user on big (user_id, created_at)"


def measure(cluster, dbops):
    cluster.sql("postgres", "create database idx_build")
    cluster.sql("idx_build", "create table big (id bigint primary key, user_id int not null, note text not null, created_at timestamptz not null)")
    cluster.sql("idx_build", "insert into big select i, hashint8(i) % 100000, 'note ' || i, timestamptz '2026-01-01 00:00+00' + (hashint8(-i) % 10000000) * interval '1 second'"
                f" from generate_series(1, {ROWS}) i")
    cluster.sql("idx_build", "vacuum analyze")
    contestants = {"psql": lambda: cluster.psql("idx_build", "-c", CREATE)}
    if dbops:
        policy = dbops.plan("build", plan("{ name: big_user, table: public.big, columns: [user_id, created_at] }"))
        contestants["dbops"] = lambda: dbops("idx_build", policy, *APPLY)
    times, wrong = {name: [] for name in contestants}, {}
    for turn in range(RUNS + 1):
        # Who goes first changes, so that neither is always behind the other's checkpoint.
        for name in sorted(contestants, reverse=turn % 2 == 1):
            clear(cluster, "idx_build", "checkpoint")
            ran = contestants[name]()
            built = state(cluster, "idx_build").get("big_user")
            if ran.code != 0 or not (built and built.valid):
                wrong[name] = f"exit {ran.code}: {(ran.err or ran.out)[-300:]}"
            if turn:  # the first turn warms the caches for both
                times[name].append(ran.seconds)
    middle = {name: median(values) for name, values in times.items()}
    text = table(["contestant", "median", "fastest", "slowest", "x psql", "index valid"], [
        [name, ms(middle[name]), ms(min(values)), ms(max(values)), f"{middle[name] / middle['psql']:.2f}", wrong.get(name, "yes")] for name, values in times.items()])
    if dbops:
        limit = FACTOR * middle["psql"] + EXTRA
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            [f"dbops <= {FACTOR} x psql + {EXTRA} s", f"{ms(middle['dbops'])} of {ms(limit)}", verdict(not wrong and middle["dbops"] <= limit)]])
    workers, memory = (cluster.sql("idx_build", f"show {name}")[0][0] for name in ("max_parallel_maintenance_workers", "maintenance_work_mem"))
    return text + (
        f"\n\n{RUNS} alternated runs, each with a checkpoint before it. Both with the server's settings: {workers} parallel workers, maintenance_work_mem {memory}."
        f" psql runs `{CREATE}` and nothing else; dbops reads the catalog, looks for blockers, builds, verifies and writes its history."
    )

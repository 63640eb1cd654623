"""Bar 24: an index on a partitioned table of 16 leaves, two leaves at a time."""

from indexes import APPLY, clear, plan, state
from months import RUNS
from report import median, ms, table, verdict

TITLE = "Indexes: 16 leaves of 250,000 rows, two at a time"
COMMAND = APPLY
LEAVES, ROWS, LIMIT = 16, 250_000, 0.7
TURNS = max(1, min(RUNS, 3))


def script():
    """What a careful person types: the parent alone, each leaf concurrently, then attach."""
    lines = ["create index parts_user on only parts (user_id, created_at);"]
    for leaf in range(LEAVES):
        lines.append(f"create index concurrently parts_{leaf}_user on parts_{leaf} (user_id, created_at);")
    lines += [f"alter index parts_user attach partition parts_{leaf}_user;" for leaf in range(LEAVES)]
    return "\n".join(lines) + "\n"


def set_up(cluster, database, rows):
    cluster.sql("postgres", f"create database {database}")
    cluster.sql(database, "create table parts (id bigint not null, user_id int not null, note text not null, created_at timestamptz not null) partition by hash (id)")
    for leaf in range(LEAVES):
        cluster.sql(database, f"create table parts_{leaf} partition of parts for values with (modulus {LEAVES}, remainder {leaf})")
    cluster.sql(database, "insert into parts select i, hashint8(i) % 100000, 'note ' || i, timestamptz '2026-01-01 00:00+00' + (hashint8(-i) % 10000000) * interval '1 second'"
                f" from generate_series(1, {LEAVES * rows}) i")
    cluster.sql(database, "vacuum analyze")


def fine(found):
    """Whether the parent is valid and every leaf's index hangs on it."""
    parent = found.get("parts_user")
    leaves = [index for index in found.values() if index.parent == "parts_user"]
    return bool(parent and parent.valid) and len(leaves) == LEAVES and all(leaf.valid for leaf in leaves) and len(found) == LEAVES + 1


def measure(cluster, dbops):
    set_up(cluster, "idx_leaves", ROWS)
    path = f"{cluster.home}/leaves.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write(script())
    contestants = {"psql in sequence": lambda: cluster.psql("idx_leaves", "-f", path)}
    if dbops:
        policy = dbops.plan("leaves", plan("{ name: parts_user, table: public.parts, columns: [user_id, created_at] }"))
        contestants["dbops, --jobs 1"] = lambda: dbops("idx_leaves", policy, *APPLY, "--jobs", "1")
        contestants["dbops, --jobs 2"] = lambda: dbops("idx_leaves", policy, *APPLY, "--jobs", "2")
    rows, bars = [], []
    for workers, words in ((0, "no parallel workers"), (2, "2 parallel workers, the default")):
        cluster.sql("postgres", f"alter database idx_leaves set max_parallel_maintenance_workers = {workers}")
        times, wrong = {name: [] for name in contestants}, {}
        for _ in range(TURNS):
            for name, contestant in contestants.items():
                clear(cluster, "idx_leaves", "checkpoint")
                ran = contestant()
                times[name].append(ran.seconds)
                if ran.code != 0 or not fine(state(cluster, "idx_leaves")):
                    wrong[name] = f"exit {ran.code}: {(ran.err or ran.out)[-300:]}"
        middle = {name: median(values) for name, values in times.items()}
        base = middle["psql in sequence"]
        rows += [[name, words, ms(middle[name]), ms(min(values)), ms(max(values)), f"{middle[name] / base:.2f}", wrong.get(name, "yes")] for name, values in times.items()]
        if dbops:
            ratio = middle["dbops, --jobs 2"] / base
            bars.append([f"--jobs 2 <= {LIMIT} x psql in sequence, {words}", f"{ratio:.2f}", verdict(not wrong and ratio <= LIMIT)])
    text = table(["contestant", "builds", "median", "fastest", "slowest", "x psql", "all attached and valid"], rows)
    if bars:
        text += "\n\n" + table(["bar", "ratio", "verdict"], bars)
    return text + (
        f"\n\n{TURNS} alternated runs, each with a checkpoint before it. With the default of two parallel workers psql's sequence already sorts on all"
        " cores of a machine with two; the first half takes those workers away from everybody, and there two builds at a time have something to gain."
    )

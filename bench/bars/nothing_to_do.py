"""Bar 2: ensure when everything is there already."""

import re

from months import MAINTENANCE, RUNS, count_partitions, has_partman, names, partman_template, plain_template, plan
from pg import Session
from report import median, ms, table, verdict

TITLE = "Nothing to do (100 tables with 3,900 partitions; 20,000 partitions)"
TABLES, AHEAD, PAST = names(100), 12, 26
DDL = re.compile(r"^\s*(create|alter|drop|lock|comment|grant|revoke|truncate|attach|detach)\b", re.I)
WRITE = re.compile(r"^\s*(insert|update|delete|merge|copy)\b", re.I)


def statements(cluster, offset):
    """What the server ran since: (backend, statement) from log_statement = all."""
    found = re.findall(r"^(\d+) \S*\|LOG:  (?:statement|execute [^:]*): (.*)", cluster.log_since(offset), re.M)
    return [(int(pid), text) for pid, text in found]


def measure(cluster, dbops):
    plain_template(cluster, "idle_plain", TABLES, PAST, AHEAD)
    contestants = {}
    if has_partman(cluster):
        partman_template(cluster, "idle_partman", TABLES, PAST, ahead=AHEAD)
        cluster.sql("idle_partman", MAINTENANCE)
        contestants["pg_partman"] = lambda: cluster.psql("idle_partman", "-c", MAINTENANCE)
    policy = dbops and dbops.plan("idle", plan(TABLES, premake=AHEAD))
    if dbops:
        dbops("idle_plain", policy, "partitions", "ensure")  # its own first-run work, if any, is not this bar's
        contestants["dbops"] = lambda: dbops("idle_plain", policy, "partitions", "ensure")
    times, codes = {name: [] for name in contestants}, {}
    for turn in range(RUNS + 1):
        for name, contestant in contestants.items():
            ran = contestant()
            codes[name] = ran.code
            if turn:  # the first turn warms the caches for all
                times[name].append(ran.seconds)
    middle = {name: median(values) for name, values in times.items()}
    rows = [[name, ms(middle[name]), ms(min(values)), ms(max(values)), codes[name]] for name, values in times.items()]
    text = table(["contestant, 3,900 partitions", "median", "fastest", "slowest", "exit"], rows)
    if not dbops:
        return text
    ratio = middle["dbops"] / middle["pg_partman"] if "pg_partman" in middle else None
    bars = [["dbops <= 0.35 x pg_partman", "-" if ratio is None else f"{ratio:.2f}",
             verdict(None if ratio is None else ratio <= 0.35)]]
    bars += quiet(cluster, dbops, policy) + large(cluster, dbops)
    return text + "\n\n" + table(["bar", "measured", "verdict"], bars) + (
        f"\n\nMedians of {RUNS} alternated runs. Statements are those of the server's own log (`log_statement = all`). Locks: a"
        " session held every table and partition in EXCLUSIVE mode meanwhile, which lets nothing but ACCESS SHARE through."
    )


def quiet(cluster, dbops, policy):
    """No DDL, one read transaction, no lock above ACCESS SHARE."""
    cluster.sql("postgres", "alter database idle_plain set log_statement = 'all'")
    offset = cluster.log_size()
    ran = dbops("idle_plain", policy, "partitions", "ensure")
    ours = statements(cluster, offset)
    cluster.sql("postgres", "alter database idle_plain reset log_statement")
    ddl = [text for _, text in ours if DDL.match(text)]
    writes = [text for _, text in ours if WRITE.match(text)]
    begins = [text for _, text in ours if re.match(r"\s*(begin|start)\b", text, re.I)]
    with Session(cluster, "idle_plain") as holder:
        holder.query("begin")
        tables = holder.query(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'public' and c.relkind in ('r', 'p')"
        )
        for at in range(0, len(tables), 500):
            holder.query(f"lock table only {', only '.join(name for name, in tables[at:at + 500])} in exclusive mode")
        blocked = dbops("idle_plain", policy, "partitions", "ensure")
        holder.query("rollback")
    return [
        ["DDL statements = 0", f"{len(ddl)} of {len(ours)}" + (f": {ddl[0][:60]}" if ddl else ""), verdict(bool(ours) and not ddl and ran.code == 0)],
        ["one read transaction", f"{len(begins)} begun, {len(writes)} writing statements", verdict(len(begins) == 1 and not writes)],
        ["no lock above ACCESS SHARE", f"exit {blocked.code} in {ms(blocked.seconds)} beside EXCLUSIVE locks", verdict(blocked.code == 0)],
    ]


def large(cluster, dbops):
    plain_template(cluster, "idle_many", TABLES, past=199 - AHEAD, ahead=AHEAD)
    policy = dbops.plan("many", plan(TABLES, premake=AHEAD))
    ran = [dbops("idle_many", policy, "partitions", "ensure") for _ in range(RUNS + 1)][1:]
    seconds, peak = median([one.seconds for one in ran]), max(one.peak_rss_mb for one in ran)
    fine = all(one.code == 0 for one in ran)
    count = count_partitions(cluster, "idle_many")
    return [
        ["20,000 partitions: < 1.5 s", f"{ms(seconds)} for {count:,}", verdict(fine and seconds < 1.5)],
        ["20,000 partitions: < 100 MB peak", f"{peak:.0f} MB", verdict(fine and peak < 100)],
    ]

"""Bar 22: `indexes apply --dry-run` over 600 declared indexes, all there and all missing."""

import json
import re

from indexes import APPLY, plan
from months import RUNS
from report import median, ms, table, verdict

TITLE = "Indexes: dry run over 200 tables and 600 indexes, a third with expressions or predicates"
COMMAND = APPLY
TABLES = 200
LIMIT_SECONDS, LIMIT_CONNECTIONS, LIMIT_MB = 1.5, 2, 60
# Six shapes with an expression or predicate, so that not one text serves all.
ODD = [
    ("(lower(email))", "columns: [{ expr: lower(email) }]"),
    ("(created_at) where deleted_at is null", "columns: [created_at], where: deleted_at is null"),
    ("(date_trunc('day', created_at at time zone 'UTC'))", "columns: [{ expr: \"date_trunc('day', created_at at time zone 'UTC')\" }]"),
    ("(user_id) where status in ('open', 'late')", "columns: [user_id], where: \"status in ('open', 'late')\""),
    ("((payload ->> 'kind'), user_id)", "columns: [{ expr: \"payload ->> 'kind'\" }, user_id]"),
    ("(user_id, created_at desc) where status <> 'done' and user_id > 10", "columns: [user_id, { column: created_at, desc: true }], where: \"status <> 'done' and user_id > 10\""),
]


def shapes(number):
    """(name, SQL after the table's name, plan keys) of a table's three indexes."""
    odd = ODD[number % len(ODD)]
    return [
        (f"t{number:03}_user", "(user_id, created_at desc)", "columns: [user_id, { column: created_at, desc: true }]"),
        (f"t{number:03}_status", "(status) include (user_id)", "columns: [status], include: [user_id]"),
        (f"t{number:03}_odd", *odd),
    ]


def templates(cluster):
    """Databases with all tables, without and with the indexes."""
    tables, indexes = [], []
    for number in range(TABLES):
        tables.append(
            f"create table t{number:03} (id bigint primary key, user_id int not null, status varchar(20) not null, email text,"
            " payload jsonb, created_at timestamptz not null, deleted_at timestamptz)"
        )
        indexes += [f"create index {name} on t{number:03} {sql}" for name, sql, _ in shapes(number)]
    cluster.sql("postgres", "create database idx_missing")
    cluster.sql("idx_missing", ";".join(tables))
    cluster.fresh("idx_there", "idx_missing")
    cluster.sql("idx_there", ";".join(indexes))
    # What a hand-written file does today: 600 statements that look at the name only.
    path = f"{cluster.home}/there.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line.replace('create index', 'create index concurrently if not exists')};\n" for line in indexes)
    return path


def steps(ran):
    """How many steps dbops's report holds; None where there is none."""
    try:
        return sum(len(one["changeset"]["steps"]) for one in json.loads(ran.out)["runs"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return None


def connections(log, database):
    """Connections that dbops made, by the server's own log."""
    return len(re.findall(rf"connection authorized: user=\S+ database={database} application_name=dbops", log))


def measure(cluster, dbops):
    by_hand = templates(cluster)
    contestants = {"psql, 600 x `create index concurrently if not exists`": ("idx_there", lambda: cluster.psql("idx_there", "-f", by_hand, env={"PGOPTIONS": "-c client_min_messages=warning"}))}
    if dbops:
        policy = dbops.plan("idle_indexes", plan(*(
            f"{{ name: {name}, table: public.t{number:03}, {keys} }}" for number in range(TABLES) for name, _, keys in shapes(number))))
        contestants["dbops, all there"] = ("idx_there", lambda: dbops("idx_there", policy, *APPLY, "--dry-run"))
        contestants["dbops, all missing"] = ("idx_missing", lambda: dbops("idx_missing", policy, *APPLY, "--dry-run"))
    cluster.set(log_connections="on")
    cold, warm = {name: [] for name in contestants}, {name: [] for name in contestants}
    seen = {}
    for _ in range(RUNS):
        for name, (database, contestant) in contestants.items():
            cluster.restart()
            offset = cluster.log_size()
            ran = contestant()
            cold[name].append(ran)
            made = connections(cluster.log_since(offset), database)
            seen[name] = max(made, seen.get(name, 0))
            warm[name].append(contestant())
    cluster.set(log_connections=None)
    rows = []
    for name in contestants:
        both = cold[name] + warm[name]
        found = {steps(ran) for ran in both}
        rows.append([
            name, ms(median([r.seconds for r in cold[name]])), ms(max(r.seconds for r in cold[name])), ms(median([r.seconds for r in warm[name]])),
            f"{max(r.peak_rss_mb for r in both):.0f} MB", seen[name] if name.startswith("dbops") else "-",
            " ".join(str(one) for one in sorted(found, key=str)) if name.startswith("dbops") else "-", sorted({r.code for r in both})])
    text = table(["contestant", "cold, median", "cold, slowest", "warm, median", "peak memory", "connections", "steps found", "exit"], rows)
    if dbops:
        bars = []
        for name, wanted in (("dbops, all there", {0}), ("dbops, all missing", None)):
            both = cold[name] + warm[name]
            found = {steps(ran) for ran in both}
            right = all(r.code == 0 for r in both) and (found == wanted if wanted else None not in found and min(found) >= 3 * TABLES)
            slowest, peak = max(r.seconds for r in cold[name]), max(r.peak_rss_mb for r in both)
            bars += [[f"{name}: <= {LIMIT_SECONDS} s cold", ms(slowest), verdict(right and slowest <= LIMIT_SECONDS)],
                     [f"{name}: <= {LIMIT_CONNECTIONS} connections", seen[name], verdict(right and 0 < seen[name] <= LIMIT_CONNECTIONS)],
                     [f"{name}: <= {LIMIT_MB} MB peak", f"{peak:.0f} MB", verdict(right and peak <= LIMIT_MB)]]
        text += "\n\n" + table(["bar", "slowest or most", "verdict"], bars)
    return text + (
        f"\n\n{RUNS} alternated runs. Cold: the first run after a restart of the server (its caches are empty, those of the system are not); warm: the"
        " run after it. Connections are counted in the server's log. psql runs the file of statements that people keep by hand; it looks at names"
        " only, so it would be as content with 600 wrong indexes."
    )

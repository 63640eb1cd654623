"""Bar 44: of the indexes that a load uses, how many `queries slow` proposes when they are gone, and what else."""

import json
import re
import time

from cluster import ROOT
from pg import Session
from report import ms, table, verdict

TITLE = "Statements: indexes proposed for the four reference systems without theirs"
COMMAND = ("queries", "slow")
SYSTEMS = ("gobapp", "agents", "cafeteria", "rural24")
ROWS, MONTHS, END = 200_000, 4, "2026-11-22"
LEAST = 0.8


def load(system, session):
    """The statements of a load with their values, one list a statement."""
    found = []
    for part in (ROOT / f"sql/samples/{system}_load.sql").read_text(encoding="utf-8").split("\n\n"):
        heads = dict(re.findall(r"^-- (calls|draw): (.*)$", part, re.M))
        text = "\n".join(line for line in part.strip().splitlines() if not line.startswith("--")).rstrip(";")
        if "calls" not in heads:
            continue
        calls = int(heads["calls"])
        drawn = session.query(f"select * from ({heads['draw']}) as d limit {calls}") if "draw" in heads else [()]
        quoted = [["'" + str(value).replace("'", "''") + "'" for value in row] for row in drawn]
        filled = [re.sub(r"\$(\d+)", lambda at, row=row: row[int(at[1]) - 1], text) for row in quoted]
        found.append([filled[at % len(filled)] for at in range(calls)])
    return found


def run(session, statements):
    """Runs a load; returns its seconds."""
    begin = time.perf_counter()
    for calls in statements:
        for one in calls:
            session.query(one)
    return time.perf_counter() - begin


def indexes(session):
    """Indexes that belong to no constraint, of tables and parents alone: name to (table, keys, predicate)."""
    rows = session.query(
        "select c.relname, t.relname, (select string_agg(pg_get_indexdef(i.indexrelid, k, true), ',' order by k)"
        " from generate_series(1, i.indnkeyatts) k), coalesce(pg_get_expr(i.indpred, i.indrelid), '')"
        " from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid"
        " where t.relnamespace = 'public'::regnamespace and not t.relispartition"
        " and not exists (select from pg_constraint n where n.conindid = i.indexrelid)")
    return {name: (of, keys.split(","), where) for name, of, keys, where in rows}


def used(session, statements):
    """Which indexes plans of the statements use, a partition's index as its parent's; and the statements' numbers."""
    parents = dict(session.query(
        "with recursive up as (select oid, relname, oid as top from pg_class where relkind in ('i', 'I')"
        " union all select up.oid, up.relname, h.inhparent from up join pg_inherits h on h.inhrelid = up.top)"
        " select distinct on (up.oid) up.relname, t.relname from up join pg_class t on t.oid = up.top"
        " order by up.oid, (t.relkind = 'I') desc"))
    found = {}
    for number, calls in enumerate(statements, 1):
        for one in dict.fromkeys(calls):
            plan = session.query(f"explain (format json) {one}")[0][0]
            for name in re.findall(r'"Index Name": "([^"]*)"', plan):
                found.setdefault(parents.get(name, name), set()).add(number)
    return found


def proposed(declared, all_proposed):
    """Whether one of the proposals begins with the declared keys; those of equality may have changed places."""
    of, keys, _ = declared
    plain = lambda words: {word.split()[0] if "(" not in word else word for word in words}
    return any(other == of and plain(there[:len(keys)]) == plain(keys) for other, there, _ in all_proposed)


def one_system(cluster, dbops, system):
    database = f"proposals_{system}"
    cluster.sql("postgres", f"create database {database}")
    with Session(cluster, database) as session:
        session.query("create extension pg_stat_statements")
        session.query((ROOT / f"sql/samples/{system}.sql").read_text(encoding="utf-8"))
        session.query(f"set dbops.sample_rows = '{ROWS}'; set dbops.sample_months = '{MONTHS}'; set dbops.sample_end = '{END}'")
        session.query((ROOT / f"sql/samples/{system}_data.sql").read_text(encoding="utf-8"))
        session.query("discard all")
        statements = load(system, session)
        applied = dbops(database, f"{ROOT}/plans/{system}/indexes.yaml", "indexes", "apply")
        if applied.code != 0:
            raise SystemExit(applied.err)
        session.query("analyze")
        declared = indexes(session)
        in_use = sorted(set(used(session, statements)) & set(declared))
        run(session, statements)
        with_theirs = run(session, statements)
        for name in declared:
            session.query(f'drop index "{name}"')
        session.query("select pg_stat_statements_reset()")
        before = run(session, statements)
        path = f"{cluster.home}/{system}_proposed.yaml"
        empty = dbops.plan(f"{system}_empty", "version: 1\n")
        slow = dbops(database, empty, "queries", "slow", "--only-database", database, "--mean", "0.0001ms", "--min-calls", "1",
                     "--limit", "0", "--explain", "100", "--write-plan", path)
        if slow.code not in (0, 1):
            raise SystemExit(slow.err)
        said = [one for target in json.loads(slow.out)["targets"] for one in target.get("proposals", [])]
        applied = dbops(database, path, "indexes", "apply")
        if applied.code != 0:
            raise SystemExit(applied.err)
        session.query("analyze")
        made = indexes(session)
        plans = used(session, statements)
        run(session, statements)
        after = run(session, statements)
    found = [name for name in in_use if proposed(declared[name], made.values())]
    extra = [name for name in made if not any(proposed(declared[own], [made[name]]) for own in in_use)]
    useless = [name for name in made if name not in plans]
    words = lambda name, all_of: f"{all_of[name][0]} ({', '.join(all_of[name][1])})"
    return {
        "share": len(found) / len(in_use) if in_use else 1.0,
        "useless": useless,
        "row": [system, f"{len(in_use)} of {len(declared)}", f"{len(found)} of {len(in_use)}",
                "; ".join(words(name, declared) for name in in_use if name not in found) or "-",
                "; ".join(words(name, made) + (", used" if name in plans else ", NOT USED") for name in extra) or "-",
                "; ".join(words(name, made) for name in useless) or "-", ms(with_theirs), ms(before), ms(after)],
        "said": len(said),
    }


def measure(cluster, dbops):
    if not dbops:
        return "No peer proposes indexes from pg_stat_statements without an extension of its own."
    cluster.set(shared_preload_libraries="pg_stat_statements")
    cluster.restart()
    found = {system: one_system(cluster, dbops, system) for system in SYSTEMS}
    text = table(["system", "declared that the load uses", "of these proposed", "not proposed", "proposed beside them", "used by no plan",
                  "load with the declared", "with none", "with the proposed"], [one["row"] for one in found.values()])
    bars = []
    for system, one in found.items():
        bars.append([f"{system}: at least {LEAST:.0%} of the declared that the load uses", f"{one['share']:.0%}", verdict(one["share"] >= LEAST)])
        bars.append([f"{system}: none that no statement uses", str(len(one["useless"])), verdict(not one["useless"])])
    return text + "\n\n" + table(["bar", "measured", "verdict"], bars) + (
        f"\n\n{ROWS:,} rows in the largest table of each. The statements are those of `sql/samples/*_load.sql`. Used: named by EXPLAIN of a call with its values, with all "
        "declared indexes, or all proposed ones, in place. Proposed: begins with the same keys; partial or not is left aside. "
        "Times are of the whole load, once, after one run to warm up but for `with none`. Without HypoPG."
    )

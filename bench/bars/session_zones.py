"""Bar 7: the same bounds whatever the session's time zone and date style are."""

import os

from months import MAINTENANCE, TABLE, has_partman, month, partition_of
from report import table, verdict

TITLE = "Bounds from 8 session zones x 4 date styles, 36 months"
ZONES = ["UTC", "America/New_York", "Europe/Madrid", "Asia/Kolkata", "Pacific/Chatham", "America/Santiago", "Australia/Lord_Howe", "Pacific/Kiritimati"]
STYLES = ["ISO, MDY", "German, DMY", "SQL, DMY", "Postgres, MDY"]
AHEAD = 36
PLAN = f"""version: 1
partitions:
  - {{ table: public.events, every: month, premake: {AHEAD} }}
  - {{ table: public.madrid, every: month, premake: {AHEAD}, time_zone: Europe/Madrid }}
  - {{ table: public.civil, every: month, premake: {AHEAD} }}
"""
# Bounds as instants, read in one fixed session: (table, from, to) without names, then the holes between them.
BOUNDS = """
set timezone = 'UTC'; set datestyle = 'ISO, YMD';
with p as (
    select i.inhparent::regclass::text as parent, pg_get_expr(c.relpartbound, c.oid) as b
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r'
), r as (
    select parent, substring(b from 'FROM \\(''([^'']*)''\\)')::timestamptz as f, substring(b from 'TO \\(''([^'']*)''\\)')::timestamptz as t
    from p where b <> 'DEFAULT'
), g as (
    select r.*, lag(t) over (partition by parent order by f) as before from r
)
select md5(string_agg(parent || f::text || t::text, ';' order by parent, f)), count(*),
       coalesce(sum(greatest(0, extract(epoch from f - before))), 0)::bigint,
       min(parent || ' ' || t::text) filter (where extract(day from t + interval '3 hours') <> 1)
from g
"""


def plain(cluster):
    first, end = month(0), month(1)
    cluster.sql("postgres", "create database zones_plain")
    cluster.sql("zones_plain", TABLE.format(table="events") + partition_of("events", 0))
    cluster.sql("zones_plain", TABLE.format(table="madrid")
                + f"create table madrid_{first:%Y_%m} partition of madrid for values from ('{first} 00:00 Europe/Madrid') to ('{end} 00:00 Europe/Madrid')")
    cluster.sql("zones_plain", "create table civil (id bigint, at timestamp not null) partition by range (at);"
                f"create table civil_{first:%Y_%m} partition of civil for values from ('{first}') to ('{end}')")


def by_partman(cluster):
    cluster.sql("postgres", "create database zones_partman")
    cluster.sql("zones_partman", "create schema partman; create extension pg_partman schema partman")
    cluster.sql("zones_partman", TABLE.format(table="events"))
    cluster.sql("zones_partman", f"set timezone = 'UTC'; select partman.create_parent('public.events', 'created_at', 'native', 'monthly',"
                f" p_premake := 1, p_start_partition := '{month(0)}')")
    cluster.sql("zones_partman", f"drop table events_default; update partman.part_config set premake = {AHEAD - 1}, infinite_time_partitions = true")


def measure(cluster, dbops):
    contestants = {}
    if has_partman(cluster):
        by_partman(cluster)
        contestants["pg_partman (set made in UTC)"] = ("zones_partman", lambda env: cluster.psql("bench", "-c", MAINTENANCE, env=env))
    if dbops:
        plain(cluster)
        policy = dbops.plan("zones", PLAN)
        contestants["dbops (3 tables)"] = ("zones_plain", lambda env: dbops("bench", policy, "partitions", "ensure", env=env))
    rows, bars = [], []
    for name, (base, contestant) in contestants.items():
        results, uncovered, off, codes = set(), 0, 0, set()
        for zone in ZONES:
            for style in STYLES:
                cluster.fresh("bench", base)
                cluster.sql("postgres", f"alter database bench set timezone = '{zone}'; alter database bench set datestyle = '{style}'")
                try:
                    ran = contestant({**os.environ, "PGTZ": zone, "PGDATESTYLE": style})
                    codes.add(ran.code)
                except SystemExit:
                    codes.add(3)
                digest, _, hole, odd = cluster.sql("bench", BOUNDS)[0]
                results.add(digest)
                uncovered = max(uncovered, int(hole))
                off += odd is not None
        rows.append([name, len(ZONES) * len(STYLES), len(results), f"{uncovered:,}", off, sorted(codes)])
        if name.startswith("dbops"):
            bars = [["one distinct result", len(results), verdict(len(results) == 1 and codes == {0})],
                    ["uncovered seconds = 0", uncovered, verdict(uncovered == 0 and codes == {0})]]
    return (
        table(["contestant", "sessions", "distinct results", "most seconds uncovered", "sessions with a bound off the 1st", "exit codes"], rows)
        + ("\n\n" + table(["bar", "measured", "verdict"], bars) if bars else "")
        + "\n\nZone and style are set as the database's defaults and as PGTZ and PGDATESTYLE. dbops keeps three tables: timestamptz in UTC,"
        " timestamptz in Europe/Madrid, timestamp. Seconds uncovered are holes between neighbouring partitions."
    )

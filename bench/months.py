"""Months of UTC as pairs of dates, and the tables that several bars share."""

import datetime
import os

RUNS = int(os.environ.get("BENCH_RUNS", "5"))

# The tables of all bars: a key, an index, TOAST.
TABLE = """
create table {table} (
    id bigint generated always as identity, user_id int not null, payload text not null default 'x',
    created_at timestamptz not null default now(), primary key (id, created_at)
) partition by range (created_at);
create index on {table} (user_id);
"""


def month(offset, today=None):
    """First day of the month that many months from this one."""
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    count = today.year * 12 + today.month - 1 + offset
    return datetime.date(count // 12, count % 12 + 1, 1)


def bounds(offset):
    return month(offset), month(offset + 1)


def partition_of(table, offset):
    """Plain DDL for tables nobody uses yet; contestants never run it."""
    first, end = bounds(offset)
    return (
        f"create table {table}_{first:%Y_%m} partition of {table}"
        f" for values from ('{first} 00:00+00') to ('{end} 00:00+00');"
    )


def names(count):
    return [f"t{number:03}" for number in range(1, count + 1)]


def plan(tables, **keys):
    """A plan file with the same policy for every table."""
    lines = ["version: 1", "partitions:"]
    for table in tables:
        lines.append(f"  - table: public.{table}\n    every: month")
        lines.extend(f"    {key}: {value}" for key, value in keys.items())
    return "\n".join(lines) + "\n"


def plain_template(cluster, name, tables, past, ahead=0):
    """A database with monthly partitions from `past` months ago to this month, and `ahead` to come."""
    cluster.sql("postgres", f"create database {name}")
    for table in tables:
        ddl = TABLE.format(table=table) + "".join(partition_of(table, offset) for offset in range(-past, ahead + 1))
        cluster.sql(name, ddl)


def partman_template(cluster, name, tables, past, ahead, default=False):
    """The same by pg_partman: its own names, its configuration, and its DEFAULT partition only if asked.

    Version 4.7.2 makes one partition more than `premake`; `ahead` is what it shall really make.
    """
    cluster.sql("postgres", f"create database {name}")
    cluster.sql(name, "create schema partman; create extension pg_partman schema partman")
    for table in tables:
        cluster.sql(name, TABLE.format(table=table))
        cluster.sql(
            name,
            f"select partman.create_parent('public.{table}', 'created_at', 'native', 'monthly',"
            f" p_premake := 1, p_start_partition := '{month(-past)}')",
        )
        cluster.sql(name, f"drop table if exists {table}_p{month(1):%Y_%m}")
        if not default:
            cluster.sql(name, f"drop table if exists {table}_default")
    cluster.sql(name, f"update partman.part_config set premake = {ahead - 1}, infinite_time_partitions = true")


def has_partman(cluster):
    return bool(cluster.sql("postgres", "select 1 from pg_available_extensions where name = 'pg_partman'"))


MAINTENANCE = "select partman.run_maintenance(p_jobmon := false)"


def count_partitions(cluster, database):
    return int(
        cluster.sql(
            database,
            "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where c.relkind = 'r' and c.relname !~ '_default$'",
        )[0][0]
    )

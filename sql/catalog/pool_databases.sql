-- Databases with their limits of connections; PostgreSQL 13 counts no sessions.
select
    d.datname::pg_catalog.text as name,
    d.datconnlimit as connection_limit,
    d.datallowconn as allows,
    s.stats_reset as counted_since,
    null::pg_catalog.int8 as sessions,
    null::pg_catalog.int8 as abandoned,
    null::pg_catalog.int8 as fatal,
    null::pg_catalog.int8 as killed
from pg_catalog.pg_database as d
left join pg_catalog.pg_stat_database as s on d.oid = s.datid
order by d.datname;

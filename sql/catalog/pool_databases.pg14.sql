-- Databases with their limits of connections, and the sessions that each has had and how they ended.
select
    d.datname::pg_catalog.text as name,
    d.datconnlimit as connection_limit,
    d.datallowconn as allows,
    s.stats_reset as counted_since,
    s.sessions,
    s.sessions_abandoned as abandoned,
    s.sessions_fatal as fatal,
    s.sessions_killed as killed
from pg_catalog.pg_database as d
left join pg_catalog.pg_stat_database as s on d.oid = s.datid
order by d.datname;

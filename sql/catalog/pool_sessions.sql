-- Every process that the server shows, with ages in seconds; with $1 also its statement and who it waits for.
select
    a.pid,
    a.backend_type as kind,
    r.rolname::pg_catalog.text as role,
    d.datname::pg_catalog.text as database,
    a.application_name as application,
    pg_catalog.host(a.client_addr) as client,
    a.state,
    a.wait_event_type as wait_type,
    a.wait_event as wait,
    extract(epoch from pg_catalog.clock_timestamp() - a.backend_start)::pg_catalog.float8 as connected_s,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.float8 as transaction_s,
    extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::pg_catalog.float8 as state_s,
    a.pid = pg_catalog.pg_backend_pid() as own,
    case
        when $1 and a.wait_event_type = 'Lock' then pg_catalog.pg_blocking_pids(a.pid)
    end as blocked_by,
    case
        when $1 and a.backend_type = 'client backend' then pg_catalog.left(a.query, 1000)
    end as query
from pg_catalog.pg_stat_get_activity(null) as a
left join pg_catalog.pg_roles as r on a.usesysid = r.oid
left join pg_catalog.pg_database as d on a.datid = d.oid
order by a.pid;

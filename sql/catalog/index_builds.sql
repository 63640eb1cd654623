-- CREATE INDEX, REINDEX and DROP INDEX CONCURRENTLY in flight in this database, in other sessions.
-- A session without a row of progress counts where its statement names such a command and it holds or awaits a lock that such a command takes; where its text is hidden from this role: where that table has an index that is not valid, which such a command leaves behind while it runs.
-- Of a session whose progress is hidden the table is known by its lock only.
with locks (pid, relation, granted) as materialized (
    select
        l.pid,
        l.relation,
        pg_catalog.bool_or(l.granted)
    from pg_catalog.pg_locks as l
    inner join pg_catalog.pg_database as d on d.oid = l.database
    inner join pg_catalog.pg_class as c on c.oid = l.relation
    where
        l.locktype = 'relation'
        and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock')
        and l.pid is not null
        and l.pid <> pg_catalog.pg_backend_pid()
        and d.datname = pg_catalog.current_database()
        and c.relkind in ('r', 'p', 'm', 't')
    group by l.pid, l.relation
),

progress as materialized (
    select p.*
    from pg_catalog.pg_stat_progress_create_index as p
    where p.datname = pg_catalog.current_database() and p.pid <> pg_catalog.pg_backend_pid()
),

found as (
    select
        p.pid,
        true as in_progress,
        l.relation,
        l.granted,
        p.relid,
        nullif(p.index_relid, 0::pg_catalog.oid) as index_relid,
        p.command,
        p.phase,
        case
            when p.phase like 'waiting%' then p.lockers_done::pg_catalog.float8 / nullif(p.lockers_total, 0)
            when p.phase like '%tuples%' then p.tuples_done::pg_catalog.float8 / nullif(p.tuples_total, 0)
            else p.blocks_done::pg_catalog.float8 / nullif(p.blocks_total, 0)
        end as done
    from progress as p
    left join locks as l on p.relid is null and l.pid = p.pid
    union all
    select
        l.pid,
        false as in_progress,
        l.relation,
        l.granted,
        null::pg_catalog.oid as relid,
        null::pg_catalog.oid as index_relid,
        null::pg_catalog.text as command,
        null::pg_catalog.text as phase,
        null::pg_catalog.float8 as done
    from locks as l
    where
        not exists (
            select 1
            from progress as p
            where p.pid = l.pid
        )
)

select
    f.pid,
    nullif(a.application_name, '') as application,
    a.usename::pg_catalog.text as role,
    n.nspname::pg_catalog.text as table_schema,
    t.relname::pg_catalog.text as table_name,
    xn.nspname::pg_catalog.text as index_schema,
    xc.relname::pg_catalog.text as index_name,
    f.in_progress,
    f.command,
    f.phase,
    f.granted,
    f.done,
    extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::pg_catalog.float8 as seconds,
    a.state,
    case when a.state is not null then a.query end as query,
    exists (
        select 1
        from pg_catalog.pg_index as x
        where x.indrelid = t.oid and not x.indisvalid
    ) as has_invalid
from found as f
inner join pg_catalog.pg_class as t on t.oid = coalesce(f.relid, f.relation)
inner join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
inner join pg_catalog.pg_stat_activity as a on a.pid = f.pid
left join pg_catalog.pg_class as xc on xc.oid = f.index_relid
left join pg_catalog.pg_namespace as xn on xn.oid = xc.relnamespace
where
    a.usename is not null
    and a.backend_type is distinct from 'parallel worker'
order by f.pid, n.nspname, t.relname;

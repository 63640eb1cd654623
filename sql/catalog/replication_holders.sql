-- What keeps VACUUM from removing dead rows: the three oldest of each kind. With hot_standby_feedback a replica's reads
-- hold through its slot where it has one, through its sender where not. Sessions of dbops see what the oldest one holds, so
-- of two that hold as much they come last.
select
    h.kind,
    h.name,
    h.pid,
    h.xids,
    h.seconds
from (
    select
        a.*,
        pg_catalog.row_number() over (partition by a.kind order by a.xids desc, a.name = 'dbops read', a.name, a.pid) as place
    from (
        select
            'slot'::pg_catalog.text as kind,
            s.slot_name::pg_catalog.text as name,
            s.active_pid as pid,
            pg_catalog.age(s.xmin) as xids,
            null::pg_catalog.float8 as seconds
        from pg_catalog.pg_replication_slots as s
        where s.xmin is not null
        union all
        select
            'slot-catalog',
            s.slot_name::pg_catalog.text,
            s.active_pid,
            pg_catalog.age(s.catalog_xmin),
            null
        from pg_catalog.pg_replication_slots as s
        where s.catalog_xmin is not null
        union all
        select
            'replica',
            r.application_name,
            r.pid,
            pg_catalog.age(r.backend_xmin),
            null
        from pg_catalog.pg_stat_replication as r
        where r.backend_xmin is not null
        union all
        select
            'prepared',
            p.gid,
            null,
            pg_catalog.age(p.transaction),
            extract(epoch from pg_catalog.clock_timestamp() - p.prepared)
        from pg_catalog.pg_prepared_xacts as p
        union all
        select
            'session',
            b.application_name,
            b.pid,
            greatest(pg_catalog.age(b.backend_xmin), pg_catalog.age(b.backend_xid)),
            extract(epoch from pg_catalog.clock_timestamp() - b.xact_start)
        from pg_catalog.pg_stat_get_activity(null) as b
        where
            b.backend_type = 'client backend'
            and b.pid <> pg_catalog.pg_backend_pid()
            and (b.backend_xmin is not null or b.backend_xid is not null)
    ) as a
) as h
where h.place <= 3
order by h.xids desc, h.kind, h.name = 'dbops read', h.name, h.pid;

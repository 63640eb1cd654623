-- Sessions that hold a lock such as index builds and concurrent drops hold, on relations ($1 oids); autovacuum left out.
select distinct
    l.relation as relation_oid,
    l.pid
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where
    l.locktype = 'relation'
    and l.granted
    and l.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
    and l.relation = any($1::pg_catalog.oid[])
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
    and l.pid is distinct from pg_catalog.pg_backend_pid()
    and a.backend_type is distinct from 'autovacuum worker'
order by l.relation, l.pid;

-- Sessions that hold or wait for ACCESS EXCLUSIVE on a table of this database, other than this one
select
  l.pid::int4 as pid,
  l.relation::regclass::text as relation,
  l.granted as granted,
  a.application_name::text as application_name
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation'
  and l.mode = 'AccessExclusiveLock'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and l.pid <> pg_catalog.pg_backend_pid()
  and exists (select from pg_catalog.pg_class as c where c.oid = l.relation and c.relkind in ('r', 'p', 'm', 'i', 'I'))
order by l.granted desc, l.pid, l.relation
limit 5

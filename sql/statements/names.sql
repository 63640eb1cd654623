-- Names of databases and roles by OID; what is dropped has no row.
select /* dbops */
    'database' as kind,
    d.oid as oid,
    d.datname::pg_catalog.text as name
from pg_catalog.pg_database as d
where d.oid = any($1)
union all
select /* dbops */
    'role' as kind,
    r.oid as oid,
    r.rolname::pg_catalog.text as name
from pg_catalog.pg_roles as r
where r.oid = any($2)
order by kind, oid;

-- Those of the schemas in $1 in which the current role may create.
select n.nspname::pg_catalog.text as schema_name
from pg_catalog.pg_namespace as n
where
    n.nspname::pg_catalog.text = any($1::pg_catalog.text[])
    and pg_catalog.has_schema_privilege(n.oid, 'CREATE')
order by n.nspname;

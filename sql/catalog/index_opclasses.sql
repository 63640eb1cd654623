-- Operator classes of all index access methods.
select
    m.amname::pg_catalog.text as method,
    o.opcname::pg_catalog.text as name,
    n.nspname::pg_catalog.text as schema_name,
    pg_catalog.format_type(o.opcintype, null) as type_name,
    o.opcdefault as is_default
from pg_catalog.pg_opclass as o
inner join pg_catalog.pg_am as m on m.oid = o.opcmethod
inner join pg_catalog.pg_namespace as n on n.oid = o.opcnamespace
order by m.amname, o.opcname, n.nspname;

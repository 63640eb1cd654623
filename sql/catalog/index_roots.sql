-- Tables asked for by name ($1 schemas, $2 names): kind, whether the role may read any of them, and the schema of the root of the partition tree that each belongs to.
select
    a.position,
    c.relkind::pg_catalog.text as kind,
    (
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') is true
        and (
            pg_catalog.has_table_privilege(c.oid, 'SELECT') is true
            or pg_catalog.has_any_column_privilege(c.oid, 'SELECT') is true
        )
    ) as readable,
    rn.nspname::pg_catalog.text as root_schema
from rows from (
    pg_catalog.unnest($1::pg_catalog.text[]),
    pg_catalog.unnest($2::pg_catalog.text[])
) with ordinality as a (schema_name, name, position)
inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
left join pg_catalog.pg_class as r on r.oid = pg_catalog.pg_partition_root(c.oid)
left join pg_catalog.pg_namespace as rn on rn.oid = r.relnamespace
order by a.position;

-- Relations that hold the names asked for ($1 schemas, $2 names), with their kind in words and the table of an index.
select
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    case
        when c.relkind = 'r' then 'table'
        when c.relkind = 'p' then 'partitioned table'
        when c.relkind = 'v' then 'view'
        when c.relkind = 'm' then 'materialized view'
        when c.relkind = 'f' then 'foreign table'
        when c.relkind = 'S' then 'sequence'
        when c.relkind in ('i', 'I') then 'index'
        when c.relkind = 'c' then 'composite type'
        when c.relkind = 't' then 'TOAST table'
        else 'relation of kind ' || c.relkind::pg_catalog.text
    end as kind,
    tn.nspname::pg_catalog.text as table_schema,
    t.relname::pg_catalog.text as table_name
from rows from (
    pg_catalog.unnest($1::pg_catalog.text[]),
    pg_catalog.unnest($2::pg_catalog.text[])
) as a (schema_name, name)
inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
left join pg_catalog.pg_index as x on x.indexrelid = c.oid
left join pg_catalog.pg_class as t on t.oid = x.indrelid
left join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
order by n.nspname, c.relname;

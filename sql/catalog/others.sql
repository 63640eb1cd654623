-- Relations asked for by name ($1 schemas, $2 names) that are not partitioned tables, with their kind in words.
select
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    case
        when c.relispartition and c.relkind in ('r', 'p', 'f')
            then (
                select
                    'partition of '
                    || pg_catalog.quote_ident(pn.nspname::pg_catalog.text)
                    || '.'
                    || pg_catalog.quote_ident(pc.relname::pg_catalog.text)
                from pg_catalog.pg_inherits as i
                inner join pg_catalog.pg_class as pc on pc.oid = i.inhparent
                inner join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
                where i.inhrelid = c.oid
                order by i.inhseqno
                limit 1
            )
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
    end as kind
from rows from (
    pg_catalog.unnest($1::pg_catalog.text[]),
    pg_catalog.unnest($2::pg_catalog.text[])
) as a (schema_name, name)
inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
where c.relkind <> 'p'
order by n.nspname, c.relname;

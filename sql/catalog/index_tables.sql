-- Tables asked for by name ($1 schemas, $2 names; null: all but the system's, dbops's own and temporary ones), tables of the indexes named ($3 schemas, $4 names), and every partition below them.
with recursive asked (oid) as (
    select c.oid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where
        $1::pg_catalog.text[] is null
        and c.relkind in ('r', 'p', 'm')
        and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'dbops')
    union
    select c.oid
    from rows from (
        pg_catalog.unnest($1::pg_catalog.text[]),
        pg_catalog.unnest($2::pg_catalog.text[])
    ) as a (schema_name, name)
    inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
    inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
    where c.relkind not in ('i', 'I')
    union
    select x.indrelid
    from rows from (
        pg_catalog.unnest($3::pg_catalog.text[]),
        pg_catalog.unnest($4::pg_catalog.text[])
    ) as a (schema_name, name)
    inner join pg_catalog.pg_namespace as n on n.nspname = a.schema_name
    inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.name
    inner join pg_catalog.pg_index as x on x.indexrelid = c.oid
),

wanted (oid) as (
    select a.oid
    from asked as a
    union
    select i.inhrelid
    from wanted as w
    inner join pg_catalog.pg_inherits as i on i.inhparent = w.oid
    inner join pg_catalog.pg_class as c on c.oid = i.inhrelid
    where c.relispartition
)

select
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    c.relkind::pg_catalog.text as kind,
    pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text as owner,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as owns,
    pg_catalog.has_schema_privilege(n.oid, 'CREATE') is true as creates,
    (
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') is true
        and pg_catalog.has_table_privilege(c.oid, 'SELECT') is true
    ) as readable,
    c.relpersistence = 't' as temporary,
    parent_schema.nspname::pg_catalog.text as parent_schema,
    parent.relname::pg_catalog.text as parent_name,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
        order by k.position
    ) as partition_key,
    c.reltuples::pg_catalog.float8 as row_count,
    c.relpages as pages
from wanted as w
inner join pg_catalog.pg_class as c on c.oid = w.oid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_partitioned_table as p on p.partrelid = c.oid
left join pg_catalog.pg_inherits as i on c.relispartition and i.inhrelid = c.oid
left join pg_catalog.pg_class as parent on parent.oid = i.inhparent
left join pg_catalog.pg_namespace as parent_schema on parent_schema.oid = parent.relnamespace
order by n.nspname, c.relname;

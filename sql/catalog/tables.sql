-- Partitioned tables asked for by name ($1 schemas, $2 names; null: all) and the partitioned ones below them; temporary tables are left out, tables owned by extensions are not.
-- The server takes ACCESS SHARE on a table with an expression in its key for a moment while it writes the key out.
with recursive wanted (oid) as (
    select c.oid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where
        c.relkind = 'p'
        and c.relpersistence <> 't'
        and (
            $1::pg_catalog.text[] is null
            or (n.nspname::pg_catalog.text, c.relname::pg_catalog.text) in (
                select
                    a.schema_name,
                    a.name
                from rows from (
                    pg_catalog.unnest($1::pg_catalog.text[]),
                    pg_catalog.unnest($2::pg_catalog.text[])
                ) as a (schema_name, name)
            )
        )
    union
    select i.inhrelid
    from wanted as w
    inner join pg_catalog.pg_inherits as i on i.inhparent = w.oid
    inner join pg_catalog.pg_class as c on c.oid = i.inhrelid
    where c.relkind = 'p' and $1::pg_catalog.text[] is not null
)

select
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text as owner,
    parent_schema.nspname::pg_catalog.text as parent_schema,
    parent.relname::pg_catalog.text as parent_name,
    p.partstrat::pg_catalog.text as strategy,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
        order by k.position
    ) as key_columns,
    array(
        select pg_catalog.format_type(a.atttypid, a.atttypmod)
        from pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
        order by k.position
    ) as key_types,
    case when p.partexprs is not null then pg_catalog.pg_get_partkeydef(c.oid) end as key_definition,
    t.spcname::pg_catalog.text as tablespace,
    m.amname::pg_catalog.text as access_method,
    c.relreplident::pg_catalog.text as replica_identity,
    (
        select ic.relname::pg_catalog.text
        from pg_catalog.pg_index as x
        inner join pg_catalog.pg_class as ic on ic.oid = x.indexrelid
        where x.indrelid = c.oid and x.indisreplident
    ) as replica_index,
    c.relrowsecurity as row_security,
    c.relforcerowsecurity as force_row_security,
    d.description as comment,
    (
        c.relacl is not null
        or exists (
            select 1
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attacl is not null
        )
    ) as has_acl,
    c.relpersistence::pg_catalog.text as persistence,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as owns
from wanted as w
inner join pg_catalog.pg_class as c on c.oid = w.oid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join pg_catalog.pg_partitioned_table as p on p.partrelid = c.oid
left join pg_catalog.pg_inherits as i on i.inhrelid = c.oid
left join pg_catalog.pg_class as parent on parent.oid = i.inhparent
left join pg_catalog.pg_namespace as parent_schema on parent_schema.oid = parent.relnamespace
left join pg_catalog.pg_tablespace as t on t.oid = c.reltablespace
left join pg_catalog.pg_am as m on m.oid = c.relam
left join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid = c.oid and d.objsubid = 0
order by n.nspname, c.relname;

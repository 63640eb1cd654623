-- Indexes of the tables in $1: invalid ones, those of constraints and those being built or dropped included; extension-owned ones are marked.
-- pg_get_indexdef says null of an index that is gone by now, and takes ACCESS SHARE on the table for a moment.
with parts (indexrelid, columns, opclass_schemas, opclass_names, collation_schemas, collation_names) as (
    select
        x.indexrelid,
        pg_catalog.array_agg(a.attname::pg_catalog.text order by k.position),
        pg_catalog.array_agg(opn.nspname::pg_catalog.text order by k.position),
        pg_catalog.array_agg(op.opcname::pg_catalog.text order by k.position),
        pg_catalog.array_agg(con.nspname::pg_catalog.text order by k.position),
        pg_catalog.array_agg(co.collname::pg_catalog.text order by k.position)
    from pg_catalog.pg_index as x
    cross join rows from (
        pg_catalog.unnest(x.indkey::pg_catalog.int2[]),
        pg_catalog.unnest(x.indclass::pg_catalog.oid[]),
        pg_catalog.unnest(x.indcollation::pg_catalog.oid[])
    ) with ordinality as k (attnum, opclass, collation_oid, position)
    left join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.attnum
    left join pg_catalog.pg_opclass as op on op.oid = k.opclass
    left join pg_catalog.pg_namespace as opn on opn.oid = op.opcnamespace
    left join pg_catalog.pg_collation as co on co.oid = k.collation_oid
    left join pg_catalog.pg_namespace as con on con.oid = co.collnamespace
    where x.indrelid = any($1::pg_catalog.oid[]) and k.position <= x.indnkeyatts
    group by x.indexrelid
),

referencing (indexrelid, schemas, names) as (
    select
        r.conindid,
        pg_catalog.array_agg(r.nspname::pg_catalog.text order by r.nspname, r.relname),
        pg_catalog.array_agg(r.relname::pg_catalog.text order by r.nspname, r.relname)
    from (
        select distinct
            f.conindid,
            n.nspname,
            c.relname
        from pg_catalog.pg_constraint as f
        inner join pg_catalog.pg_class as c on c.oid = f.conrelid
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where f.contype = 'f' and f.confrelid = any($1::pg_catalog.oid[])
    ) as r
    group by r.conindid
)

select
    x.indrelid as table_oid,
    c.oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    pg_catalog.pg_get_indexdef(c.oid) as definition,
    p.columns,
    p.opclass_schemas,
    p.opclass_names,
    p.collation_schemas,
    p.collation_names,
    c.relkind = 'I' as partitioned,
    parent_schema.nspname::pg_catalog.text as parent_schema,
    parent.relname::pg_catalog.text as parent_name,
    x.indisvalid as valid,
    x.indisready as ready,
    x.indislive as live,
    x.indimmediate as immediate,
    x.indisclustered as clustered,
    x.indisreplident as replica_identity,
    k.conname::pg_catalog.text as constraint_name,
    k.contype::pg_catalog.text as constraint_kind,
    k.condeferrable as constraint_deferrable,
    r.schemas as referencing_schemas,
    r.names as referencing_names,
    t.spcname::pg_catalog.text as tablespace,
    c.reloptions,
    d.description as comment,
    array(
        select a.attnum
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attstattarget >= 0
        order by a.attnum
    ) as statistics_positions,
    array(
        select a.attstattarget::pg_catalog.int2
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attstattarget >= 0
        order by a.attnum
    ) as statistics_targets,
    exists (
        select 1
        from pg_catalog.pg_depend as e
        where
            e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and e.objid in (x.indexrelid, x.indrelid)
            and e.objsubid = 0
            and e.deptype = 'e'
    ) as of_extension
from pg_catalog.pg_index as x
inner join pg_catalog.pg_class as c on c.oid = x.indexrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join parts as p on p.indexrelid = x.indexrelid
left join pg_catalog.pg_inherits as i on i.inhrelid = c.oid
left join pg_catalog.pg_class as parent on parent.oid = i.inhparent
left join pg_catalog.pg_namespace as parent_schema on parent_schema.oid = parent.relnamespace
left join pg_catalog.pg_constraint as k
    on k.conrelid = x.indrelid and k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x')
left join referencing as r on r.indexrelid = x.indexrelid
left join pg_catalog.pg_tablespace as t on t.oid = c.reltablespace
left join pg_catalog.pg_description as d
    on d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid = c.oid and d.objsubid = 0
where x.indrelid = any($1::pg_catalog.oid[])
order by x.indrelid, n.nspname, c.relname;

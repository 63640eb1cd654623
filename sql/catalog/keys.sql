-- Columns, keys and foreign keys of the tables and views of all schemas but the server's own: one row a table.
select
    c.oid as table_oid,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    ) as columns,
    array(
        select pg_catalog.format_type(a.atttypid, null)
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    ) as types,
    (
        select pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
                'primary', i.indisprimary,
                'columns', array(
                    select a.attname::pg_catalog.text
                    from pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality as k (attnum, position)
                    inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
                    where k.position <= i.indnkeyatts
                    order by k.position
                )
            )
            order by i.indisprimary desc, i.indexrelid
        )
        from pg_catalog.pg_index as i
        where
            i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    ) as keys,
    (
        select pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
                'name', f.conname,
                'target', t.relname,
                'columns', array(
                    select a.attname::pg_catalog.text
                    from pg_catalog.unnest(f.conkey) with ordinality as k (attnum, position)
                    inner join pg_catalog.pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.attnum
                    order by k.position
                ),
                'target_columns', array(
                    select a.attname::pg_catalog.text
                    from pg_catalog.unnest(f.confkey) with ordinality as k (attnum, position)
                    inner join pg_catalog.pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.attnum
                    order by k.position
                )
            )
            order by f.conname
        )
        from pg_catalog.pg_constraint as f
        inner join pg_catalog.pg_class as t on t.oid = f.confrelid
        left join pg_catalog.pg_constraint as origin on origin.oid = f.conparentid
        where f.conrelid = c.oid and f.contype = 'f' and origin.conrelid is distinct from f.conrelid
    ) as foreign_keys
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where
    c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
order by 2, 3;

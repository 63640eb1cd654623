-- Foreign keys that stand on their own (not those a partition has from its parent), with how often the referenced
-- table's rows are deleted and updated; a partitioned table's count is that of its partitions.
select
    c.conrelid as table_oid,
    c.conname::pg_catalog.text as name,
    rn.nspname::pg_catalog.text as parent_schema,
    rc.relname::pg_catalog.text as parent_name,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(c.conkey) with ordinality as k (attnum, position)
        inner join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
        order by k.position
    ) as columns,
    c.confdeltype::pg_catalog.text as on_delete,
    w.deletes,
    w.updates
from pg_catalog.pg_constraint as c
inner join pg_catalog.pg_class as rc on rc.oid = c.confrelid
inner join pg_catalog.pg_namespace as rn on rn.oid = rc.relnamespace
cross join lateral (
    select
        pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(x.oid))::pg_catalog.int8 as deletes,
        pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(x.oid))::pg_catalog.int8 as updates
    from pg_catalog.unnest(
        case
            when rc.relkind = 'p'
                then array(select t.relid::pg_catalog.oid from pg_catalog.pg_partition_tree(rc.oid) as t)
            else array[rc.oid]
        end
    ) as x (oid)
) as w
where c.contype = 'f' and c.conparentid = 0
order by c.conrelid, c.conname;

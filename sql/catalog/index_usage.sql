-- Bytes of the main fork and counters of the tables in $1 and of their indexes.
-- Measuring takes ACCESS SHARE on each for a moment.
with wanted (oid) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union all
    select x.indexrelid
    from pg_catalog.pg_index as x
    where x.indrelid = any($1::pg_catalog.oid[])
)

select
    c.oid,
    case
        when c.relkind not in ('r', 'm', 'i', 't') then 0::pg_catalog.int8
        else pg_catalog.pg_relation_size(c.oid)
    end as bytes,
    case
        when c.relkind = 'i' and pg_catalog.current_setting('track_counts')::pg_catalog.bool
            then pg_catalog.pg_stat_get_numscans(c.oid)
    end as scans,
    pg_catalog.pg_stat_get_tuples_inserted(c.oid) as inserts,
    pg_catalog.pg_stat_get_tuples_updated(c.oid) as updates,
    pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) as hot_updates,
    pg_catalog.pg_stat_get_tuples_deleted(c.oid) as deletes
from wanted as w
inner join pg_catalog.pg_class as c on c.oid = w.oid
order by c.oid;

-- What statistics say about the columns of btree indexes ($1 oids), for estimating their size.
select
    i.indexrelid as index_oid,
    c.relpages as pages,
    c.reltuples::pg_catalog.float8 as tuples,
    a.attnum <= i.indnkeyatts as is_key,
    a.attname::pg_catalog.text as column_name,
    pg_catalog.format_type(a.atttypid, null) as type_name,
    case when t.typlen > 0 then t.typlen::pg_catalog.int4 else s.avg_width end as width,
    s.null_frac::pg_catalog.float8 as null_fraction,
    s.n_distinct::pg_catalog.float8 as n_distinct,
    t.typalign::pg_catalog.text as alignment,
    coalesce(co.collisdeterministic, true) as deterministic
from pg_catalog.unnest($1::pg_catalog.oid[]) as o (oid)
inner join pg_catalog.pg_index as i on i.indexrelid = o.oid
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
inner join pg_catalog.pg_class as tc on tc.oid = i.indrelid
inner join pg_catalog.pg_namespace as n on n.oid = tc.relnamespace
inner join pg_catalog.pg_attribute as a on a.attrelid = i.indexrelid and a.attnum > 0
inner join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_collation as co on co.oid = a.attcollation
left join pg_catalog.pg_attribute as ta
    on ta.attrelid = i.indrelid and ta.attnum = i.indkey[a.attnum - 1] and ta.attnum > 0
left join pg_catalog.pg_stats as s
    on
        s.schemaname = n.nspname
        and not s.inherited
        and (
            (ta.attnum is not null and s.tablename = tc.relname and s.attname = ta.attname)
            or (ta.attnum is null and s.tablename = c.relname and s.attname = a.attname)
        )
order by i.indexrelid, a.attnum;

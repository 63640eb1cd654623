-- Where pg_stat_statements is installed and what its view shows; no row where it is not installed in this database.
select /* dbops */
    n.nspname::pg_catalog.text as schema_name,
    e.extversion as extension,
    coalesce(
        (
            select pg_catalog.array_agg(a.attname::pg_catalog.text order by a.attnum)
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid
            where
                c.relnamespace = e.extnamespace
                and c.relname = 'pg_stat_statements'
                and a.attnum > 0
                and not a.attisdropped
        ),
        '{}'
    ) as view_columns,
    exists (
        select
        from pg_catalog.pg_class as c
        where
            c.relnamespace = e.extnamespace
            and c.relname = 'pg_stat_statements_info'
    ) as has_info
from pg_catalog.pg_extension as e
inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'
order by e.oid;

-- Where the server's files are as far as the role may know, which server it is, and how long prepared transactions wait.
select
    s.data_directory,
    c.system_identifier,
    pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as reads_all_stats,
    p.oldest_s as prepared_oldest_s,
    p.number as prepared
from pg_catalog.pg_control_system() as c
cross join (
    -- Without the right there is no row, and no error.
    select pg_catalog.max(g.setting) as data_directory
    from pg_catalog.pg_settings as g
    where g.name = 'data_directory'
) as s
cross join (
    select
        pg_catalog.count(*) as number,
        extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(x.prepared))::pg_catalog.float8 as oldest_s
    from pg_catalog.pg_prepared_xacts as x
) as p
order by c.system_identifier;

-- Planner statistics of partitioned tables ($1 oids): reltuples is below zero where never analyzed; before 14 the server did not record it.
select
    c.oid as table_oid,
    case
        when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000 then c.reltuples >= 0
    end as analyzed,
    pg_catalog.pg_stat_get_last_analyze_time(c.oid) as analyzed_at
from pg_catalog.pg_class as c
where c.oid = any($1::pg_catalog.oid[])
order by c.oid;

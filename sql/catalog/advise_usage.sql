-- How often indexes of this node's database were scanned since the statistics began.
select
    s.schemaname::pg_catalog.text as schema_name,
    s.indexrelname::pg_catalog.text as name,
    s.idx_scan as scans,
    null::pg_catalog.float8 as last_scan_seconds
from pg_catalog.pg_stat_all_indexes as s
where
    s.schemaname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and s.schemaname not like 'pg\_temp\_%'
    and s.schemaname not like 'pg\_toast\_temp\_%'
order by s.schemaname, s.indexrelname;

-- WAL files that wait to be archived: how many, and for how many seconds the oldest one has waited.
select
    pg_catalog.count(*) as waiting,
    extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(s.modification))::pg_catalog.float8 as oldest_seconds
from pg_catalog.pg_ls_archive_statusdir() as s
where pg_catalog.right(s.name, 6) = '.ready'
order by 1;

-- Whether the role may see WAL files, how archiving stands, and the clock of the server.
select
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute') as may_list_wal,
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as may_list_archive,
    pg_catalog.current_setting('archive_mode') as archive_mode,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    a.archived_count,
    a.failed_count,
    a.last_archived_time,
    a.last_failed_time,
    a.last_failed_wal
from pg_catalog.pg_stat_archiver as a
order by 1;

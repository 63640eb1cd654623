-- The server's data directory, where this session is local to the server and the role may be told; else null
select
  case
    when pg_catalog.inet_server_addr() is null
      and pg_catalog.pg_has_role('pg_read_all_settings', 'usage')
      then pg_catalog.current_setting('data_directory')
  end::text as path
order by path

-- Settings that decide what pg_stat_statements counts, where they are set for a role or a database.
select /* dbops */
    pg_catalog.split_part(c.setting, '=', 1) as name,
    pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) as value,
    case when s.setrole <> 0 then coalesce(r.rolname::pg_catalog.text, 'oid ' || s.setrole::pg_catalog.text) end as role,
    case when s.setdatabase <> 0 then coalesce(d.datname::pg_catalog.text, 'oid ' || s.setdatabase::pg_catalog.text) end as database
from pg_catalog.pg_db_role_setting as s
cross join lateral pg_catalog.unnest(s.setconfig) as c (setting)
left join pg_catalog.pg_roles as r on r.oid = s.setrole
left join pg_catalog.pg_database as d on d.oid = s.setdatabase
where pg_catalog.split_part(c.setting, '=', 1) in (
    'track_io_timing',
    'compute_query_id',
    'pg_stat_statements.track',
    'pg_stat_statements.track_planning',
    'pg_stat_statements.track_utility'
)
order by c.setting, s.setrole, s.setdatabase;

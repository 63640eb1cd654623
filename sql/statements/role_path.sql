-- The search_path that sessions of a role have in this database, where it is set for either. $1: the role.
select /* dbops */ pg_catalog.substr(c.setting, pg_catalog.length('search_path=') + 1) as search_path
from pg_catalog.pg_db_role_setting as s
cross join lateral pg_catalog.unnest(s.setconfig) as c (setting)
where c.setting like 'search\_path=%'
  and s.setrole in (0, $1)
  and s.setdatabase in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()))
order by s.setrole <> 0 desc, s.setdatabase <> 0 desc
limit 1

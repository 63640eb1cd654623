-- Tablespaces and which of them is the database's own.
select
    t.spcname::pg_catalog.text as name,
    d.oid is not null as of_database
from pg_catalog.pg_tablespace as t
left join pg_catalog.pg_database as d
    on d.dattablespace = t.oid and d.datname = pg_catalog.current_database()
where t.spcname <> 'pg_global'
order by t.spcname;

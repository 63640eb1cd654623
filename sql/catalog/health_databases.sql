-- Every database: how old its oldest transaction id and multixact are, and where $1 its size, if the role may know it.
select
    d.datname::pg_catalog.text as name,
    pg_catalog.age(d.datfrozenxid)::pg_catalog.int8 as xid_age,
    pg_catalog.mxid_age(d.datminmxid)::pg_catalog.int8 as mxid_age,
    case
        when
            $1
            and (
                pg_catalog.has_database_privilege(d.oid, 'connect')
                or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
            )
            then pg_catalog.pg_database_size(d.oid)
    end as bytes
from pg_catalog.pg_database as d
order by d.datname;

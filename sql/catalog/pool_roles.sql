-- Roles with a limit of connections, roles that are connected, and those named in $1.
select
    r.rolname::pg_catalog.text as name,
    r.rolsuper as superuser,
    r.rolconnlimit as connection_limit
from pg_catalog.pg_roles as r
where
    r.rolcanlogin
    and (
        r.rolconnlimit >= 0
        or r.rolname = any($1)
        or exists (
            select
            from pg_catalog.pg_stat_get_activity(null) as a
            where a.usesysid = r.oid
        )
    )
order by r.rolname;

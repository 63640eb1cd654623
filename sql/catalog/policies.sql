-- Row security policies of the tables in $1; a null among the roles is PUBLIC.
-- The server takes ACCESS SHARE on a table for a moment while it writes such an expression out.
select
    p.polrelid as table_oid,
    p.polname::pg_catalog.text as name,
    p.polpermissive as permissive,
    case p.polcmd
        when '*' then 'ALL'
        when 'r' then 'SELECT'
        when 'a' then 'INSERT'
        when 'w' then 'UPDATE'
        when 'd' then 'DELETE'
        else p.polcmd::pg_catalog.text
    end as command,
    array(
        select r.rolname::pg_catalog.text
        from pg_catalog.unnest(p.polroles) as k (oid)
        left join pg_catalog.pg_roles as r on r.oid = k.oid
        order by r.rolname
    ) as roles,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using_expression,
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check_expression
from pg_catalog.pg_policy as p
where p.polrelid = any($1::pg_catalog.oid[])
order by p.polrelid, p.polname;

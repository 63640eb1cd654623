-- Grants on the tables in $1 and on their columns, the owner's own included; a null grantee is PUBLIC.
select
    c.oid as table_oid,
    null::pg_catalog.text as column_name,
    case when g.grantee <> 0 then pg_catalog.pg_get_userbyid(g.grantee)::pg_catalog.text end as grantee,
    g.privilege_type as privilege,
    g.is_grantable as grantable
from pg_catalog.pg_class as c
cross join lateral pg_catalog.aclexplode(
    case when c.relacl is null then pg_catalog.acldefault('r', c.relowner) else c.relacl end
) as g
where c.oid = any($1::pg_catalog.oid[])
union
select
    a.attrelid as table_oid,
    a.attname::pg_catalog.text as column_name,
    case when g.grantee <> 0 then pg_catalog.pg_get_userbyid(g.grantee)::pg_catalog.text end as grantee,
    g.privilege_type as privilege,
    g.is_grantable as grantable
from pg_catalog.pg_attribute as a
cross join lateral pg_catalog.aclexplode(a.attacl) as g
where
    a.attrelid = any($1::pg_catalog.oid[])
    and a.attnum > 0
    and not a.attisdropped
    and a.attacl is not null
order by 1, 2, 3, 4, 5;

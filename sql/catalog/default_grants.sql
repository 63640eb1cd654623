-- What ALTER DEFAULT PRIVILEGES gives to tables that the current role creates; a null schema is every schema, a null grantee is PUBLIC.
select
    n.nspname::pg_catalog.text as schema_name,
    case when g.grantee <> 0 then pg_catalog.pg_get_userbyid(g.grantee)::pg_catalog.text end as grantee,
    g.privilege_type as privilege,
    g.is_grantable as grantable
from pg_catalog.pg_default_acl as d
inner join pg_catalog.pg_roles as r on r.oid = d.defaclrole
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
cross join lateral pg_catalog.aclexplode(d.defaclacl) as g
where
    d.defaclobjtype = 'r'
    and r.rolname = current_user
order by 1, 2, 3, 4;

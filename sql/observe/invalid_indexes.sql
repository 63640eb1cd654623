-- Invalid indexes of table $1 (quoted, with schema)
select
  c.oid::int8 as oid,
  n.nspname::text as schema,
  c.relname::text as name
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where i.indrelid = pg_catalog.to_regclass($1)
  and not i.indisvalid
order by c.oid

-- What is under the name $1 (quoted, with schema), and whether it is an index of table $2 (the same)
select
  c.oid::int8 as oid,
  c.relkind::text as relkind,
  i.indrelid = pg_catalog.to_regclass($2) as of_table,
  i.indisvalid as valid,
  i.indisready as ready,
  i.indislive as live,
  i.indisreplident as replica_identity,
  exists (select from pg_catalog.pg_constraint as n where n.conindid = c.oid) as constrained
from pg_catalog.pg_class as c
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
where c.oid = pg_catalog.to_regclass($1)

-- Whether the concurrent detach of partition $1 (quoted, with schema) was begun and is not complete (false before 14, which has none)
select exists (
  select 1
  from pg_catalog.pg_inherits as i
  where i.inhrelid = pg_catalog.to_regclass($1)
    and pg_catalog.to_jsonb(i) ->> 'inhdetachpending' = 'true'
) as pending

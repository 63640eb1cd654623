-- What backend $1 waits for, and whether any session but dbops's own ($2) waits for a lock on a relation ($3: it cannot be seen, so it is taken to be so)
select
  b.state::text as state,
  b.wait_event_type::text as wait_event_type,
  b.wait_event::text as wait_event,
  $3::bool
  or exists (
    select
    from pg_catalog.pg_stat_get_activity(null) as s
    where s.wait_event_type = 'Lock'
      and s.wait_event = 'relation'
      and s.pid <> all ($2::int4[])
  ) as others_wait
from pg_catalog.pg_stat_get_activity($1) as b

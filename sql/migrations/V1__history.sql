-- dbops's own schema: what dbops did in this database. Nothing here is needed to run dbops again.
create table dbops.run (
  id bigint generated always as identity primary key,
  started_at timestamptz not null,
  finished_at timestamptz,
  command text not null,
  target text not null,
  role text not null default current_user,
  application text not null default pg_catalog.current_setting('application_name'),
  dbops_version text not null,
  as_of timestamptz not null,
  changeset jsonb not null,
  status text not null check (status in ('running', 'done', 'refused', 'deferred', 'part-way', 'interrupted')),
  blocked_count integer,
  blocked_longest_ms double precision
);

comment on table dbops.run is 'One execution of a writing command of dbops. status stays `running` when dbops was killed.';

create table dbops.step (
  run_id bigint not null references dbops.run (id) on delete cascade,
  step_id integer not null,
  table_name text not null,
  action text not null,
  summary text not null,
  statements text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  status text not null check (status in ('running', 'done', 'refused', 'deferred', 'failed', 'skipped', 'interrupted')),
  way text,
  attempts integer,
  lock_wait_ms bigint,
  duration_ms bigint,
  blocked_count integer,
  blocked_longest_ms double precision,
  blockers jsonb,
  reason text,
  primary key (run_id, step_id)
);

comment on table dbops.step is 'One step of a run: its SQL, how long it took, what others waited behind it, how it ended.';

create index run_started_at_idx on dbops.run (started_at desc);

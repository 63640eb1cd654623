-- Readings of pg_stat_statements: one row each, their texts once.
create table dbops.statement_text (
  hash uuid primary key,
  text text not null
);

comment on table dbops.statement_text is 'Texts of statements by the first half of their SHA-256; literals of utility statements are masked.';

create table dbops.statement_snapshot (
  id bigint generated always as identity primary key,
  taken_at timestamptz not null,
  stored_at timestamptz not null default pg_catalog.now(),
  name text unique,
  node text not null,
  extension text not null,
  statements integer not null,
  calls double precision not null,
  role text not null default current_user,
  dbops_version text not null,
  texts uuid[] not null,
  data bytea not null
);

comment on table dbops.statement_snapshot is 'Readings of pg_stat_statements. data is a file of the format dbops.statements/1 whose texts are hashes of dbops.statement_text. Those with a name are kept.';

alter table dbops.statement_snapshot alter column data set storage external;

create index statement_snapshot_taken_at_idx on dbops.statement_snapshot (taken_at desc);

-- Fills gobapp: months of rows up to an instant, the same rows on every server version.
--
-- Settings, all optional (`set dbops.sample_rows = '500000'` before this file):
--   dbops.sample_months  how many months, the current one counted (default 6)
--   dbops.sample_rows    rows of `events`; the other tables follow (default 100000)
--   dbops.sample_end     date or timestamp before which all rows lie (default: now, UTC)
-- The period of sample_end is the last one with a partition; those to come are left to dbops.

create table pg_temp.sample as
select coalesce(nullif(current_setting('dbops.sample_months', true), ''), '6')::int as months,
       coalesce(nullif(current_setting('dbops.sample_rows', true), ''), '100000')::bigint as n,
       coalesce(nullif(current_setting('dbops.sample_end', true), '')::timestamp,
                date_trunc('minute', now() at time zone 'UTC')) as ends_at,
       null::timestamp as starts_at;
update pg_temp.sample
set starts_at = date_trunc('month', least(ends_at - make_interval(months => months - 1), ends_at - interval '1 day'));

-- A number in [0, 1) from a row number and a salt. A hash and not random(), so that neither the
-- server's generator nor the order of evaluation takes part.
create function pg_temp.u(i bigint, salt int) returns double precision
language sql immutable parallel safe
as $$ select (hashint8extended(i, salt) & 4294967295) / 4294967296.0::double precision $$;

-- The i-th of n instants between two ends: more of them late than early, most of them by day.
-- One expression, so that the server can inline it.
create function pg_temp.instant(i bigint, n bigint, salt int, starts_at timestamp, ends_at timestamp)
returns timestamp
language sql immutable parallel safe
as $$
    select least(
        date_trunc('day', starts_at + (ends_at - starts_at) * power((i - pg_temp.u(i, salt)) / n, 0.7))
            + interval '23 hours' * ((pg_temp.u(i, salt + 1) + pg_temp.u(i, salt + 2) + pg_temp.u(i, salt + 3)) / 3),
        ends_at - (ends_at - date_trunc('day', ends_at)) * pg_temp.u(i, salt) - interval '1 millisecond')
$$;

-- Text like a cuid, Prisma's default key.
create function pg_temp.cuid(kind text, i bigint) returns text
language sql immutable parallel safe
as $$ select 'c' || substr(md5(kind || i), 1, 24) $$;

do $$
declare
    s record;
    month timestamp;
begin
    select * into s from pg_temp.sample;
    month := s.starts_at;
    while month <= s.ends_at loop
        execute format('create table if not exists %I partition of events for values from (%L) to (%L)',
                       'events_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
        month := month + interval '1 month';
    end loop;
end
$$;

insert into "Tribe" (id, slug, name, "createdAt")
select pg_temp.cuid('tribe', i), 'tribe-' || i, initcap(topic) || ' ' || place, starts_at
from pg_temp.sample,
     generate_series(1, 40) i,
     lateral (select (array['environment', 'education', 'economy', 'security', 'health', 'transport', 'housing', 'culture'])[1 + i % 8] topic,
                     (array['North', 'South', 'Centre', 'Coast', 'Capital'])[1 + i / 8 % 5] place) p;

insert into "User" (id, "clerkId", email, "displayName", "tribeId", "createdAt", "updatedAt")
select pg_temp.cuid('user', i), 'user_2' || substr(md5('clerk' || i), 1, 26), 'user' || i || '@example.org', name,
       case when pg_temp.u(i, 11) < 0.85 then pg_temp.cuid('tribe', 1 + floor(40 * power(pg_temp.u(i, 12), 2))::bigint) end,
       t, t + (ends_at - t) * pg_temp.u(i, 13)
from (select i, s.ends_at,
             pg_temp.instant(i, s.n / 40 + 1, 20, s.starts_at, s.ends_at) t,
             (array['Ana', 'Luis', 'Carla', 'Diego', 'Elena', 'Felipe', 'Gloria', 'Hugo', 'Ines', 'Jorge'])[1 + floor(10 * pg_temp.u(i, 14))::int]
             || ' ' || (array['Rojas', 'Vera', 'Soto', 'Mora', 'Paz', 'Leon', 'Cruz', 'Luna'])[1 + floor(8 * pg_temp.u(i, 15))::int] as name
      from pg_temp.sample s, generate_series(1, s.n / 40 + 1) i offset 0) r;

insert into "Candidate" (id, name, party, region, active, "createdAt")
select pg_temp.cuid('candidate', i), 'Candidate ' || i,
       (array['Alianza', 'Frente', 'Union', 'Verde', 'Independiente'])[1 + floor(5 * power(pg_temp.u(i, 30), 1.5))::int],
       'Region ' || 1 + i % 16, pg_temp.u(i, 31) < 0.12, starts_at
from pg_temp.sample, generate_series(1, 2000) i;

insert into "DnaTest" (id, "userId", status, answers, "createdAt", "completedAt")
select pg_temp.cuid('dna', i), pg_temp.cuid('user', 1 + floor((n / 40 + 1) * pg_temp.u(i, 41))::bigint),
       (case when w < 0.70 then 'COMPLETED' when w < 0.85 then 'IN_PROGRESS' when w < 0.95 then 'PENDING' else 'EXPIRED' end)::"DnaTestStatus",
       jsonb_build_object('axis', round(pg_temp.u(i, 42)::numeric, 3), 'answers', 20 + floor(30 * pg_temp.u(i, 43))),
       t, case when w < 0.70 then t + interval '12 minutes' * pg_temp.u(i, 44) end
from (select i, s.n, pg_temp.u(i, 40) w, pg_temp.instant(i, s.n / 25 + 1, 45, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 25 + 1) i offset 0) r;

insert into "Match" (id, "userId", "candidateId", "overallScore", "createdAt")
select pg_temp.cuid('match', i), pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 50), 1.6))::bigint),
       pg_temp.cuid('candidate', 1 + floor(2000 * power(pg_temp.u(i, 51), 2))::bigint),
       round((100 * (pg_temp.u(i, 52) + pg_temp.u(i, 53) + pg_temp.u(i, 54)) / 3)::numeric, 2), t
from (select i, s.n, pg_temp.instant(i, s.n / 4 + 1, 55, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 4 + 1) i offset 0) r;

insert into "FactCheck" (id, "candidateId", claim, verdict, "sourceUrl", "publishedAt", "createdAt")
select pg_temp.cuid('fact', i), pg_temp.cuid('candidate', 1 + floor(2000 * power(pg_temp.u(i, 60), 2))::bigint),
       'Claim ' || i || ': ' || repeat(md5(i::text) || ' ', 4),
       case when published then (array['TRUE', 'MOSTLY_TRUE', 'MIXED', 'MOSTLY_FALSE', 'FALSE'])[1 + floor(5 * pg_temp.u(i, 61))::int]::"Verdict" end,
       'https://example.org/claims/' || i,
       case when published then t end, t
from (select i, pg_temp.u(i, 62) < 0.8 published, pg_temp.instant(i, s.n / 100 + 1, 63, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 100 + 1) i offset 0) r;

insert into "Post" (id, "tribeId", "authorId", content, flagged, "createdAt", "updatedAt")
select pg_temp.cuid('post', i), pg_temp.cuid('tribe', 1 + floor(40 * power(pg_temp.u(i, 70), 2))::bigint),
       pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 71), 3))::bigint),
       repeat(md5(i::text) || ' ', 1 + floor(8 * power(pg_temp.u(i, 72), 2))::int), pg_temp.u(i, 73) < 0.02, t, t
from (select i, s.n, pg_temp.instant(i, s.n / 5 + 1, 74, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 5 + 1) i offset 0) r;

insert into "Event" (id, name, "userId", properties, "createdAt")
select pg_temp.cuid('event', i),
       (array['page_view', 'match_viewed', 'dna_started', 'dna_completed', 'post_created', 'share_clicked', 'sign_in', 'unsubscribe'])[1 + floor(8 * power(pg_temp.u(i, 80), 2.5))::int],
       case when pg_temp.u(i, 81) < 0.9 then pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 82), 2))::bigint) end,
       jsonb_build_object('path', '/p/' || floor(50 * power(pg_temp.u(i, 83), 2)), 'ms', floor(20 + 400 * power(pg_temp.u(i, 84), 6))),
       t
from (select i, s.n, pg_temp.instant(i, s.n / 2 + 1, 85, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 2 + 1) i offset 0) r;

insert into events (name, "userId", payload, "createdAt")
select (array['request', 'login', 'vote', 'match', 'post', 'error', 'export'])[1 + floor(7 * power(pg_temp.u(i, 90), 3))::int],
       case when pg_temp.u(i, 91) < 0.8 then pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 92), 2))::bigint) end,
       jsonb_build_object('route', '/api/v1/' || floor(30 * power(pg_temp.u(i, 93), 2)), 'status', case when pg_temp.u(i, 94) < 0.985 then 200 else 500 end),
       t
from (select i, s.n, pg_temp.instant(i, s.n, 95, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n) i offset 0) r;

drop function pg_temp.instant(bigint, bigint, int, timestamp, timestamp);
drop function pg_temp.u(bigint, int);
drop function pg_temp.cuid(text, bigint);
drop table pg_temp.sample;
analyze "Tribe", "User", "DnaTest", "Candidate", "Match", "FactCheck", "Post", "Event", events;

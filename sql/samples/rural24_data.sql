-- Fills rural24: months of rows up to an instant, the same rows on every server version.
--
-- Settings, all optional (`set dbops.sample_rows = '500000'` before this file):
--   dbops.sample_months  how many months, the current one counted (default 6)
--   dbops.sample_rows    rows of `messages`; the other tables follow (default 100000)
--   dbops.sample_end     date or timestamp before which all rows lie (default: now); civil time of Europe/Madrid
-- The period of sample_end is the last one with a partition; those to come are left to dbops.

create table pg_temp.sample as
select coalesce(nullif(current_setting('dbops.sample_months', true), ''), '6')::int as months,
       coalesce(nullif(current_setting('dbops.sample_rows', true), ''), '100000')::bigint as n,
       coalesce(nullif(current_setting('dbops.sample_end', true), '')::timestamp,
                date_trunc('minute', now() at time zone 'Europe/Madrid')) as ends_at,
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
    zone constant text := 'Europe/Madrid';
    s record;
    t timestamp;
begin
    select * into s from pg_temp.sample;
    t := date_trunc('quarter', s.starts_at);
    while t <= s.ends_at loop
        execute format('create table if not exists %I partition of messages for values from (%L) to (%L)',
                       'messages' || to_char(t, '_YYYY_"q"Q'), t at time zone zone, (t + interval '3 months') at time zone zone);
        t := t + interval '3 months';
    end loop;
    t := date_trunc('year', s.starts_at);
    while t <= s.ends_at loop
        execute format('create table if not exists %I partition of ad_daily_stats for values from (%L) to (%L)',
                       'ad_daily_stats' || to_char(t, '_YYYY'), t::date, (t + interval '1 year')::date);
        t := t + interval '1 year';
    end loop;
end
$$;

insert into users (id, email, name, role, created_at)
select pg_temp.cuid('user', i), 'user' || i || '@example.org', 'User ' || i,
       case when pg_temp.u(i, 11) < 0.002 then 'admin' when pg_temp.u(i, 11) < 0.10 then 'business' else 'user' end,
       t at time zone 'Europe/Madrid'
from (select i, pg_temp.instant(i, s.n / 40 + 1, 12, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 40 + 1) i offset 0) r;

insert into categories (name, slug, is_active, display_order)
select initcap(slug), slug, i <= 10, 10 * i
from unnest(array['tractors', 'livestock', 'land', 'machinery', 'feed', 'seeds', 'tools', 'vehicles', 'housing', 'services', 'leases', 'auctions'])
     with ordinality c(slug, i)
order by i;

insert into ads (id, title, description, price, status, category, province, is_featured, user_id, created_at, deleted_at)
select pg_temp.cuid('ad', i), initcap(category) || ' ' || i, repeat(md5(i::text) || ' ', 2 + floor(10 * power(pg_temp.u(i, 21), 2))::int),
       case when pg_temp.u(i, 22) < 0.95 then round((20 + 60000 * power(pg_temp.u(i, 23), 5))::numeric, 2) end,
       (case when w < 0.04 then 'draft' when w < 0.42 then 'active' when w < 0.67 then 'sold' when w < 0.97 then 'expired' else 'rejected' end)::ad_status,
       category,
       (array['Jaen', 'Sevilla', 'Badajoz', 'Toledo', 'Lleida', 'Burgos', 'Huesca', 'Lugo', 'Cuenca', 'Zamora', 'Teruel', 'Soria', 'Leon', 'Murcia', 'Cordoba', 'Segovia'])[1 + floor(16 * power(pg_temp.u(i, 24), 1.7))::int],
       pg_temp.u(i, 25) < 0.05, pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 26), 2))::bigint),
       t at time zone 'Europe/Madrid',
       case when w >= 0.42 and pg_temp.u(i, 27) < 0.15 then least(ends_at, t + interval '30 days' * pg_temp.u(i, 28)) at time zone 'Europe/Madrid' end
from (select i, s.n, s.ends_at, pg_temp.u(i, 29) w, pg_temp.instant(i, s.n / 5 + 1, 30, s.starts_at, s.ends_at) t,
             (array['tractors', 'livestock', 'land', 'machinery', 'feed', 'seeds', 'tools', 'vehicles', 'housing', 'services'])[1 + floor(10 * power(pg_temp.u(i, 34), 1.5))::int] category
      from pg_temp.sample s, generate_series(1, s.n / 5 + 1) i offset 0) r;

insert into images (id, ad_id, url, position)
select pg_temp.cuid('image', i), pg_temp.cuid('ad', 1 + (i - 1) / 3), 'https://img.example.org/' || md5(i::text) || '.webp', (i - 1) % 3
from pg_temp.sample s, generate_series(1, 3 * (s.n / 5 + 1)) i;

insert into messages (id, sender_id, recipient_id, ad_id, content, is_read, created_at)
select pg_temp.cuid('message', i), pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 41), 1.5))::bigint),
       pg_temp.cuid('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 42), 2))::bigint),
       pg_temp.cuid('ad', 1 + floor((n / 5 + 1) * pg_temp.u(i, 43))::bigint),
       repeat(md5(i::text) || ' ', 1 + floor(5 * power(pg_temp.u(i, 44), 2))::int),
       ends_at - t > interval '5 days' and pg_temp.u(i, 45) < 0.92, t at time zone 'Europe/Madrid'
from (select i, s.n, s.ends_at, pg_temp.instant(i, s.n, 46, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n) i offset 0) r;

insert into ad_daily_stats (ad_id, day, views, contacts)
select pg_temp.cuid('ad', i), day::date, 1 + floor(200 * power(pg_temp.u(i * 1000 + d, 51), 6))::int, floor(4 * power(pg_temp.u(i * 1000 + d, 52), 5))::int
from (select i, s.ends_at, pg_temp.instant(i, s.n / 5 + 1, 30, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 5 + 1) i offset 0) a,
     generate_series(0, 6) d,
     lateral (select t::date + d as day) x
where day < ends_at;

drop function pg_temp.instant(bigint, bigint, int, timestamp, timestamp);
drop function pg_temp.u(bigint, int);
drop function pg_temp.cuid(text, bigint);
drop table pg_temp.sample;
analyze users, categories, ads, images, messages, ad_daily_stats;

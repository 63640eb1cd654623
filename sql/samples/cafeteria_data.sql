-- Fills cafeteria: months of rows up to an instant, the same rows on every server version.
--
-- Settings, all optional (`set dbops.sample_rows = '500000'` before this file):
--   dbops.sample_months  how many months, the current one counted (default 6)
--   dbops.sample_rows    rows of `order_items`; the other tables follow (default 100000)
--   dbops.sample_end     date or timestamp before which all rows lie (default: now); civil time of America/Santiago
-- The period of sample_end is the last one with a partition; those to come are left to dbops.

create table pg_temp.sample as
select coalesce(nullif(current_setting('dbops.sample_months', true), ''), '6')::int as months,
       coalesce(nullif(current_setting('dbops.sample_rows', true), ''), '100000')::bigint as n,
       coalesce(nullif(current_setting('dbops.sample_end', true), '')::timestamp,
                date_trunc('minute', now() at time zone 'America/Santiago')) as ends_at,
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

-- A uuid (version 4 in form) from a row number.
create function pg_temp.id(kind text, i bigint) returns uuid
language sql immutable parallel safe
as $$ select overlay(overlay(md5(kind || i) placing '4' from 13) placing '8' from 17)::uuid $$;

do $$
declare
    zone constant text := 'America/Santiago';
    s record;
    t timestamp;
begin
    select * into s from pg_temp.sample;
    t := s.starts_at;
    while t <= s.ends_at loop
        execute format('create table if not exists %I partition of transactions for values from (%L) to (%L)',
                       'transactions' || to_char(t, '_YYYY_MM'), t at time zone zone, (t + interval '1 month') at time zone zone);
        t := t + interval '1 month';
    end loop;
    -- A week has the date of its Monday in its name.
    t := date_trunc('week', greatest(s.starts_at, s.ends_at - interval '14 weeks'));
    while t <= s.ends_at loop
        execute format('create table if not exists %I partition of notifications for values from (%L) to (%L)',
                       'notifications' || to_char(t, '_YYYY_MM_DD'), t at time zone zone, (t + interval '7 days') at time zone zone);
        t := t + interval '7 days';
    end loop;
end
$$;

insert into users (id, email, full_name, role, balance, created_at)
select pg_temp.id('user', i), 'user' || i || '@example.org', 'User ' || i,
       case when pg_temp.u(i, 11) < 0.002 then 'admin' when pg_temp.u(i, 11) < 0.02 then 'staff' else 'customer' end,
       round((60 * power(pg_temp.u(i, 12), 2))::numeric, 2), t at time zone 'America/Santiago'
from (select i, pg_temp.instant(i, s.n / 40 + 1, 13, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 40 + 1) i offset 0) r;

insert into categories (name)
select name from unnest(array['coffee', 'tea', 'juice', 'sandwich', 'salad', 'soup', 'main course', 'dessert']) with ordinality n(name, i)
order by i;

insert into products (category_id, name, price, is_available)
select 1 + i % 8, 'Product ' || i, round((1.5 + 9 * power(pg_temp.u(i, 21), 2))::numeric, 2), pg_temp.u(i, 22) < 0.9
from generate_series(1, 240) i order by i;

insert into orders (id, user_id, status, total_amount, created_at)
select pg_temp.id('order', i), pg_temp.id('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 31), 2))::bigint),
       case when ends_at - t < interval '30 minutes' and pg_temp.u(i, 32) < 0.6 then 'preparing'
            when pg_temp.u(i, 32) < 0.93 then 'delivered' when pg_temp.u(i, 32) < 0.98 then 'cancelled' else 'pending' end,
       round((2 + 25 * power(pg_temp.u(i, 33), 2))::numeric, 2), t at time zone 'America/Santiago'
from (select i, s.n, s.ends_at, pg_temp.instant(i, s.n / 3 + 1, 34, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 3 + 1) i offset 0) r;

insert into order_items (order_id, product_id, quantity, unit_price)
select pg_temp.id('order', 1 + (i - 1) / 3), 1 + floor(240 * power(pg_temp.u(i, 41), 2))::int,
       1 + floor(3 * power(pg_temp.u(i, 42), 4))::int, round((1.5 + 9 * power(pg_temp.u(i, 43), 2))::numeric, 2)
from pg_temp.sample s, generate_series(1, s.n) i;

insert into transactions (user_id, order_id, kind, amount, created_at)
select pg_temp.id('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 51), 2))::bigint),
       case when pg_temp.u(i, 52) < 0.75 then pg_temp.id('order', 1 + (i - 1) * (n / 3) / (n / 2 + 1)) end,
       case when pg_temp.u(i, 52) < 0.75 then 'purchase' when pg_temp.u(i, 52) < 0.97 then 'top_up' else 'refund' end,
       round((2 + 40 * power(pg_temp.u(i, 53), 2))::numeric, 2), t at time zone 'America/Santiago'
from (select i, s.n, pg_temp.instant(i, s.n / 2 + 1, 54, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 2 + 1) i offset 0) r;

-- The last fourteen weeks only: older notifications are gone by then.
insert into notifications (id, user_id, title, body, is_read, created_at)
select pg_temp.id('notification', i), pg_temp.id('user', 1 + floor((n / 40 + 1) * power(pg_temp.u(i, 61), 2))::bigint),
       (array['Order ready', 'Order received', 'Low balance', 'Menu of the day'])[1 + floor(4 * power(pg_temp.u(i, 62), 2))::int],
       'Notice ' || md5(i::text), ends_at - t > interval '2 days' and pg_temp.u(i, 63) < 0.9, t at time zone 'America/Santiago'
from (select i, s.n, s.ends_at,
             pg_temp.instant(i, s.n / 2 + 1, 64, date_trunc('week', greatest(s.starts_at, s.ends_at - interval '14 weeks')), s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 2 + 1) i offset 0) r;

drop function pg_temp.instant(bigint, bigint, int, timestamp, timestamp);
drop function pg_temp.u(bigint, int);
drop function pg_temp.id(text, bigint);
drop table pg_temp.sample;
analyze users, categories, products, orders, order_items, transactions, notifications;

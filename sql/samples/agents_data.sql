-- Fills agents: months of rows up to an instant, the same rows on every server version.
--
-- Settings, all optional (`set dbops.sample_rows = '500000'` before this file):
--   dbops.sample_months  how many months, the current one counted (default 6)
--   dbops.sample_rows    rows of `messages`; the other tables follow (default 100000)
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

-- A uuid (version 4 in form) from a row number.
create function pg_temp.id(kind text, i bigint) returns uuid
language sql immutable parallel safe
as $$ select overlay(overlay(md5(kind || i) placing '4' from 13) placing '8' from 17)::uuid $$;

do $$
declare
    s record;
    parent text;
    t timestamp;
begin
    select * into s from pg_temp.sample;
    foreach parent in array array['messages', 'transactions'] loop
        t := s.starts_at;
        while t <= s.ends_at loop
            execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
                           parent || to_char(t, '_YYYY_MM'), parent, t, t + interval '1 month');
            t := t + interval '1 month';
        end loop;
    end loop;
    -- Bounds of a timestamptz key are written with their offset: the session's time zone takes no part.
    t := greatest(s.starts_at, date_trunc('day', s.ends_at) - interval '44 days');
    while t <= s.ends_at loop
        execute format('create table if not exists %I partition of logs for values from (%L) to (%L)',
                       'logs' || to_char(t, '_YYYY_MM_DD'), t || '+00', t + interval '1 day' || '+00');
        t := t + interval '1 day';
    end loop;
end
$$;

insert into users (id, email, name, role, is_active, created_at, updated_at)
select pg_temp.id('user', i), 'user' || i || '@example.org', 'User ' || i,
       case when pg_temp.u(i, 11) < 0.01 then 'admin' when pg_temp.u(i, 11) < 0.05 then 'clinician' else 'member' end,
       pg_temp.u(i, 12) < 0.9, t, t + (ends_at - t) * pg_temp.u(i, 13)
from (select i, s.ends_at, pg_temp.instant(i, s.n / 50 + 1, 14, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 50 + 1) i offset 0) r;

insert into agents (id, name, model, prompt, created_at)
select pg_temp.id('agent', i),
       (array['nurse', 'coach', 'broker', 'tutor', 'planner', 'auditor'])[1 + i % 6] || '-' || i,
       (array['small', 'medium', 'large'])[1 + floor(3 * power(pg_temp.u(i, 21), 2))::int],
       repeat('You help with ' || md5(i::text) || '. ', 10), starts_at
from pg_temp.sample, generate_series(1, 60) i;

insert into chat_sessions (id, user_id, started_at)
select pg_temp.id('session', i), pg_temp.id('user', 1 + floor((n / 50 + 1) * power(pg_temp.u(i, 31), 1.8))::bigint), t
from (select i, s.n, pg_temp.instant(i, s.n / 25 + 1, 32, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 25 + 1) i offset 0) r;

insert into conversations (id, chat_session_id, agent_id, title, created_at, updated_at)
select pg_temp.id('conversation', i), pg_temp.id('session', 1 + floor((n / 25 + 1) * pg_temp.u(i, 41))::bigint),
       pg_temp.id('agent', 1 + floor(60 * power(pg_temp.u(i, 42), 2))::bigint),
       'Conversation ' || i, t, least(ends_at, t + interval '3 days' * power(pg_temp.u(i, 43), 4))
from (select i, s.n, s.ends_at, pg_temp.instant(i, s.n / 12 + 1, 44, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 12 + 1) i offset 0) r;

-- A conversation's messages lie close together: the message's number decides both.
insert into messages (id, conversation_id, role, content, timestamp)
select pg_temp.id('message', i), pg_temp.id('conversation', least(n / 12 + 1, 1 + floor(i / 12.0 + 3 * pg_temp.u(i, 51))::bigint)),
       (array['user', 'assistant', 'user', 'assistant', 'tool'])[1 + i % 5],
       repeat(md5(i::text) || ' ', 1 + floor(12 * power(pg_temp.u(i, 52), 3))::int), t
from (select i, s.n, pg_temp.instant(i, s.n, 53, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n) i offset 0) r;

insert into accounts (id, user_id, currency, opened_at)
select pg_temp.id('account', i), pg_temp.id('user', 1 + floor((n / 50 + 1) * pg_temp.u(i, 61))::bigint),
       (array['USD', 'EUR', 'CLP'])[1 + floor(3 * power(pg_temp.u(i, 62), 3))::int], starts_at
from pg_temp.sample s, generate_series(1, s.n / 60 + 1) i;

insert into transactions (id, account_id, amount, date, category)
select pg_temp.id('transaction', i), pg_temp.id('account', 1 + floor((n / 60 + 1) * power(pg_temp.u(i, 71), 2))::bigint),
       round((2 + 900 * power(pg_temp.u(i, 72), 5))::numeric, 2) * case when pg_temp.u(i, 73) < 0.08 then 1 else -1 end,
       t,
       case when pg_temp.u(i, 74) < 0.88
            then (array['groceries', 'rent', 'transport', 'health', 'leisure', 'savings', 'fees'])[1 + floor(7 * power(pg_temp.u(i, 75), 2))::int] end
from (select i, s.n, pg_temp.instant(i, s.n / 2 + 1, 76, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 2 + 1) i offset 0) r;

insert into health_records (user_id, kind, value, measured_at)
select pg_temp.id('user', 1 + floor((n / 50 + 1) * power(pg_temp.u(i, 81), 2))::bigint),
       (array['heart_rate', 'weight', 'glucose', 'sleep_hours'])[1 + i % 4], round((40 + 90 * pg_temp.u(i, 82))::numeric, 1), t
from (select i, s.n, pg_temp.instant(i, s.n / 5 + 1, 83, s.starts_at, s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n / 5 + 1) i offset 0) r;

-- The last 45 days only: logs are kept for days, not months.
insert into logs (level, source, message, context, created_at)
select (array['info', 'debug', 'warn', 'error'])[1 + floor(4 * power(pg_temp.u(i, 91), 4))::int],
       (array['api', 'worker', 'scheduler', 'gateway'])[1 + floor(4 * power(pg_temp.u(i, 92), 2))::int],
       'request ' || md5(i::text) || ' served',
       jsonb_build_object('ms', floor(5 + 900 * power(pg_temp.u(i, 93), 8)), 'region', (array['iad', 'fra', 'gru'])[1 + i % 3]),
       t at time zone 'UTC'
from (select i, pg_temp.instant(i, s.n, 94, greatest(s.starts_at, date_trunc('day', s.ends_at) - interval '44 days'), s.ends_at) t
      from pg_temp.sample s, generate_series(1, s.n) i offset 0) r;

drop function pg_temp.instant(bigint, bigint, int, timestamp, timestamp);
drop function pg_temp.u(bigint, int);
drop function pg_temp.id(text, bigint);
drop table pg_temp.sample;
analyze users, agents, chat_sessions, conversations, messages, accounts, transactions, health_records, logs;

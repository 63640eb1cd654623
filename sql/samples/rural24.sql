-- rural24: classified ads (Prisma with @@map: lower-case table names).
-- Primary and unique keys only; the other indexes come from plans/rural24/indexes.yaml.
-- Runs as one batch in an empty database on PostgreSQL 13 to 18; rural24_data.sql fills it.

create type ad_status as enum ('draft', 'active', 'sold', 'expired', 'rejected');

create table users (
    id             text           not null,
    email          text           not null,
    name           text,
    role           text           not null default 'user',
    created_at     timestamptz(3) not null default current_timestamp,
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email)
);

create table categories (
    id             serial         not null,
    name           text           not null,
    slug           text           not null,
    is_active      boolean        not null default true,
    display_order  integer        not null default 0,
    constraint categories_pkey primary key (id),
    constraint categories_slug_key unique (slug)
);

create table ads (
    id             text           not null,
    title          text           not null,
    description    text,
    price          numeric(12, 2),
    status         ad_status      not null default 'draft',
    category       text           not null,
    province       text           not null,
    is_featured    boolean        not null default false,
    user_id        text           not null,
    created_at     timestamptz(3) not null default current_timestamp,
    deleted_at     timestamptz(3),
    constraint ads_pkey primary key (id),
    constraint ads_category_fkey foreign key (category) references categories (slug)
        on delete restrict on update cascade,
    constraint ads_user_id_fkey foreign key (user_id) references users (id)
        on delete cascade on update cascade
);

create table images (
    id             text           not null,
    ad_id          text           not null,
    url            text           not null,
    position       integer        not null default 0,
    constraint images_pkey primary key (id),
    constraint images_ad_id_fkey foreign key (ad_id) references ads (id)
        on delete cascade on update cascade
);

-- By quarter of the Spanish calendar. No foreign keys, so that neither attaching nor removing a
-- quarter locks `users` or `ads`.
create table messages (
    id             text           not null,
    sender_id      text           not null,
    recipient_id   text           not null,
    ad_id          text           not null,
    content        text           not null,
    is_read        boolean        not null default false,
    created_at     timestamptz(3) not null default current_timestamp,
    constraint messages_pkey primary key (id, created_at)
) partition by range (created_at);

-- Views and contacts of an ad per day, by year on a `date` key.
create table ad_daily_stats (
    ad_id          text           not null,
    day            date           not null,
    views          integer        not null default 0,
    contacts       integer        not null default 0,
    constraint ad_daily_stats_pkey primary key (ad_id, day)
) partition by range (day);

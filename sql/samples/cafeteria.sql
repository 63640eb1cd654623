-- cafeteria: orders, menu and balances (TypeORM / NestJS; constraint names as TypeORM makes them).
-- Primary and unique keys only; the other indexes come from plans/cafeteria/indexes.yaml.
-- Runs as one batch in an empty database on PostgreSQL 13 to 18; cafeteria_data.sql fills it.

create table users (
    id            uuid           not null default gen_random_uuid(),
    email         varchar        not null,
    full_name     varchar        not null,
    role          varchar(20)    not null default 'customer',
    balance       numeric(12, 2) not null default 0,
    created_at    timestamptz    not null default now(),
    constraint "PK_a3ffb1c0c8416b9fc6f907b7433" primary key (id),
    constraint "UQ_97672ac88f789774dd47f7c8be3" unique (email)
);

create table categories (
    id            serial         not null,
    name          varchar        not null,
    constraint "PK_24dbc6126a28ff948da33e97d3b" primary key (id),
    constraint "UQ_8b0be371d28245da6e4f4b61878" unique (name)
);

create table products (
    id            serial         not null,
    category_id   integer        not null,
    name          varchar        not null,
    price         numeric(10, 2) not null,
    is_available  boolean        not null default true,
    constraint "PK_0806c755e0aca124e67c0cf6d7d" primary key (id),
    constraint "FK_9a5f6868c96e0069e699f33e124" foreign key (category_id) references categories (id) on delete restrict
);

create table orders (
    id            uuid           not null default gen_random_uuid(),
    user_id       uuid           not null,
    status        varchar(20)    not null default 'pending',
    total_amount  numeric(10, 2) not null,
    created_at    timestamptz    not null default now(),
    constraint "PK_710e2d4957aa5878dfe94e4ac2f" primary key (id),
    constraint "FK_a922b820eeef29ac1c6800e826a" foreign key (user_id) references users (id) on delete cascade
);

create table order_items (
    id            bigserial      not null,
    order_id      uuid           not null,
    product_id    integer        not null,
    quantity      integer        not null default 1,
    unit_price    numeric(10, 2) not null,
    constraint "PK_005269d8574e6fac0493715c308" primary key (id),
    constraint "FK_145532db85752b29c57d2b7b1f1" foreign key (order_id) references orders (id) on delete cascade,
    constraint "FK_9263386c35b6b242540f9493b00" foreign key (product_id) references products (id) on delete restrict
);

-- Movements of a user's balance, by month of the cafeteria's own calendar (America/Santiago).
-- No foreign key to users: attaching a month would lock `users`, which every request writes to.
create table transactions (
    id            bigserial      not null,
    user_id       uuid           not null,
    order_id      uuid,
    kind          varchar(20)    not null,
    amount        numeric(12, 2) not null,
    created_at    timestamptz    not null default now(),
    constraint "PK_6abe061bc654f276211aa27a793" primary key (id, created_at)
) partition by range (created_at);

-- By week, kept for weeks. It has a DEFAULT partition, which should stay empty: a row in it
-- blocks the creation of the partition it belongs to.
create table notifications (
    id            uuid           not null default gen_random_uuid(),
    user_id       uuid           not null,
    title         varchar        not null,
    body          text           not null,
    is_read       boolean        not null default false,
    created_at    timestamptz    not null default now(),
    constraint "PK_55693fe75c354cc71fadffcb049" primary key (id, created_at)
) partition by range (created_at);

create table notifications_default partition of notifications default;

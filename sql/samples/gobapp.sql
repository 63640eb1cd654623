-- gobapp: civic application (Prisma), quoted CamelCase identifiers, one partitioned table `events`.
-- Primary and unique keys only; the other indexes come from plans/gobapp/indexes.yaml.
-- Runs as one batch in an empty database on PostgreSQL 13 to 18; gobapp_data.sql fills it.

create type "DnaTestStatus" as enum ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'EXPIRED');
create type "Verdict" as enum ('TRUE', 'MOSTLY_TRUE', 'MIXED', 'MOSTLY_FALSE', 'FALSE');

create table "Tribe" (
    id            text         not null,
    slug          text         not null,
    name          text         not null,
    "createdAt"   timestamp(3) not null default current_timestamp,
    constraint "Tribe_pkey" primary key (id),
    constraint "Tribe_slug_key" unique (slug)
);

create table "User" (
    id            text         not null,
    "clerkId"     text         not null,
    email         text         not null,
    "displayName" text,
    "tribeId"     text,
    "createdAt"   timestamp(3) not null default current_timestamp,
    "updatedAt"   timestamp(3) not null,
    constraint "User_pkey" primary key (id),
    constraint "User_email_key" unique (email),
    constraint "User_tribeId_fkey" foreign key ("tribeId") references "Tribe" (id)
        on delete set null on update cascade
);

create table "DnaTest" (
    id            text            not null,
    "userId"      text            not null,
    status        "DnaTestStatus" not null default 'PENDING',
    answers       jsonb           not null default '{}',
    "createdAt"   timestamp(3)    not null default current_timestamp,
    "completedAt" timestamp(3),
    constraint "DnaTest_pkey" primary key (id),
    constraint "DnaTest_userId_fkey" foreign key ("userId") references "User" (id)
        on delete cascade on update cascade
);

create table "Candidate" (
    id            text         not null,
    name          text         not null,
    party         text         not null,
    region        text         not null,
    active        boolean      not null default true,
    "createdAt"   timestamp(3) not null default current_timestamp,
    constraint "Candidate_pkey" primary key (id)
);

create table "Match" (
    id             text             not null,
    "userId"       text             not null,
    "candidateId"  text             not null,
    "overallScore" double precision not null,
    "createdAt"    timestamp(3)     not null default current_timestamp,
    constraint "Match_pkey" primary key (id),
    constraint "Match_userId_fkey" foreign key ("userId") references "User" (id)
        on delete cascade on update cascade,
    constraint "Match_candidateId_fkey" foreign key ("candidateId") references "Candidate" (id)
        on delete restrict on update cascade
);

create table "FactCheck" (
    id            text         not null,
    "candidateId" text         not null,
    claim         text         not null,
    verdict       "Verdict",
    "sourceUrl"   text,
    "publishedAt" timestamp(3),
    "createdAt"   timestamp(3) not null default current_timestamp,
    constraint "FactCheck_pkey" primary key (id),
    constraint "FactCheck_candidateId_fkey" foreign key ("candidateId") references "Candidate" (id)
        on delete restrict on update cascade
);

create table "Post" (
    id            text         not null,
    "tribeId"     text         not null,
    "authorId"    text         not null,
    content       text         not null,
    flagged       boolean      not null default false,
    "createdAt"   timestamp(3) not null default current_timestamp,
    "updatedAt"   timestamp(3) not null,
    constraint "Post_pkey" primary key (id),
    constraint "Post_tribeId_fkey" foreign key ("tribeId") references "Tribe" (id)
        on delete cascade on update cascade,
    constraint "Post_authorId_fkey" foreign key ("authorId") references "User" (id)
        on delete cascade on update cascade
);

-- What people did, as the product team counts it.
create table "Event" (
    id            text         not null,
    name          text         not null,
    "userId"      text,
    properties    jsonb        not null default '{}',
    "createdAt"   timestamp(3) not null default current_timestamp,
    constraint "Event_pkey" primary key (id),
    constraint "Event_userId_fkey" foreign key ("userId") references "User" (id)
        on delete set null on update cascade
);

-- What the API did: the raw, append-only stream, written by raw SQL and by month.
-- No foreign key: attaching a partition would then lock the referenced table too.
create table events (
    id            bigserial    not null,
    name          text         not null,
    "userId"      text,
    payload       jsonb        not null default '{}',
    "createdAt"   timestamp(3) not null default current_timestamp,
    constraint events_pkey primary key (id, "createdAt")
) partition by range ("createdAt");

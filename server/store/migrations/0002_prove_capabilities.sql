-- Capabilities that are proven or attested for a time, the values planted to prove them, and the room's policy.

-- The capabilities that a member declares, and what else is known about them. Each fact has its own times, and the
-- state is computed from them. A withdrawn capability stays only if it failed or another member attested it.
drop index capability_name;
alter table capability rename to capability_before;
create table capability (
    member bigint not null references member (id),
    capability text not null,
    since double precision not null,
    withdrawn_at double precision,
    proven_at double precision,
    proven_until double precision,
    proven_by bigint references member (id),
    attested_at double precision,
    attested_until double precision,
    attested_by bigint references member (id),
    failed_at double precision,
    primary key (member, capability)
);
insert into capability (member, capability, since)
select member, capability, since from capability_before;
drop table capability_before;
create index capability_name on capability (capability, member);

-- The value planted where a capability can be reached. It is never shown again.
create table plant (
    capability text primary key,
    value text not null,
    reads text not null,
    hint text not null,
    planted_by bigint not null references member (id),
    planted_at double precision not null
);

-- Open probes. Each nonce is for one member, one capability and one answer.
create table probe (
    member bigint not null references member (id),
    capability text not null,
    nonce text not null,
    opened_at double precision not null,
    primary key (member, capability)
);

-- The policy, as one JSON object. The settings decide everything that it does not name. If the row is missing, or the
-- document cannot be read, the room denies.
create table policy (
    id integer primary key check (id = 1),
    document text not null
);
insert into policy (id, document) values (1, '{}');

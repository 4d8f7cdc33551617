-- Capabilities that are proven or attested for a while, what was planted to prove them, and the room's policy.

-- What a member says it reaches, and what else is known of that. Each fact has its own times; the state that
-- is shown is computed from them. What was withdrawn stays only as long as somebody else's word hangs on it.
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

-- The value that stands where a capability stands. Nobody is ever shown it again.
create table plant (
    capability text primary key,
    value text not null,
    reads text not null,
    hint text not null,
    planted_by bigint not null references member (id),
    planted_at double precision not null
);

-- What a member is asked at the moment: each nonce is for one member, one capability and one answer.
create table probe (
    member bigint not null references member (id),
    capability text not null,
    nonce text not null,
    opened_at double precision not null,
    primary key (member, capability)
);

-- The named subset of the settings that stands in the room, as one JSON object; what it does not name, the
-- settings decide. A row that is missing, or a document that cannot be read, denies.
create table policy (
    id integer primary key check (id = 1),
    document text not null
);
insert into policy (id, document) values (1, '{}');

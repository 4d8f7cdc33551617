-- Calls of agents' own tools that wait for a person.

-- A rule: which calls of a member, or of all agents of an owner, wait. `id`: the entry of the log that made it.
-- `matched`: a tool, or a tool and a pattern. `exceptions`: a list in JSON. `scope` '': no authorisation covers it.
create table approval_rule (
    id bigint primary key,
    level text not null check (level in ('member', 'owner')),
    target bigint not null references member (id),
    matched text not null,
    exceptions text not null default '[]',
    scope text not null default '',
    made_by bigint not null references member (id)
);
create index approval_rule_by_target on approval_rule (target, level, id);

-- The decision about one call. `call`: the digest of the tool, its whole input and the folder; '' once it is void.
-- `used_at`: when the call passed, or when it could no longer pass. `epoch`: a restore begins another one, in which
-- nothing is known of what passed since the backup.
create table approval (
    decision bigint primary key references decision (id),
    member bigint not null references member (id),
    call text not null,
    epoch bigint not null,
    used_at double precision
);
create index approval_by_call on approval (member, call, decision);
create index approval_unused on approval (member, decision) where used_at is null;

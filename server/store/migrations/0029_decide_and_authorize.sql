-- Decisions that members ask people for. What a decision says never changes; `digest` covers all of it. `options` and
-- `artifacts` are JSON. `choice`: the number of the option that was chosen, from 1. `settled_seq`: the entry of the log
-- that settled it.
create table decision (
    id integer primary key,
    asker bigint not null references member (id),
    task bigint references task (id),
    question text not null,
    detail text not null,
    options text not null,
    artifacts text not null,
    digest text not null,
    state text not null check (state in ('open', 'decided', 'expired', 'withdrawn', 'replaced')),
    created_at double precision not null,
    expires_at double precision not null,
    choice bigint not null default 0,
    note text not null default '',
    decided_by bigint references member (id),
    settled_at double precision,
    settled_seq bigint,
    replaces bigint references decision (id),
    replaced_by bigint references decision (id)
);
create index decision_open on decision (asker) where state = 'open';
create index decision_settled on decision (asker, settled_seq) where state <> 'open';
create index decision_task on decision (task) where task is not null;

-- The people who were asked.
create table asked (
    decision bigint not null references decision (id),
    member bigint not null references member (id),
    primary key (decision, member)
);
create index asked_member on asked (member, decision);

-- Blocked tasks by what they wait for.
create index task_blocked_on on task (blocked_on) where state = 'blocked';

-- Earlier releases accepted any text there, which nothing settles: the room looks at those blocks, and ends them in time.
insert into due (rule, subject, member, at, since, span)
select 'block', task.id, 1, 0, 0, 0 from task where task.state = 'blocked'
on conflict (rule, subject, member) do nothing;

-- What a person lets a member, or all agents of an owner, do: `verb:thing`. `uses`: how often, 0 without a limit.
create table authorisation (
    id integer primary key,
    level text not null check (level in ('member', 'owner')),
    target bigint not null references member (id),
    scope text not null,
    uses bigint not null default 0,
    used bigint not null default 0,
    made_by bigint not null references member (id),
    created_at double precision not null,
    expires_at double precision not null,
    reason text not null default '',
    revoked_at double precision,
    revoked_by bigint references member (id),
    changed_seq bigint not null
);
create index authorisation_for on authorisation (target, scope) where revoked_at is null;
create index authorisation_changed on authorisation (changed_seq);

-- `requires`: the scopes that a task requires, as JSON, '' for none. `authorised`: the entries that its newest claim used.
alter table task add column requires text not null default '';
alter table task add column authorised text not null default '';

-- The room as it first opens. Times are seconds since 1970-01-01 UTC. Log numbers, and the ids of members, tasks,
-- messages and offers, come from the head row. `integer primary key` is SQLite's own row id, which saves an index. In
-- PostgreSQL, whose integers have 32 bits, it is `bigint primary key`.

-- The head: the one row that every write transaction locks first.
create table head (
    id integer primary key check (id = 1),
    created_at double precision not null,
    epoch bigint not null,
    seq bigint not null,
    hash text not null,
    members bigint not null,
    messages bigint not null,
    tasks bigint not null,
    offers bigint not null
);

-- Who is in the room. The owner of a human is that human.
create table member (
    id integer primary key,
    name text not null unique,
    folded text not null unique,
    kind text not null check (kind in ('agent', 'human', 'room')),
    role text not null check (role in ('member', 'owner', 'operator', 'watchdog', 'observer')),
    owner bigint not null references member (id),
    mode text not null,
    created_at double precision not null,
    acknowledged bigint not null
);

-- What is known about a member's presence. It is written at most once every few seconds.
create table presence (
    member integer primary key references member (id),
    last_call_at double precision,
    last_progress_at double precision,
    last_note text,
    busy_until double precision
);

create table token (
    id text primary key,
    member bigint not null references member (id),
    hash text not null unique,
    label text not null,
    created_at double precision not null,
    expires_at double precision,
    revoked_at double precision
);
create index token_member on token (member);

-- The standing in force of a member, of an owner's agents, or of the whole room (target 0).
create table standing (
    scope text not null check (scope in ('member', 'owner', 'room')),
    target bigint not null,
    state text not null check (state in ('active', 'paused', 'killed')),
    since double precision not null,
    until double precision,
    by_member bigint not null references member (id),
    by_role text not null,
    reason text not null,
    primary key (scope, target)
);

-- Every pause so far. A lease is stopped while one of them covers its holder.
create table pause (
    scope text not null,
    target bigint not null,
    since double precision not null,
    until double precision,
    primary key (scope, target, since)
);

-- The log. The content (summary, detail) is hashed with a salt, and both are deleted when it is redacted.
create table log (
    seq integer primary key,
    epoch bigint not null,
    at double precision not null,
    actor bigint not null references member (id),
    owner bigint not null references member (id),
    act text not null,
    subject text not null,
    outcome text not null,
    summary text,
    detail text,
    salt text,
    digest text not null,
    hash text not null
);
create index log_subject on log (subject, seq);
create index log_actor on log (actor, seq);
create index log_refused on log (actor, at) where outcome = 'refused';

create table wake (
    member bigint not null references member (id),
    seq bigint not null,
    reason text not null,
    subject text not null,
    sender bigint not null references member (id),
    line text not null,
    primary key (member, seq, reason, subject)
);

create table message (
    id integer primary key,
    seq bigint not null unique,
    author bigint not null references member (id),
    at double precision not null,
    kind text not null,
    summary text not null,
    text text not null,
    reply_to bigint,
    thread bigint not null,
    task bigint
);
create index message_thread on message (thread, id);
create index message_task on message (task, id) where task is not null;

create table addressee (
    message bigint not null references message (id),
    member bigint not null references member (id),
    primary key (message, member)
);

create table task (
    id integer primary key,
    title text not null,
    detail text not null,
    priority integer not null,
    due double precision,
    creator bigint not null references member (id),
    created_at double precision not null,
    changed_seq bigint not null,
    state text not null check (state in ('open', 'claimed', 'blocked', 'offered', 'in_review', 'done', 'cancelled')),
    assigned bigint references member (id),
    holder bigint references member (id),
    fence bigint not null,
    claimed_at double precision,
    touched_at double precision,
    lease_from double precision,
    lease_seconds double precision not null,
    blocked_on text not null,
    snooze_until double precision,
    review text not null,
    reviewer bigint references member (id),
    completed_by bigint references member (id),
    completed_at double precision,
    summary text not null,
    evidence text not null,
    hops integer not null
);
create index task_state on task (state, priority, id);
create index task_holder on task (holder, state);

create table need (
    task bigint not null references task (id),
    need text not null,
    primary key (task, need)
);

create table dependency (
    task bigint not null references task (id),
    needs_task bigint not null references task (id),
    primary key (task, needs_task)
);
create index dependency_needs on dependency (needs_task);

-- What happened to a task, for its page: notes, evidence, late evidence, verdicts.
create table task_entry (
    task bigint not null references task (id),
    seq bigint not null,
    member bigint not null references member (id),
    at double precision not null,
    kind text not null,
    text text not null,
    detail text not null,
    primary key (task, seq, kind)
);

-- Reviews of completions. Each member's share of upheld completions is computed from them.
create table verdict (
    task bigint not null references task (id),
    seq bigint not null,
    completer bigint not null references member (id),
    reviewer bigint not null references member (id),
    upheld integer not null check (upheld in (0, 1)),
    primary key (task, seq)
);
create index verdict_completer on verdict (completer, upheld);

create table offer (
    id integer primary key,
    task bigint not null references task (id),
    giver bigint not null references member (id),
    receiver bigint not null references member (id),
    note text not null,
    needs text not null,
    artifacts text not null,
    fence bigint not null,
    state text not null check (state in ('offered', 'accepted', 'declined', 'expired', 'withdrawn', 'voided')),
    created_at double precision not null,
    expires_at double precision not null,
    answered_at double precision,
    reason text not null
);
create index offer_task on offer (task, state);
create index offer_receiver on offer (receiver, state);
create index offer_giver on offer (giver, state);

create table capability (
    member bigint not null references member (id),
    capability text not null,
    state text not null check (state in ('declared', 'proven', 'attested', 'failed')),
    since double precision not null,
    until double precision,
    primary key (member, capability)
);
create index capability_name on capability (capability, member);

-- Calls of a member with their replies, so that a repeated call gets the first reply.
create table request (
    member bigint not null references member (id),
    key text not null,
    act text not null,
    arguments text not null,
    reply text not null,
    at double precision not null,
    until double precision not null,
    primary key (member, key)
);
create index request_until on request (until);

-- Equal refusals are counted here, until one log entry records the count.
create table refusal (
    member bigint not null references member (id),
    act text not null,
    code text not null,
    subject text not null,
    first_at double precision not null,
    seq bigint not null,
    repeats bigint not null,
    primary key (member, act, code, subject)
);

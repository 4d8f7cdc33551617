-- The supervisor: its timers, the reminders that it decided, and the members that it suspects.

-- Timers: `rule` is the duty, `subject` and `member` what it is about. A tick reads only the rows that are due, so its
-- cost does not depend on how many there are. `span` is the first delay, `slot` the last slot that was decided, and
-- `counted` the number of reminders that count toward the cap.
create table due (
    rule text not null check (rule in ('presence', 'lease', 'task', 'ask', 'offer', 'review', 'proof')),
    subject bigint not null,
    member bigint not null references member (id),
    at double precision not null,
    since double precision not null,
    span double precision not null,
    slot bigint not null default 0,
    counted bigint not null default 0,
    escalated integer not null default 0,
    failures integer not null default 0,
    primary key (rule, subject, member)
);
create index due_at on due (at);
create index due_member on due (member, rule);

-- The decision about each slot of a reminder, with its reason. Each slot is decided once.
create table reminder (
    rule text not null,
    subject bigint not null,
    member bigint not null references member (id),
    since double precision not null,
    slot bigint not null,
    at double precision not null,
    outcome text not null check (outcome in ('sent', 'held', 'silent')),
    reason text not null,
    missed bigint not null,
    primary key (rule, subject, member, since, slot)
);
create index reminder_member on reminder (member, at);
create index reminder_sent on reminder (at) where outcome = 'sent';

-- A member that is silent or does not answer: the challenge that it was sent, and the expected answer.
create table trouble (
    member integer primary key references member (id),
    verdict text not null check (verdict in ('suspect', 'zombie', 'gone')),
    since double precision not null,
    reason text not null,
    misses integer not null,
    question text,
    nonce text,
    expected text,
    asked_at double precision,
    repair bigint
);

-- Since when a member has called without a gap, when it last listened, and when it last cleared a suspicion itself.
alter table presence add column connected_since double precision;
alter table presence add column connected_at double precision;
alter table presence add column evidence_at double precision;
update presence set connected_since = last_call_at;

-- Which server supervises the room. Each lease has a fence, and only acts with the newest fence count.
create table supervisor (
    id integer primary key check (id = 1),
    holder text not null,
    fence bigint not null,
    until double precision not null
);
insert into supervisor (id, holder, fence, until) values (1, '', 0, 0);

-- Timers for what an existing room already contains. The supervisor checks each when the room runs, and postpones it.
insert into due (rule, subject, member, at, since, span)
select 'presence', member.id, member.id, 0, presence.last_call_at, 0
from member
join presence on presence.member = member.id
where member.kind = 'agent' and presence.last_call_at is not null;

insert into due (rule, subject, member, at, since, span)
select 'task', task.id, task.holder, 0, coalesce(task.touched_at, task.claimed_at, task.created_at), 0
from task
where task.holder is not null and task.state in ('claimed', 'blocked', 'offered');

insert into due (rule, subject, member, at, since, span)
select 'lease', task.id, task.holder, 0, coalesce(task.claimed_at, task.created_at), 0
from task
where task.holder is not null and task.state in ('claimed', 'blocked', 'offered');

insert into due (rule, subject, member, at, since, span)
select 'task', task.id, task.assigned, 0, task.created_at, 0
from task
where task.assigned is not null and task.state = 'open';

insert into due (rule, subject, member, at, since, span)
select 'offer', offer.id, offer.receiver, 0, offer.created_at, 0
from offer
where offer.state = 'offered';

insert into due (rule, subject, member, at, since, span)
select 'review', task.id, task.reviewer, 0, task.completed_at, 0
from task
where task.reviewer is not null and task.state = 'in_review';

insert into due (rule, subject, member, at, since, span)
select 'proof', capability.member, capability.member, 0, min(capability.proven_at), 0
from capability
where capability.proven_until is not null and capability.withdrawn_at is null
group by capability.member;

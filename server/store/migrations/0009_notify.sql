-- Notices to people outside the room, and the letters that carry them. They contain no address and no text: a letter is
-- written from the log and the wakes when it is sent.

-- Letters and digests have timers too. The list of rules is part of the table.
alter table due rename to due_before;
create table due (
    rule text not null check (
        rule in ('presence', 'lease', 'task', 'ask', 'offer', 'review', 'proof', 'notice', 'digest')
    ),
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
insert into due (rule, subject, member, at, since, span, slot, counted, escalated, failures)
select rule, subject, member, at, since, span, slot, counted, escalated, failures
from due_before;
drop table due_before;
create index due_at on due (at);
create index due_member on due (member, rule);

-- A notice to a person: its log entry, and the reason of the wake that came with it, or else the act. `letter` is 0
-- until a letter is written. A notice is deleted once no delivery of its letter is pending.
create table notice (
    member bigint not null references member (id),
    seq bigint not null,
    reason text not null,
    subject text not null,
    kind text not null check (kind in ('needs you', 'stuck', 'stopped', 'review waiting')),
    letter bigint not null default 0,
    primary key (member, seq, reason, subject)
);
create index notice_letter on notice (member, letter, seq);

-- A letter on one channel of a person: the number of the channel in the settings, never its address. `upto` is the end
-- of the log when it was written, or the entry of a test letter. `said` is 1 if its failure is in the log.
create table delivery (
    letter bigint not null,
    channel integer not null,
    member bigint not null references member (id),
    kind text not null check (kind in ('notices', 'digest', 'test')),
    at double precision not null,
    upto bigint not null,
    state text not null check (state in ('pending', 'delivered', 'failed', 'left out')),
    reason text not null default '',
    tries integer not null default 0,
    next_at double precision not null,
    ended_at double precision,
    said integer not null default 0,
    primary key (letter, channel)
);
create index delivery_pending on delivery (next_at) where state = 'pending';
create index delivery_member on delivery (member, channel, letter);

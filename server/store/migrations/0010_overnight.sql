-- What answers for a whole night at a glance, however much happened in it.

-- Where a member's newest look ended, and where it began: looks that follow each other closely are one.
create table look (
    member integer primary key references member (id),
    at double precision not null,
    upto bigint not null,
    since double precision not null,
    after bigint not null
);

-- What is counted of a span, by act and member, and refusals by member and act: every column that is counted stands in
-- the index, so that no entry is read.
create index log_act on log (act, actor, seq, outcome, subject);
drop index log_refused;
create index log_refused on log (actor, at, act) where outcome = 'refused';
create index verdict_sent_back on verdict (seq) where upheld = 0;
create index message_alert on message (seq) where kind = 'alert';

-- What waits for whom it is assigned to.
create index task_assigned on task (assigned) where state = 'open';

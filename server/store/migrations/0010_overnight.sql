-- What `overnight` needs, so that its cost does not depend on how much happened.

-- Where a member's newest look ended, and where it began. Looks shortly after one another are one.
create table look (
    member integer primary key references member (id),
    at double precision not null,
    upto bigint not null,
    since double precision not null,
    after bigint not null
);

-- Counts of a span by act and member, and of refusals by member and act. The indexes contain every column that is
-- needed, so no entry is read.
create index log_act on log (act, actor, seq, outcome, subject);
drop index log_refused;
create index log_refused on log (actor, at, act) where outcome = 'refused';
create index verdict_sent_back on verdict (seq) where upheld = 0;
create index message_alert on message (seq) where kind = 'alert';

-- Tasks by the member that they are assigned to.
create index task_assigned on task (assigned) where state = 'open';

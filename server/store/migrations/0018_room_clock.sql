-- The room's clock: every time is room time, except those of the log, of messages and due dates, which are dates of the
-- wall clock.

-- The clock at the last entry: room time, and by how many seconds the wall clock was ahead of it.
alter table head add column room_at double precision not null default 0;
alter table head add column ahead double precision not null default 0;
update head set room_at = coalesce((select log.at from log where log.seq = head.seq), created_at);

-- From which number on the wall clock was ahead by so much; before the first number, it was not.
create table clock_step (
    seq bigint primary key,
    ahead double precision not null
);

-- When an entry was written, in room time.
create view entry_age as
select log.seq,
    log.at - coalesce(
        (select clock_step.ahead from clock_step where clock_step.seq <= log.seq order by clock_step.seq desc limit 1), 0
    ) as at
from log;

-- The refusals of a member are found by number, because the wall clock may be set back.
drop index log_refused;
create index log_refused on log (outcome, actor, seq, act, at) where outcome = 'refused';

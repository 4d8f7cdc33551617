-- Honest presence: runs under a listener, work that is declared on a task, and wrong answers to challenges.

-- When the newest note was made, and the task that it is about: declared work counts on a task that the member holds.
alter table presence add column declared_at double precision;
alter table presence add column busy_task bigint;
update presence set declared_at = last_progress_at;

-- The newest run of the member's listener: when it began, for how long its machine has run it, when its processes last
-- moved, when the listener last reported it, and when it ended. `slowest_run`: the longest after which it had answered.
alter table presence add column run_since double precision;
alter table presence add column run_seconds double precision not null default 0;
alter table presence add column run_moved_at double precision;
alter table presence add column run_heard_at double precision;
alter table presence add column run_ended_at double precision;
alter table presence add column slowest_run double precision not null default 0;

-- What is known of a member's presence. `works_on_task`: whether its newest note is about a task that it holds.
create view member_presence as
select presence.member, presence.seen, presence.last_call_at, presence.last_progress_at, presence.declared_at,
    presence.busy_until, presence.connected_at, presence.connected_since, presence.evidence_at, presence.run_since,
    presence.run_moved_at, presence.run_heard_at, presence.run_ended_at, presence.slowest_run,
    case when exists (
        select 1 from task where task.id = presence.busy_task and task.holder = presence.member
    ) then 1 else 0 end as works_on_task
from presence;

-- How many wrong answers the open challenge got.
alter table trouble add column wrong_answers integer not null default 0;

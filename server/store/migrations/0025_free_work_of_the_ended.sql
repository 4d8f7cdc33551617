-- A member has ended once it was killed, or had no valid token for a while. What only it could do is given to others.

-- The unfinished tasks that are assigned to a member.
create index task_assigned_unfinished on task (assigned) where assigned is not null and state not in ('done', 'cancelled');

-- `acted`: up to which number of the log a member has answered the wakes that it was shown, by an act.
alter table presence add column acted bigint not null default 0;
update presence set acted = seen;

-- `tokens_until`: when the last of the member's tokens ends or ended; null if one has no end.
drop view member_presence;
create view member_presence as
select presence.member, presence.seen, presence.acted, presence.last_call_at, presence.last_progress_at,
    presence.declared_at, presence.busy_until, presence.connected_at, presence.connected_since, presence.evidence_at,
    presence.run_since, presence.run_moved_at, presence.run_heard_at, presence.run_ended_at, presence.slowest_run,
    case when exists (
        select 1 from task where task.id = presence.busy_task and task.holder = presence.member
    ) then 1 else 0 end as works_on_task,
    case when not exists (
        select 1 from token
        where token.member = presence.member and token.revoked_at is null and token.expires_at is null
    ) then (
        select max(case
            when token.revoked_at is null then token.expires_at
            when token.expires_at is null or token.revoked_at < token.expires_at then token.revoked_at
            else token.expires_at
        end)
        from token
        where token.member = presence.member
    ) end as tokens_until
from presence;

-- An earlier release left such work where it was: the supervisor looks at each member without a lasting token, and once
-- more at each that was killed. It does not wake again those that waited for an answer.
insert into due (rule, subject, member, at, since, span)
select 'tokenless', member.id, member.id, 0, 0, 0
from member
where member.kind <> 'room' and not exists (
    select 1 from token
    where token.member = member.id and token.revoked_at is null and token.expires_at is null
)
on conflict (rule, subject, member) do nothing;
insert into due (rule, subject, member, at, since, span, slot, counted)
select 'killed', standing.target, standing.target, 0, 0, 0, 9007199254740991, 9007199254740991
from standing
where standing.scope = 'member' and standing.state = 'killed'
on conflict (rule, subject, member) do nothing;

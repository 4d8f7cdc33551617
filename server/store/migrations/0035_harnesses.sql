-- What a member's harness reports by its hooks.

-- `gate_at`: when it last asked whether a tool of its own may run. `phase`: what it is doing since `since`, and with
-- which `tool`. `heard_at`: its newest report.
create table harness (
    member integer primary key references member (id),
    format text not null,
    gate_at double precision,
    phase text not null default '',
    tool text not null default '',
    since double precision not null,
    heard_at double precision not null
);

drop view member_presence;
create view member_presence as
select presence.member, presence.seen, presence.acted, presence.last_call_at, presence.last_progress_at,
    presence.declared_at, presence.busy_until, presence.connected_at, presence.connected_since, presence.evidence_at,
    presence.run_since, presence.run_moved_at, presence.run_heard_at, presence.run_ended_at, presence.slowest_run,
    (select harness.gate_at from harness where harness.member = presence.member) as gate_at,
    (
        select harness.since from harness
        where harness.member = presence.member and harness.phase in ('permission', 'person')
    ) as prompt_since,
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

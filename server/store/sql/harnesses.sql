-- What members' harnesses report by their hooks.

-- name: note_hook
-- `gate_at` and `phase` stay as they are if the report says nothing of them: null, and ''. `hidden`: the tool as a
-- redaction hides it; a tool that is hidden stays so.
insert into harness (member, format, gate_at, phase, tool, since, heard_at)
values (:member, :format, :gate_at, :phase, :tool, :at, :at)
on conflict (member) do update set
    format = :format,
    gate_at = coalesce(:gate_at, harness.gate_at),
    since = case
        when :phase = '' or (harness.phase = :phase and harness.tool in (:tool, :hidden)) then harness.since else :at
    end,
    phase = case when :phase = '' then harness.phase else :phase end,
    tool = case when :phase = '' or harness.tool = :hidden then harness.tool else :tool end,
    heard_at = :at

-- name: hide_tool
update harness set tool = :hidden where member = :member and tool = :tool

-- name: old_tools
select member from harness where heard_at < :before and tool <> '' order by member limit :limit

-- name: harness_of
select format, gate_at, phase, tool, since, heard_at from harness where member = :member

-- name: gates_of
-- Of the agents of an owner, or of all (0): how many there are, how many have a gate, and how many a run that is on.
select count(*) as agents, count(harness.gate_at) as gates,
    count(case when presence.run_heard_at is not null and presence.run_ended_at is null then 1 end) as runs
from member
left join harness on harness.member = member.id
left join presence on presence.member = member.id
where member.kind = 'agent' and (cast(:owner as bigint) = 0 or member.owner = :owner)

-- name: at_prompts
-- The agents whose harness has waited at a prompt for so long, and not for too long; the longest wait first.
select member.name, harness.phase, harness.tool, harness.since
from harness
join member on member.id = harness.member
left join standing as own on own.scope = 'member' and own.target = member.id
where harness.phase in ('permission', 'person') and harness.since <= :upto and harness.since > :since
    and coalesce(own.state, '') <> 'killed'
order by harness.since, member.name
limit :limit

-- name: count_at_prompts
select count(*) as members
from harness
left join standing as own on own.scope = 'member' and own.target = harness.member
where harness.phase in ('permission', 'person') and harness.since <= :upto and harness.since > :since
    and coalesce(own.state, '') <> 'killed'

-- Standing, past and present pauses, counted refusals, and remembered requests.

-- name: open_standing
insert into standing (scope, target, state, since, until, by_member, by_role, reason)
values (:scope, :target, 'active', :now, null, :by_member, :by_role, '')

-- name: set_standing
update standing
set state = :state, since = :now, until = :until, by_member = :by_member, by_role = :by_role, reason = :reason
where scope = :scope and target = :target

-- name: members_by_standing
select state, count(*) as members from standing where scope = 'member' group by state

-- name: standing
select standing.state, standing.since, standing.until, standing.by_role, standing.reason, standing.by_member,
    member.name as by_name
from standing
join member on member.id = standing.by_member
where standing.scope = :scope and standing.target = :target

-- name: add_pause
insert into pause (scope, target, since, until) values (:scope, :target, :since, :until)
on conflict (scope, target, since) do update set until = :until

-- name: end_pauses
update pause set until = :now where scope = :scope and target = :target and coalesce(until, 1e300) > :now

-- name: pauses
-- The newest pauses that affect a member's lease since some time. A person is bound by its own pauses only.
select scope, since, until
from (
    select scope, since, until from pause
    where scope = 'member' and target = :member and coalesce(until, 1e300) > :since
    order by coalesce(until, 1e300) desc
    limit :limit
) as own
union all
select scope, since, until
from (
    select scope, since, until from pause
    where scope = 'owner' and target = :owner and target <> :member and coalesce(until, 1e300) > :since
    order by coalesce(until, 1e300) desc
    limit :limit
) as owners
union all
select scope, since, until
from (
    select scope, since, until from pause
    where scope = 'room' and target = 0 and cast(:owner as bigint) <> :member and coalesce(until, 1e300) > :since
    order by coalesce(until, 1e300) desc
    limit :limit
) as room

-- name: refusal
select act, code, subject, first_at, seq, repeats from refusal
where member = :member and act = :act and code = :code and subject = :subject

-- name: open_refusal
insert into refusal (member, act, code, subject, first_at, seq, repeats)
values (:member, :act, :code, :subject, :now, :seq, 0)
on conflict (member, act, code, subject) do update set first_at = :now, seq = :seq, repeats = 0

-- name: count_refusal
update refusal set repeats = repeats + 1
where member = :member and act = :act and code = :code and subject = :subject

-- name: stale_refusals
select act, code, subject, first_at, seq, repeats from refusal
where member = :member and first_at <= :before
order by first_at
limit :limit

-- name: close_refusal
delete from refusal where member = :member and act = :act and code = :code and subject = :subject

-- name: add_refused_calls
insert into refused_call (member, act, since, seq, at, calls) values (:member, :act, :since, :seq, :now, :calls)
on conflict (member, act, since, seq) do update set at = :now, calls = refused_call.calls + :calls

-- name: forget_refused_calls
-- The oldest row that is too old, some others, and those as old as the last of them, by the index of their times.
delete from refused_call
where at < :before and at <= coalesce(
    (select at from refused_call where at < :before order by at limit 1 offset :others), :before
)

-- name: newest_of_room
-- When the room last carried out an act on a subject. The expressions lead to the index by subject.
select entry_age.at
from log
join entry_age on entry_age.seq = log.seq
where log.act || '' = :act and +log.actor = :room and log.outcome = 'ok'
    and log.subject in (select :subject union all select subject from former_subject where now = :subject)
order by log.seq desc
limit 1

-- name: nth_newest_refusal
-- When a refusal of a member was logged, newest first.
select entry_age.at
from log
join entry_age on entry_age.seq = log.seq
where log.actor = :member and log.outcome = 'refused'
order by log.seq desc
limit 1 offset :offset

-- name: request
select act, arguments, reply, at, until from request where member = :member and key = :key

-- name: remember_request
insert into request (member, key, act, arguments, reply, at, until)
values (:member, :key, :act, :arguments, :reply, :at, :until)
on conflict (member, key) do update
set act = :act, arguments = :arguments, reply = :reply, at = :at, until = :until

-- name: next_forgotten
-- When the next remembered call is to be forgotten.
select min(until) as until from request

-- name: hold_back
-- Adds a page of the agents of an owner, or of all (0), that no pause binds now, in the order in which they are let go:
-- first who has an alert or a person's question among its newest wakes, then who has any, the longest waiting first.
insert into held_back (member, owner, first, since)
select page.id, :owner,
    case
        when exists (
            select 1 from (
                select seq, reason from wake
                where wake.member = page.id and wake.seq > page.acknowledged
                order by wake.seq desc
                limit :looked_at
            ) as newest
            left join message on message.seq = newest.seq
            left join member as author on author.id = message.author
            where newest.reason = 'alert' or (message.kind = 'ask' and author.kind = 'human')
        ) then 0
        when exists (select 1 from wake where wake.member = page.id and wake.seq > page.acknowledged) then 1
        else 2
    end,
    coalesce((
        select wake.at from wake
        where wake.member = page.id and wake.seq > page.acknowledged
        order by wake.seq
        limit 1
    ), :now)
from (
    select id, acknowledged from member
    where id > :after and id <= :upto and kind = 'agent' and (cast(:owner as bigint) = 0 or owner = :owner)
) as page
join member_standing as levels on levels.member = page.id
where (levels.own_state = 'active' or (levels.own_state = 'paused' and levels.own_until <= :now))
    and (levels.owner_state = 'active' or (levels.owner_state = 'paused' and levels.owner_until <= :now))
    and (levels.room_state = 'active' or (levels.room_state = 'paused' and levels.room_until <= :now))
on conflict (member) do nothing

-- name: next_held_back
select member, owner from held_back order by first, since, member limit :limit

-- name: let_go
delete from held_back where member = :member

-- name: forget_held_back
delete from held_back where owner = :owner

-- name: is_held_back
-- Whether an agent's wakes are still held: it waits for its turn, or the room has not yet looked at its turn.
select 1 as found
where exists (select 1 from held_back where member = :member)
    or exists (
        select 1 from due
        where due.rule = 'resumed' and due.subject in (0, :owner) and due.at <= :now and due.slot < :member
    )

-- name: paused_members
-- Agents of an owner, or of all (0), with a pause of their own in force.
select member.name, setter.name as by_name, standing.reason, standing.until
from standing
join member on member.id = standing.target
join member as setter on setter.id = standing.by_member
where standing.scope = 'member' and standing.state = 'paused' and (standing.until is null or standing.until > :now)
    and member.kind = 'agent' and (cast(:owner as bigint) = 0 or member.owner = :owner)
order by member.name
limit :limit

-- name: paused_owners
-- People whose agents are paused.
select member.name, setter.name as by_name, standing.reason, standing.until
from standing
join member on member.id = standing.target
join member as setter on setter.id = standing.by_member
where standing.scope = 'owner' and standing.state = 'paused' and (standing.until is null or standing.until > :now)
    and exists (select 1 from member as agent where agent.owner = member.id and agent.kind = 'agent')
order by member.name
limit :limit

-- name: agent_names
select name from member where kind = 'agent' and owner = :owner order by name limit :limit

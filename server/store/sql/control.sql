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
delete from refused_call where member = :member and at < :before

-- name: newest_of_room
-- When the room last carried out an act on a subject.
select entry_age.at
from log
join entry_age on entry_age.seq = log.seq
where log.act = :act and log.actor = :room and log.outcome = 'ok' and log.subject = :subject
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

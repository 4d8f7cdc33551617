-- What each engine writes in its own way: walks along an index from one value to the next, and lists.

-- name: reviews_of_lost
-- The oldest completions of each reviewer that may be unavailable, the oldest first. Each reviewer is found in the index
-- by the one before.
with recursive asked (reviewer, place) as (
    select cast(0 as bigint), 1
    union all
    select (
        select coalesce(task.reviewer, 0) from task
        where task.state = 'in_review' and coalesce(task.reviewer, 0) > asked.reviewer
        order by coalesce(task.reviewer, 0), task.completed_at, task.id
        limit 1
    ), asked.place + 1
    from asked
    where asked.reviewer is not null and asked.place < :reviewers
)
select task.id, task.title, task.review, task.reviewer, reviewer.name as reviewer_name, task.completed_by,
    task.completed_at, completer.name as completer_name, completer.owner as completer_owner,
    answers.name as completer_owner_name
from asked
join member as reviewer on reviewer.id = asked.reviewer
cross join lateral (
    select oldest.id, oldest.title, oldest.review, oldest.reviewer, oldest.completed_by, oldest.completed_at
    from task as oldest
    where oldest.state = 'in_review' and coalesce(oldest.reviewer, 0) = asked.reviewer
    order by oldest.completed_at, oldest.id
    limit :each
) as task
join member as completer on completer.id = task.completed_by
join member as answers on answers.id = completer.owner
left join presence on presence.member = reviewer.id
left join standing as own on own.scope = 'member' and own.target = reviewer.id
left join standing as owners on owners.scope = 'owner' and owners.target = reviewer.owner
where (reviewer.mode not in ('on_demand', 'manual')
        and (presence.last_call_at is null or presence.last_call_at <= :silent_since))
    or own.state <> 'active' or owners.state <> 'active'
order by task.completed_at, task.id
limit :limit

-- name: senders_to
-- A page of the members that woke a member, by number, and whether it has not acknowledged one of their wakes. Each is
-- found in the index by the one before.
with recursive woke (sender, place) as (
    select (select min(sender) from wake where member = :member and sender > :past), 1
    union all
    select (select min(wake.sender) from wake where wake.member = :member and wake.sender > woke.sender), woke.place + 1
    from woke
    where woke.sender is not null and woke.place < :limit
)
select woke.sender, case when exists (
        select 1 from wake
        where wake.member = :member and wake.sender = woke.sender and wake.folded in (0, 1) and wake.seq > :after
    ) then 1 else 0 end as waits
from woke
where woke.sender is not null

-- name: needed_tasks
-- The tasks of a list, which is JSON, and how many tasks depend on each, counted up to a number.
select task.id, task.place, (
        select count(*) from (select 1 from dependency where needs_task = task.id limit :most) as found
    ) as dependents
from json_array_elements_text(cast(:tasks as json)) as needed (value)
join task on task.id = cast(needed.value as bigint)

-- name: best_open_task
-- Among the open tasks that are assigned to a member, or to nobody (0), and whose first need is this: the first one that
-- a member can do. Ordered by priority, due time and age; an index has them in that order. A repair is claimed by its
-- name only, by watchdogs.
select task.id, task.priority, task.due
from (
    select id, priority, coalesce(due, 1e300) as due, requires
    from task
    where state = 'open' and waits = 0 and coalesce(assigned, 0) = :assigned and first_need = :first_need
    order by priority desc, coalesce(due, 1e300), id
    limit :looked_at
) as task
where not exists (select 1 from repair where repair.task = task.id)
    and not exists (
        select 1 from need
        where need.task = task.id and not exists (
            select 1 from capability
            where capability.member = :member and capability.capability = need.need
                and capability.withdrawn_at is null
                and (capability.proven_until > :now
                    or (cast(:trust as text) <> 'proven' and capability.attested_until > :now)
                    or (cast(:trust as text) = 'declared' and capability.failed_at is null))
        )
    )
    and (task.requires = '' or not exists (
        select 1 from json_array_elements_text(case when task.requires = '' then '[]' else task.requires end::json)
            as required (value)
        where not exists (
            select 1 from authorisation
            where authorisation.scope = required.value and authorisation.revoked_at is null
                and authorisation.expires_at > :now
                and (authorisation.uses = 0 or authorisation.used < authorisation.uses)
                and ((authorisation.level = 'member' and authorisation.target = :member)
                    or (authorisation.level = 'owner' and authorisation.target = :owner))
        )
    ))
order by task.priority desc, task.due, task.id
limit 1

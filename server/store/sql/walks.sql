-- What the engines have in common of walks along an index, and of lists. Each engine writes the rest in its own way.

-- part: lost_reviews
select task.id, task.title, task.review, task.reviewer, reviewer.name as reviewer_name, task.completed_by,
    task.completed_at, completer.name as completer_name, completer.owner as completer_owner,
    answers.name as completer_owner_name

-- part: whose_reviewer_is_lost
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

-- part: senders_that_wait
select woke.sender, case when exists (
        select 1 from wake
        where wake.member = :member and wake.sender = woke.sender and wake.folded in (0, 1) and wake.seq > :after
    ) then 1 else 0 end as waits
from woke
where woke.sender is not null

-- part: tasks_with_dependents
select task.id, task.place, (
        select count(*) from (select 1 from dependency where needs_task = task.id limit :most) as found
    ) as dependents

-- part: open_task_that_a_member_can_do
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

-- part: that_the_member_may_not_do
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

-- Tasks, what they need and depend on, and what happened to them.

-- name: add_task
insert into task (id, title, detail, priority, due, creator, created_at, changed_seq, state, assigned, holder, fence,
    claimed_at, touched_at, lease_from, lease_seconds, blocked_on, snooze_until, review, reviewer, completed_by,
    completed_at, summary, evidence, hops, place, requires)
values (:id, :title, :detail, :priority, :due, :creator, :now, :seq, 'open', :assigned, null, 0,
    null, null, null, 0, '', null, :review, null, null,
    null, '', '[]', 0, :id, :requires)

-- part: task_columns
-- A task as the board shows it, with the names of its members and its open offer.
select task.id, task.title, task.detail, task.priority, task.due, task.creator, task.created_at, task.changed_seq,
    task.state, task.assigned, task.holder, task.fence, task.claimed_at, task.touched_at, task.lease_from,
    task.lease_seconds, task.blocked_on, task.snooze_until, task.review, task.reviewer, task.completed_by,
    task.completed_at, task.summary, task.evidence, task.hops, task.waits, task.first_need, task.place,
    task.snooze_date, task.requires, task.authorised,
    creator.name as creator_name, creator.owner as creator_owner, holder.name as holder_name,
    holder.owner as holder_owner, assigned.name as assigned_name, reviewer.name as reviewer_name,
    completer.name as completer_name, completer.owner as completer_owner, answers.name as completer_owner_name,
    offer.id as offer, offer.giver as giver, offer.receiver as receiver, offer.expires_at as offer_expires_at,
    receiver.name as receiver_name,
    exists (
        select 1 from dependency join task as before on before.id = dependency.needs_task
        where dependency.task = task.id and before.state = 'cancelled'
    ) as has_cancelled,
    exists (select 1 from repair where repair.task = task.id) as is_repair

-- part: task_joins
join member as creator on creator.id = task.creator
left join member as holder on holder.id = task.holder
left join member as assigned on assigned.id = task.assigned
left join member as reviewer on reviewer.id = task.reviewer
left join member as completer on completer.id = task.completed_by
left join member as answers on answers.id = completer.owner
left join offer on offer.task = task.id and offer.state = 'offered'
left join member as receiver on receiver.id = offer.receiver

-- name: task
-- use: task_columns
from task
-- use: task_joins
where task.id = :id

-- name: board_unfinished
-- A page of the unfinished tasks, in order.
-- use: task_columns
from task
-- use: task_joins
where task.id > :after and task.state not in ('done', 'cancelled')
order by task.id
limit :limit

-- name: board_in_state
-- The same of the tasks in one state. SQLite prepares a statement again at each call if it compares a parameter as it
-- stands with a column whose values a partial index lists; so here and in other statements, the parameter is cast.
-- use: task_columns
from task
-- use: task_joins
where task.id > :after and task.state = cast(:state as text)
order by task.id
limit :limit

-- name: board_all
-- The same of all tasks.
-- use: task_columns
from task
-- use: task_joins
where task.id > :after
order by task.id
limit :limit

-- name: tasks_held
select id from task where holder = :member and state in ('claimed', 'blocked', 'offered') order by id

-- name: tasks_held_by
-- The same for the member with a name now.
select task.id
from member
join task on task.holder = member.id and task.state in ('claimed', 'blocked', 'offered')
where member.folded = lower(cast(:name as text))
order by task.id

-- name: count_held
select count(*) as held from task where holder = :member and state in ('claimed', 'blocked', 'offered')

-- name: last_untouched_claim
-- The member's newest claim, if nothing has happened to it since.
select id from task
where holder = :member and state = 'claimed' and claimed_at > :since and touched_at is null
order by claimed_at desc
limit 1

-- name: first_open_task
-- Among the same, the first one that a member could claim with the capabilities that it needs.
select task.id
from (
    select id, priority, coalesce(due, 1e300) as due
    from task
    where state = 'open' and waits = 0 and coalesce(assigned, 0) = :assigned
    order by priority desc, coalesce(due, 1e300), id
    limit :looked_at
) as task
where not exists (select 1 from repair where repair.task = task.id)
order by task.priority desc, task.due, task.id
limit 1

-- name: perhaps_overdue
-- Claimed tasks whose lease may have expired, the longest expired first. The caller takes each holder's pauses into
-- account.
select task.id
from task
where task.state = 'claimed' and task.lease_from + task.lease_seconds <= :before and task.holder <> :member
order by task.lease_from + task.lease_seconds
limit :limit

-- name: held_by_paused
-- Tasks of members that have been paused for long, the longest first.
select task.id
from standing
join task on task.holder = standing.target and task.state = 'claimed'
where standing.scope = 'member' and standing.state = 'paused' and standing.since <= :paused_before
    and task.holder <> :member
order by standing.since
limit :limit

-- name: claim
update task
set state = 'claimed', holder = :holder, fence = :fence, claimed_at = :now, touched_at = null, lease_from = :now,
    lease_seconds = :lease_seconds, blocked_on = '', hops = :hops, changed_seq = :seq, authorised = :authorised
where id = :id

-- name: progress
update task
set state = :state, touched_at = :now, lease_from = :lease_from, lease_seconds = :lease_seconds,
    blocked_on = :blocked_on, changed_seq = :seq
where id = :id

-- name: renew_lease
-- The same for a task that stays claimed: an update that names the state, or what blocks it, moves the task in every
-- index of these, although nothing changes there.
update task
set touched_at = :now, lease_from = :now, lease_seconds = :lease_seconds, changed_seq = :seq
where id = :id

-- name: free_task
update task
set state = :state, holder = null, lease_from = null, lease_seconds = 0, blocked_on = '', changed_seq = :seq
where id = :id

-- name: unfinished_assigned_to
select id from task
where assigned = :member and assigned is not null and state not in ('done', 'cancelled')
order by id
limit :limit

-- name: unassign_task
update task set assigned = null, changed_seq = :seq where id = :id

-- name: blocked_on
-- Blocked tasks that wait for a thing, the oldest first.
select id from task where state = 'blocked' and blocked_on = :blocked_on order by id limit :limit

-- name: waiting_for_task
-- The unfinished tasks that depend on a task, and those that are blocked on it.
select after.id
from dependency
join task as after on after.id = dependency.task
where dependency.needs_task = :needs_task and after.state not in ('done', 'cancelled')
union
select id from task where state = 'blocked' and blocked_on = :blocked_on
order by 1
limit :limit

-- name: cancelled_before
-- The cancelled tasks that a task depends on: they no longer hold it.
select dependency.needs_task
from dependency
join task as before on before.id = dependency.needs_task
where dependency.task = :task and before.state = 'cancelled'
order by dependency.needs_task

-- name: move_blocks
-- A decision was replaced: what waits for it waits for the new one.
update task set blocked_on = :now where state = 'blocked' and blocked_on = :was

-- name: hold_again
-- Returns a task to its holder; the lease continues where it stopped.
update task
set state = 'claimed', lease_from = :lease_from, lease_seconds = :lease_seconds, changed_seq = :seq
where id = :id

-- name: offer_task
update task
set state = 'offered', lease_from = null, lease_seconds = :lease_seconds, touched_at = :now, changed_seq = :seq
where id = :id

-- name: complete_task
update task
set state = :state, lease_from = null, touched_at = :now, reviewer = :reviewer, completed_by = :member,
    completed_at = :now, summary = :summary, evidence = :evidence, changed_seq = :seq
where id = :id

-- name: accept_task
update task set state = 'done', reviewer = :reviewer, changed_seq = :seq where id = :id

-- name: send_task_back
update task
set state = :state, holder = :holder, reviewer = null, completed_by = null, completed_at = null, touched_at = :now,
    lease_from = :lease_from, lease_seconds = :lease_seconds, changed_seq = :seq
where id = :id

-- name: edit_task
update task
set title = :title, detail = :detail, priority = :priority, due = :due, assigned = :assigned, review = :review,
    snooze_until = :snooze_until, snooze_date = :snooze_date, requires = :requires, changed_seq = :seq
where id = :id

-- name: add_need
insert into need (task, need) values (:task, :need) on conflict do nothing

-- name: drop_needs
delete from need where task = :task

-- name: needs
select need from need where task = :task order by need

-- name: dependents
-- The tasks that name a task among those that they wait for; their pages show its state.
select task from dependency where needs_task = :task order by task limit :limit

-- name: add_dependency
insert into dependency (task, needs_task) values (:task, :needs_task)

-- name: drop_dependencies
delete from dependency where task = :task

-- name: dependencies
select dependency.needs_task as task, task.state
from dependency
join task on task.id = dependency.needs_task
where dependency.task = :task
order by dependency.needs_task

-- name: unfinished_before
-- What a task still waits for.
select dependency.needs_task
from dependency
join task as before on before.id = dependency.needs_task
where dependency.task = :task and before.state not in ('done', 'cancelled')
order by dependency.needs_task

-- name: task_place
select id, place from task where id = :id

-- name: needs_from
-- The tasks that a task depends on, from a place in their order on.
select before.id, before.place
from dependency
join task as before on before.id = dependency.needs_task
where dependency.task = :task and before.place >= :place

-- name: dependents_upto
-- The tasks that depend on a task, up to a place in their order.
select after.id, after.place
from dependency
join task as after on after.id = dependency.task
where dependency.needs_task = :task and after.place <= :place
limit :limit

-- name: move_task
update task set place = :place where id = :id

-- name: freed_by
-- Tasks that waited for this one only. It is finished already.
select task.id, task.assigned, task.creator
from dependency
cross join task
where dependency.needs_task = :task and task.id = dependency.task and task.state = 'open' and task.waits = 0
order by task.id
limit :limit

-- name: add_task_entry
insert into task_entry (task, seq, member, at, kind, text, detail)
values (:task, :seq, :member, :at, :kind, :text, :detail)
on conflict do nothing

-- name: task_entries
select task_entry.seq, member.name as member, log.at, task_entry.kind, task_entry.text, task_entry.detail
from task_entry
join log on log.seq = task_entry.seq
join member on member.id = task_entry.member
where task_entry.task = :task
order by task_entry.seq desc, task_entry.kind
limit :limit

-- name: possible_reviewers
-- Among the members that called last, except the completer: those of another owner first, then those that never held the task.
select member.id, member.name, member.kind, member.owner, member.mode,
    presence.last_call_at, presence.last_progress_at, presence.declared_at, presence.busy_until,
    presence.works_on_task, presence.connected_at, presence.run_since, presence.run_moved_at, presence.run_heard_at,
    presence.run_ended_at, presence.slowest_run, presence.gate_at,
    presence.prompt_since, presence.tokens_until,
    trouble.verdict as trouble, trouble.reason as trouble_reason,
    levels.own_state, levels.own_until, levels.owner_state, levels.owner_until, levels.room_state,
    levels.room_until,
    case when exists (
        select 1 from task_entry
        where task_entry.task = :task and task_entry.member = member.id and task_entry.kind in ('claimed', 'accepted')
    ) then 1 else 0 end as held_it
from (
    select member from presence where last_call_at is not null order by last_call_at desc limit :looked_at
) as called
cross join member
join member_presence as presence on presence.member = called.member
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where member.id = called.member
    and member.kind <> 'room' and member.role <> 'observer' and member.id <> :completer and levels.own_state <> 'killed'
    and (presence.last_call_at > :seen_after
        or (presence.last_call_at is not null and member.mode in ('on_demand', 'manual')))
order by case when member.owner <> :owner then 0 else 1 end, held_it, presence.last_call_at desc, member.id
limit :limit

-- name: reviews_asked_of
-- Completions that a member, or nobody (0), was asked to review, the oldest first.
select task.id, task.title, task.review, task.reviewer, reviewer.name as reviewer_name, task.completed_by,
    task.completed_at, completer.name as completer_name, completer.owner as completer_owner,
    answers.name as completer_owner_name
from task
join member as completer on completer.id = task.completed_by
join member as answers on answers.id = completer.owner
left join member as reviewer on reviewer.id = task.reviewer
where task.state = 'in_review' and coalesce(task.reviewer, 0) = :reviewer
order by task.completed_at, task.id
limit :limit

-- name: reviews_for_owner
-- The oldest completions of each of a person's own agents and of the person, the oldest first.
select task.id, task.title, task.review, task.reviewer, reviewer.name as reviewer_name, task.completed_by,
    task.completed_at, completer.name as completer_name, completer.owner as completer_owner,
    answers.name as completer_owner_name
from member as completer
cross join task
join member as answers on answers.id = completer.owner
left join member as reviewer on reviewer.id = task.reviewer
where completer.owner = :member and task.completed_by = completer.id and task.state = 'in_review'
    and task.id in (
        select oldest.id from task as oldest
        where oldest.completed_by = completer.id and oldest.state = 'in_review'
        order by oldest.completed_at, oldest.id
        limit :each
    )
order by task.completed_at, task.id
limit :limit

-- name: set_reviewer
update task set reviewer = :reviewer, changed_seq = :seq where id = :id

-- name: add_verdict
insert into verdict (task, seq, completer, reviewer, upheld) values (:task, :seq, :completer, :reviewer, :upheld)

-- name: upheld_share
select coalesce(sum(reviewed), 0) as reviewed, coalesce(sum(upheld), 0) as upheld from share where member = :member

-- name: tasks_by_state
select state, count(*) as tasks from task group by state

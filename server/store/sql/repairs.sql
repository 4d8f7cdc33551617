-- Repairs of runtimes: tasks that the room or a watchdog asked for, at most one at a time for each member.

-- name: add_repair
insert into repair (task, member) values (:task, :member)

-- name: repaired_member
-- The member that a repair is for, and its standing.
select repair.task, repair.member, member.name, standing.state as standing
from repair
join member on member.id = repair.member
join standing on standing.scope = 'member' and standing.target = member.id
where repair.task = :task

-- name: repair_of
-- A member's newest repair: the kind of the member that requested it, when a watchdog last gave it up, and when a
-- person last requested it again.
select repair.task, task.state, holder.name as holder, creator.kind as asked_by,
    (
        select max(task_entry.seq) from task_entry where task_entry.task = repair.task and task_entry.kind = 'released'
    ) as released_seq,
    (
        select max(task_entry.seq) from task_entry where task_entry.task = repair.task and task_entry.kind = 'ordered'
    ) as ordered_seq
from repair
join task on task.id = repair.task
join member as creator on creator.id = task.creator
left join member as holder on holder.id = task.holder
where repair.member = :member
order by repair.task desc
limit 1

-- name: repair_notes
-- Recent restarts (working) and give-ups (released) of a member's runtime: notes on its repairs, newest first.
select task_entry.at
from repair
join task_entry on task_entry.task = repair.task
where repair.member = :member and task_entry.kind = :kind and task_entry.at > :since
order by task_entry.at desc
limit :limit

-- name: repairs_held
-- The repairs that a watchdog holds, with the runtime's name and standing.
select repair.task, repair.member, member.name, standing.state as standing
from repair
join task on task.id = repair.task
join member on member.id = repair.member
left join standing on standing.scope = 'member' and standing.target = member.id
where task.holder = :holder and task.state in ('claimed', 'blocked')
order by repair.task

-- name: repairs_reached_by
-- The open repairs of the runtimes that a watchdog declares.
select repair.task, repair.member, member.name
from capability
join need on need.need = capability.capability
join repair on repair.task = need.task
join task on task.id = repair.task
join member on member.id = repair.member
where capability.member = :watchdog and capability.withdrawn_at is null and task.state = 'open'
order by repair.task
limit :limit

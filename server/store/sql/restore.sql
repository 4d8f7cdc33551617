-- A room restored from a backup: what was handed out since is void, and what was stopped stays so.

-- name: begin_epoch
update head set epoch = :epoch where id = 1

-- name: join_epoch
update member set epoch = :epoch where id = :member

-- name: void_open_offers
update offer set state = 'voided', answered_at = :now, reason = 'the room was restored' where state = 'offered'

-- name: note_freed_tasks
insert into task_entry (task, seq, member, at, kind, text, detail)
select id, :seq, :member, :now, 'restored', 'the room was restored from a backup; whoever had it claims it again', '{}'
from task
where state in ('claimed', 'blocked', 'offered')

-- name: free_every_task
update task
set state = 'open', holder = null, lease_from = null, lease_seconds = 0, blocked_on = '', changed_seq = :seq
where state in ('claimed', 'blocked', 'offered')

-- name: raise_fences
update task set fence = fence + :leap

-- name: forget_every_request
delete from request

-- name: forget_every_probe
delete from probe

-- name: end_declared_work
update presence set busy_until = null, run_since = null, run_heard_at = null, run_ended_at = null

-- name: stopped
-- Every standing that is not active, with the name of its target.
select standing.scope, coalesce(member.name, 'room') as name, standing.state, standing.until, standing.by_role
from standing
left join member on member.id = standing.target and standing.scope <> 'room'
where standing.state <> 'active'

-- name: count_members_named
select count(*) as members from member where name = :name

-- name: count_changes_of_standing
-- Acts after a number that change the standing of a subject. Only a revival ends a kill, and it is an enrollment.
select count(*) as changes
from log
where seq > :after and subject = :subject and outcome = 'ok'
    and (act in ('pause', 'resume', 'kill') or (act = 'enroll' and :is_killed = 1))

-- name: not_revoked
select id from token where revoked_at is null

-- name: revoke_every_token
update token set revoked_at = :now where revoked_at is null

-- name: revoked
select id from token where revoked_at is not null

-- name: revoke_by_id
update token set revoked_at = :now where id = :id and revoked_at is null

-- Redaction: what members wrote is deleted; numbers, names and hashes remain.

-- name: entries_about
-- A page of the entries about something that have content, up to a number.
select log.seq, entry_age.at, log.actor, log.act, log.subject
from log
join entry_age on entry_age.seq = log.seq
where log.subject = :subject and log.seq > :after and log.seq <= :upto and log.salt is not null
order by log.seq
limit :limit

-- name: reports_about
-- A page of the entries that tell what the runtimes of a member reported, up to a number: their hosts, and the tools for
-- which they waited. `prompt`: how such an entry is known.
select log.seq, entry_age.at, log.actor, log.act, log.subject
from log
join entry_age on entry_age.seq = log.seq
where log.subject in (select :subject union all select subject from former_subject where now = :subject)
    and log.seq <= :upto and log.salt is not null
    and (log.act = 'two_hosts' or (log.act = 'presence' and log.detail like cast(:prompt as text)))
order by log.seq
limit :limit

-- name: entry_with_content
select log.seq, entry_age.at, log.actor, log.act, log.subject
from log
join entry_age on entry_age.seq = log.seq
where log.seq = :seq and log.salt is not null

-- name: entries_of_page
-- A page of the log, with entries that are already redacted. `characters`: how much text goes with an entry.
select log.seq, entry_age.at, log.actor, log.act, log.subject, case when log.salt is null then 0 else 1 end as has_content,
    coalesce(length(message.text), 0) as characters
from log
join entry_age on entry_age.seq = log.seq
left join message on message.seq = log.seq
where log.seq > :after
order by log.seq
limit :limit

-- name: take_content
update log set summary = null, detail = null, salt = null where seq = :seq

-- name: take_message
update message set text = '', summary = :taken where seq = :seq

-- name: take_wakes
update wake set line = :taken where seq = :seq

-- name: take_wakes_about
-- A page of the wakes about something, up to a number.
update wake set line = :taken
where (member, seq, reason, subject) in (
    select member, seq, reason, subject from wake
    where subject = :subject and seq <= :upto and line <> :taken
    order by seq
    limit :limit
)

-- name: take_task_entries
update task_entry set text = '', detail = '{}' where seq = :seq

-- name: take_reason
update standing set reason = :taken where since = :at

-- name: take_task
update task
set title = :taken, detail = '', summary = '', evidence = '[]', blocked_on = '',
    requires = case when requires = '' then '' else :requires end
where id = :id

-- name: take_finished_task
-- A finished task is redacted with the entry that last changed it.
update task
set title = :taken, detail = '', summary = '', evidence = '[]', blocked_on = '',
    requires = case when requires = '' then '' else :requires end
where id = :id and changed_seq = :seq and state in ('done', 'cancelled')

-- name: offers_of_task
select id from offer where task = :task order by id limit :limit

-- name: take_wake_subjects
-- The subject of a challenge is the capability that was planted.
update wake set subject = 'plants' where seq = :seq

-- name: take_offer
-- What the receiver must have is hidden, not dropped: nobody has a capability of that name.
update offer
set note = '', reason = '', artifacts = '[]', needs = case when needs = '[]' then '[]' else :needs end
where id = :id

-- name: repair_entries
-- The entries that asked for a repair are about the member, and the task has their words.
select log.seq, log.at, log.actor, log.act, log.subject
from task_entry
join log on log.seq = task_entry.seq
where task_entry.task = :task and log.act = 'repair' and log.salt is not null
order by log.seq
limit :limit

-- name: take_needs
-- What a task needs is hidden, not dropped: nobody has a capability of that name.
insert into need (task, need) select distinct task, cast(:taken as text) from need where task = :task on conflict do nothing

-- name: drop_redacted_needs
delete from need where task = :task and need <> :taken

-- name: take_need
insert into need (task, need) select task, cast(:taken as text) from need where task = :task and need = :need on conflict do nothing

-- name: drop_need
delete from need where task = :task and need = :need

-- name: put_texts
update task
set title = :title, detail = :detail, summary = :summary, evidence = :evidence, blocked_on = :blocked_on,
    requires = :requires
where id = :id

-- name: take_labels
-- The labels of the tokens that an entry gave to a member.
update token set label = :taken
where member = :member and created_at = :at and label <> 'default'

-- name: declared_at
-- The capabilities that a member declared or withdrew at a time.
select capability from capability where member = :member and (since = :at or withdrawn_at = :at)

-- name: drop_capability
delete from capability where member = :member and capability = :capability

-- name: remove_plant_of
delete from plant where capability = :capability and planted_at = :at

-- name: forget_refusal
delete from refusal where member = :member and seq = :seq

-- name: forget_note
update presence set last_note = null where member = :member

-- name: remembered_replies
select member, key, reply from request
where act = :act and at <= :upto and reply not like :taken
order by until
limit :limit

-- name: take_reply
update request set reply = :reply where member = :member and key = :key

-- name: remembered_ids
-- Remembered calls whose request id was not hidden yet, up to a time.
select member, key, reply from request
where key like 'id:%' and key not like 'id_sha256-%' and at <= :upto
order by until
limit :limit

-- name: take_key
update request set key = :hidden where member = :member and key = :key

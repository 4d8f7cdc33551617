-- Redaction: what members wrote is deleted; numbers, names and hashes remain.

-- name: entries_about
-- A page of the entries about something that have content, up to a number.
select log.seq, entry_age.at, log.act, log.subject
from log
join entry_age on entry_age.seq = log.seq
where log.subject = :subject and log.seq > :after and log.seq <= :upto and log.salt is not null
order by log.seq
limit :limit

-- name: entry_with_content
select log.seq, entry_age.at, log.act, log.subject
from log
join entry_age on entry_age.seq = log.seq
where log.seq = :seq and log.salt is not null

-- name: entries_of_page
-- A page of the log, with entries that are already redacted. `characters`: how much text goes with an entry.
select log.seq, entry_age.at, log.act, log.subject, case when log.salt is null then 0 else 1 end as has_content,
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
update task set title = :taken, detail = '', summary = '', evidence = '[]', blocked_on = '' where id = :id

-- name: take_finished_task
-- A finished task is redacted with the entry that last changed it.
update task set title = :taken, detail = '', summary = '', evidence = '[]', blocked_on = ''
where id = :id and changed_seq = :seq and state in ('done', 'cancelled')

-- name: offers_of_task
select id from offer where task = :task order by id limit :limit

-- name: take_offer
update offer set note = '', reason = '', artifacts = '[]' where id = :id

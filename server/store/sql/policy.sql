-- The room's policy: one row, one document.

-- name: policy
select document from policy where id = 1

-- name: set_policy
insert into policy (id, document) values (1, :document)
on conflict (id) do update set document = :document

-- name: newest_on
-- Who last acted on a subject, and when.
select log.seq, log.at, actor.name as actor
from log
join member as actor on actor.id = log.actor
where log.subject = :subject and log.outcome = 'ok'
order by log.seq desc
limit 1

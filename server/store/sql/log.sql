-- The log, and the wakes that its entries cause.

-- name: append_entry
insert into log (seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash)
values (:seq, :epoch, :at, :actor, :owner, :act, :subject, :outcome, :summary, :detail, :salt, :digest, :hash)

-- name: amend_entry
-- The newest entry of an act, before the act ends: nobody has seen it yet.
update log set detail = :detail, digest = :digest, hash = :hash where seq = :seq

-- name: log_page
select seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash
from log
where seq > :after
order by seq
limit :limit

-- name: last_entry
select seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash
from log
order by seq desc
limit 1

-- name: words_of_message
select id, author, at, kind, summary, text from message where seq = :seq

-- name: words_of_task
select title, detail, summary, evidence from task where id = :id

-- name: receipts
-- An empty filter matches everything.
select log.seq, log.at, actor.name as actor, owner.name as owner, log.act, log.subject, log.outcome,
    log.summary, log.detail, log.hash
from log
join member as actor on actor.id = log.actor
join member as owner on owner.id = log.owner
where log.seq > :after
    and (cast(:actor as text) = '' or actor.name = :actor)
    and (cast(:act as text) = '' or log.act = :act)
    and (cast(:subject as text) = '' or log.subject = :subject)
order by log.seq
limit :limit

-- name: latest_receipts
-- The same page, counted from the end, newest first.
select log.seq, log.at, actor.name as actor, owner.name as owner, log.act, log.subject, log.outcome,
    log.summary, log.detail, log.hash
from log
join member as actor on actor.id = log.actor
join member as owner on owner.id = log.owner
where (cast(:actor as text) = '' or actor.name = :actor)
    and (cast(:act as text) = '' or log.act = :act)
    and (cast(:subject as text) = '' or log.subject = :subject)
order by log.seq desc
limit :limit

-- name: receipt
select log.seq, log.at, actor.name as actor, owner.name as owner, log.act, log.subject, log.outcome,
    log.summary, log.detail, log.hash
from log
join member as actor on actor.id = log.actor
join member as owner on owner.id = log.owner
where log.seq = :seq

-- name: stream_page
-- The stream: the acts that were carried out, and what the room could not do, one line each. `folded` entries are
-- shown as one line.
select log.seq, log.at, actor.name as actor, actor.kind as kind, log.act, log.subject, log.summary,
    coalesce(message.folded, 0) as folded
from log
join member as actor on actor.id = log.actor
left join message on message.seq = log.seq
where log.seq > :after and log.outcome <> 'refused'
order by log.seq
limit :limit

-- name: stream_end
select log.seq, log.at, actor.name as actor, actor.kind as kind, log.act, log.subject, log.summary,
    coalesce(message.folded, 0) as folded
from log
join member as actor on actor.id = log.actor
left join message on message.seq = log.seq
where log.outcome <> 'refused'
order by log.seq desc
limit :limit

-- name: stream_before
-- The last visible entry up to a number, so that a reader could notice a loss.
select seq from log where seq <= :seq and outcome <> 'refused' order by seq desc limit 1

-- name: add_wake
insert into wake (member, seq, reason, subject, sender, line, at, folded)
values (:member, :seq, :reason, :subject, :sender, :line, :at, :folded)
on conflict do nothing

-- name: nth_newest_wake
-- When a sender woke a member, newest first. Folded wakes do not count.
select at from wake
where member = :member and sender = :sender and folded = 0
order by seq desc
limit 1 offset :offset

-- name: pending_wakes
select wake.seq, wake.reason, wake.subject, sender.name as sender, wake.line, wake.folded, wake.at,
    sender.kind
from wake
join member as sender on sender.id = wake.sender
where wake.member = :member and wake.seq > :after
order by wake.seq
limit :limit

-- name: count_pending_wakes
select count(*) as wakes from wake where member = :member and seq > :after

-- name: wakes_between
-- The newest wakes of a member in a range of numbers. A wake with several reasons appears once.
select distinct seq, at
from wake
where member = :member and seq > :after and seq <= :upto
order by seq desc
limit :limit

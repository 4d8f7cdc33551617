-- The log, and the wakes that its entries cause.

-- name: append_entry
insert into log (seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash)
values (:seq, :epoch, :at, :actor, :owner, :act, :subject, :outcome, :summary, :detail, :salt, :digest, :hash)

-- name: amend_entry
-- The newest entry of an act that looked at the log, before the act ends: nobody has seen it yet.
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

-- name: entries_after
-- The numbers of the entries after a number, in order. So do the next ones, of one member, act or subject.
select seq from log where seq > :after order by seq limit :limit

-- name: entries_of_actor_after
select seq from log where actor = :actor and seq > :after order by seq limit :limit

-- name: entries_of_actor_and_act_after
select seq from log where act = :act and actor = :actor and seq > :after order by seq limit :limit

-- name: entries_of_act_after
-- The index has them by member, so a page of each member's entries is found and joined.
select log.seq
from member
cross join log
where log.seq in (
    select of_one.seq from log as of_one
    where of_one.act = :act and of_one.actor = member.id and of_one.seq > :after
    order by of_one.seq
    limit :limit
)
order by log.seq
limit :limit

-- name: entries_of_subject_after
-- An empty filter matches everything.
select seq from log
where subject = :subject and seq > :after and (:actor = 0 or actor = :actor)
    and (cast(:act as text) = '' or act = :act)
order by seq
limit :limit

-- name: newest_entries
-- The same, counted from the end, newest first.
select seq from log order by seq desc limit :limit

-- name: newest_entries_of_actor
select seq from log where actor = :actor order by seq desc limit :limit

-- name: newest_entries_of_actor_and_act
select seq from log where act = :act and actor = :actor order by seq desc limit :limit

-- name: newest_entries_of_act
select log.seq
from member
cross join log
where log.seq in (
    select of_one.seq from log as of_one
    where of_one.act = :act and of_one.actor = member.id
    order by of_one.seq desc
    limit :limit
)
order by log.seq desc
limit :limit

-- name: newest_entries_of_subject
select seq from log
where subject = :subject and (:actor = 0 or actor = :actor) and (cast(:act as text) = '' or act = :act)
order by seq desc
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
-- A wake. It is folded if the sender woke this member as often as it may since a time; folded ones do not count, and the
-- room may always.
insert into wake (member, seq, reason, subject, sender, line, at, folded)
values (:member, :seq, :reason, :subject, :sender, :line, :at, case when exists (
    select 1 from (
        select earlier.at from wake as earlier
        where earlier.member = :member and earlier.sender = :sender and earlier.sender <> :room and earlier.folded = 0
        order by earlier.seq desc
        limit 1 offset :offset
    ) as nth
    where nth.at > :since
) then 1 else 0 end)
on conflict do nothing

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

-- name: waiting_now
-- The newest wakes that a member has not acknowledged, asks first: only what it has not acted on or answered since. The
-- plus keeps the entries of a busy member out of the search: those about the subject are few.
select found.reason, found.subject, sender.name as sender, found.asks
from (
    select wake.seq, wake.reason, wake.subject, wake.sender, coalesce(message.kind = 'ask', false) as asks
    from wake
    left join message on message.seq = wake.seq
    where wake.member = :member and wake.seq > :after
        and not exists (
            select 1 from log
            where log.subject in (
                wake.subject,
                coalesce(
                    (
                        select '@' || renamed.name
                        from former_name
                        join member as renamed on renamed.id = former_name.member
                        where former_name.name = substr(wake.subject, 2)
                    ),
                    wake.subject
                )
            ) and +log.actor = :member and log.seq > wake.seq and log.outcome = 'ok'
        )
        and not exists (
            select 1 from (
                select later.author from message as later
                where later.thread = message.thread and later.id > message.id
                order by later.id
                limit :looked_at
            ) as answer
            where answer.author = :member
        )
    order by wake.seq desc
    limit :looked_at
) as found
join member as sender on sender.id = found.sender
order by found.asks desc, found.seq desc
limit :limit

-- name: wakes_between
-- The newest wakes of a member in a range of numbers. A wake with several reasons appears once.
select distinct seq, at
from wake
where member = :member and seq > :after and seq <= :upto
order by seq desc
limit :limit

-- name: touch_entries
-- Changes nothing, in entries from all over the log: what a large act costs the disk.
update log set epoch = epoch
where seq in (
    with recursive place (seq) as (
        select 1
        union all
        select place.seq + :step from place where place.seq + :step <= :last
    )
    select seq from place
)

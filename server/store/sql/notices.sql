-- Notices for people outside the room, and the letters that carry them.

-- name: add_notice
insert into notice (member, seq, reason, subject, kind) values (:member, :seq, :reason, :subject, :kind)
on conflict do nothing

-- name: schedule_letter
-- The first of several notices sets the time at which all of them are considered.
insert into due (rule, subject, member, at, since, span)
values ('notice', :member, :member, :at, :now, 0)
on conflict (rule, subject, member) do nothing

-- name: notices_of
-- The notices of a letter, oldest first, with the texts behind them. Letter 0: notices that are in no letter yet.
select notice.seq, notice.reason, notice.subject, notice.kind, log.act, log.summary, log.detail, wake.line,
    wake.sender, sender.name as sender_name
from notice
join log on log.seq = notice.seq
left join wake on wake.member = notice.member and wake.seq = notice.seq and wake.reason = notice.reason
    and wake.subject = notice.subject
left join member as sender on sender.id = wake.sender
where notice.member = :member and notice.letter = :letter
order by notice.seq
limit :limit

-- name: put_in_letter
update notice set letter = :letter
where member = :member and seq = :seq and reason = :reason and subject = :subject

-- name: drop_notice
delete from notice where member = :member and seq = :seq and reason = :reason and subject = :subject

-- name: drop_notices
delete from notice where member = :member and letter = :letter

-- name: drop_told_notices
-- The notices of a letter are deleted once no delivery of it is pending.
delete from notice
where member = :member and letter = :letter
    and not exists (select 1 from delivery where delivery.letter = :letter and delivery.state = 'pending')

-- name: count_notices_held
select count(*) as notices from notice where letter = 0

-- name: count_deliveries
select count(*) as deliveries from delivery where state = 'pending'

-- name: newest_letter
select max(letter) as letter from delivery

-- name: nth_newest_letter
-- When a letter with notices was written to a person, newest first.
select max(at) as at from delivery
where member = :member and kind = 'notices'
group by letter
order by letter desc
limit 1 offset :offset

-- name: last_digest
-- Where in the log the newest digest of a person before a letter ended.
select upto from delivery
where member = :member and kind = 'digest' and letter < :letter
order by letter desc
limit 1

-- name: add_delivery
insert into delivery (letter, channel, member, kind, at, upto, state, next_at)
values (:letter, :channel, :member, :kind, :now, :upto, 'pending', :now)

-- name: due_deliveries
select delivery.letter, delivery.channel, delivery.member, member.name, delivery.kind, delivery.at, delivery.upto,
    delivery.tries
from delivery
join member on member.id = delivery.member
where delivery.state = 'pending' and delivery.next_at <= :now
order by delivery.next_at
limit :limit

-- name: next_delivery
select min(next_at) as at from delivery where state = 'pending' and next_at > :now

-- name: try_delivery_again
update delivery set tries = :tries, reason = :reason, next_at = :at
where letter = :letter and channel = :channel and state = 'pending'

-- name: end_delivery
update delivery set state = :state, tries = :tries, reason = :reason, ended_at = :now, said = :said
where letter = :letter and channel = :channel and state = 'pending'

-- name: last_told
-- How the newest letter of a channel ended, of those that were delivered or whose failure is in the log.
select state, ended_at from delivery
where member = :member and channel = :channel and (state = 'delivered' or said = 1)
order by letter desc
limit 1

-- name: newest_delivery
-- The newest letter of a channel in a state; an empty state matches every one.
select letter, state, reason, ended_at from delivery
where member = :member and channel = :channel and (cast(:state as text) = '' or state = :state)
order by letter desc
limit 1

-- name: forget_deliveries
-- Deletes old letters, the oldest first, except pending ones and a person's newest of each kind.
delete from delivery
where (letter, channel) in (
    select old.letter, old.channel from delivery as old
    where old.member = :member and old.at < :before and old.state <> 'pending'
        and old.letter not in (
            select max(newest.letter) from delivery as newest where newest.member = :member group by newest.kind
        )
    order by old.letter
    limit :limit
)

-- name: day_in_numbers
-- What members did in a part of the log. The room itself is left out.
select count(case when actor <> 1 then 1 end) as acts,
    count(distinct case when actor <> 1 then actor end) as members,
    count(case when act = 'complete_task' then 1 end) as completed,
    count(case when actor = 1 and act in ('overdue', 'escalate', 'stop_exchange') then 1
        when actor = 1 and act = 'presence' then 1 end) as stuck,
    count(case when act = 'notify' and outcome = 'failed' then 1 end) as undelivered,
    count(case when act in ('pause', 'kill') then 1 end) as stops
from log
where seq > :after and seq <= :upto and at > :since and outcome <> 'refused'

-- name: forget_every_notice
delete from notice

-- name: forget_every_letter
update delivery set state = 'left out', reason = 'the room was restored', ended_at = :now where state = 'pending'

-- The three steps of wakes: notified, woken, acted. Each is recorded when it is seen, of a bounded number of wakes.

-- name: newest_steps
-- What was seen of a member's newest wakes in a range of numbers. A wake with several reasons has a row for each.
select seq, listener, notified_at, woken_at, acted_at
from wake
where member = :member and seq > :after and seq <= :upto
order by seq desc
limit :limit

-- name: note_notified
-- The first time stays. The newest listener takes over what an earlier one was given and nobody acted on.
update wake set notified_at = coalesce(notified_at, :at), listener = :listener
where member = :member and (notified_at is null or (acted_at is null and listener <> :listener))
    and seq >= :from_seq and seq <= :upto

-- name: note_woken
-- Only of wakes that this listener was given, or one before it that the same harness started.
update wake set woken_at = :at
where member = :member and woken_at is null and notified_at is not null
    and substr(listener, 15) = substr(cast(:listener as text), 15)
    and seq >= :from_seq and seq <= :upto

-- name: note_acted_on
update wake set acted_at = :at
where member = :member and acted_at is null and seq >= :from_seq and seq <= :upto

-- name: count_unacted
-- Since when the newest wakes lead to no act: of the newest that were given to a listener, so many have none.
update presence set unacted_at = (
    select case when count(*) = :most and count(newest.acted_at) = 0 then max(newest.notified_at) end
    from (
        select recent.notified_at, recent.acted_at
        from (
            select seq, max(notified_at) as notified_at, max(acted_at) as acted_at
            from wake
            where member = :member
            group by seq
            order by seq desc
            limit :looked_at
        ) as recent
        where recent.notified_at is not null
        order by recent.seq desc
        limit :most
    ) as newest
)
where member = :member and unacted_at is null

-- name: unacted_at
select unacted_at from presence where member = :member

-- name: keep_woken
update presence set woken = :woken, verified = :verified where member = :member

-- name: verified
select verified from presence where member = :member

-- name: forget_unacted
-- The member itself acted on its wakes up to a number.
update presence
set woken = case when woken <= :upto then 0 else woken end, unacted_at = null, lost_runs = 0, verified = :verified
where member = :member

-- name: count_lost_runs
update presence set lost_runs = :runs where member = :member

-- name: steps_of_message
-- What was seen of a message's wakes, by addressee; without an `at`, it did not wake that one.
select member.id, member.name, member.kind, member.owner, min(wake.at) as at, min(wake.notified_at) as notified_at,
    min(wake.woken_at) as woken_at, min(wake.acted_at) as acted_at
from addressee
join message on message.id = addressee.message
join member on member.id = addressee.member
left join wake on wake.member = addressee.member and wake.seq = message.seq
where addressee.message = :message
group by member.id, member.name, member.kind, member.owner
order by member.name
limit :limit

-- Messages and whom they address.

-- name: add_message
insert into message (id, seq, author, at, kind, summary, text, reply_to, thread, task, folded)
values (:id, :seq, :author, :at, :kind, :summary, :text, :reply_to, :thread, :task, :folded)

-- name: add_addressee
insert into addressee (message, member, author, turn, lap) values (:message, :member, :author, :turn, :lap)
on conflict do nothing

-- name: message
select message.id, message.seq, author.name as author, author.kind as author_kind, message.at, message.kind,
    message.summary, message.text, message.reply_to, message.thread, message.task
from message
join member as author on author.id = message.author
where message.id = :id

-- name: messages_after
-- Messages after a log number, in order.
select message.id, message.seq, author.name as author, author.kind as author_kind, message.at, message.kind,
    message.summary, message.text, message.reply_to, message.thread, message.task
from message
join member as author on author.id = message.author
where message.seq > :after
order by message.seq
limit :limit

-- name: newest_messages
-- The same from the end, newest first.
select message.id, message.seq, author.name as author, author.kind as author_kind, message.at, message.kind,
    message.summary, message.text, message.reply_to, message.thread, message.task
from message
join member as author on author.id = message.author
order by message.seq desc
limit :limit

-- name: message_before
-- The last message up to a log number.
select id, seq from message where seq <= :seq order by seq desc limit 1

-- name: thread_from
-- The messages of a thread from one on, in order; those that address a member, where it is not 0.
select message.id
from message
where message.thread = :thread and message.id >= :first
    and (cast(:mention as bigint) = 0
        or exists (select 1 from addressee where addressee.message = message.id and addressee.member = :mention))
order by message.id
limit :limit

-- name: thread_before
-- The same before one, newest first.
select message.id
from message
where message.thread = :thread and message.id < :end
    and (cast(:mention as bigint) = 0
        or exists (select 1 from addressee where addressee.message = message.id and addressee.member = :mention))
order by message.id desc
limit :limit

-- name: mentions_from
-- The messages that address a member, from one on, in order.
select message from addressee where member = :mention and message >= :first order by message limit :limit

-- name: mentions_before
select message from addressee where member = :mention and message < :end order by message desc limit :limit

-- name: nth_newest_of_kind
-- When a member posted a message of a kind, newest first. Folded messages do not count. Without the cast, SQLite would
-- prepare the statement at each call: see `board_in_state`.
select entry_age.at
from entry_age
where entry_age.seq = (
    select message.seq from message
    where message.author = :author and message.kind = cast(:kind as text) and message.folded = 0
    order by message.id desc
    limit 1 offset :offset
)

-- name: last_turns
-- The newest message from one member to another, and the newest in the other direction.
select turn.message, turn.author, turn.turn, turn.lap, message.seq
from (
    select * from (
        select message, author, turn, lap from addressee where member = :other and author = :one
        order by message desc limit 1
    ) as said
    union all
    select * from (
        select message, author, turn, lap from addressee where member = :one and author = :other
        order by message desc limit 1
    ) as heard
) as turn
join message on message.id = turn.message

-- name: unwoken_replies
-- Of the newest messages to a member since an entry of the log, those that did not wake it, the newest first.
select message.id, author.name as author, message.summary
from (
    select addressee.message from addressee
    where addressee.member = :member
        and addressee.message > coalesce((select id from message where seq <= :after order by seq desc limit 1), 0)
    order by addressee.message desc
    limit :looked_at
) as newest
join message on message.id = newest.message
join member as author on author.id = message.author
where not exists (select 1 from wake where wake.member = :member and wake.seq = message.seq)
order by message.id desc
limit :limit

-- name: asks_to_member
-- Asks to a member that it has not answered, the oldest first: those that it is reminded of, and those among the newest
-- messages to it, up to a number of each.
with asked (message) as (
    select reminded.subject
    from (select subject from due where member = :member and rule = 'ask' limit :looked_at) as reminded
    union
    select newest.message
    from (
        select message from addressee where member = :member order by message desc limit :looked_at
    ) as newest
)
select message.id, message.summary, author.name as author, message.at, message.task
from asked
join message on message.id = asked.message and message.kind = 'ask'
join member as author on author.id = message.author
where not exists (
    select 1 from message as answer
    where answer.thread = message.thread and answer.author = :member and answer.id > message.id
)
order by message.id
limit :limit

-- name: answered_mentions
-- Messages that woke a member since a number, and in whose thread it has posted since. The plus is as above.
select message.id
from wake
join message on message.seq = wake.seq
where wake.member = :member and wake.seq > :after and exists (
    select 1 from message as answer
    where answer.thread = message.thread and answer.author = :member and answer.id > message.id
)
order by wake.seq
limit :limit

-- name: heard_before
-- The newest message from an agent to a member, from one message on and before another.
select addressee.message, addressee.author, addressee.turn, addressee.lap, message.seq
from addressee
join message on message.id = addressee.message
where addressee.member = :member and addressee.message >= :first and addressee.message < :before
    and addressee.turn > 0
order by addressee.message desc
limit 1

-- name: newest_stops_of_exchanges
-- What the room's newest announcements of stopped exchanges say in detail, since an entry.
select detail from log
where act = 'stop_exchange' and actor = :room and seq > :after and detail is not null
order by seq desc
limit :limit

-- name: others_took_part
-- Whether, since a message and its entry, a person wrote to either of two members or in the thread, or anybody else than
-- the two and the room moved a task of either. Looks at their tasks that changed last, and at the newest entries of each.
select 1 as found
where exists (select 1 from addressee where member = :one and turn = 0 and message > :message)
    or exists (select 1 from addressee where member = :other and turn = 0 and message > :message)
    or exists (
        select 1 from message
        join member on member.id = message.author
        where message.thread = :thread and message.id > :message and member.kind = 'human'
    )
    or exists (
        select 1
        from (
            select id from (
                select id from task where holder = :one and changed_seq > :seq
                order by changed_seq desc limit :looked_at
            ) as held
            union all
            select id from (
                select id from task where creator = :one and changed_seq > :seq
                order by changed_seq desc limit :looked_at
            ) as created
            union all
            select id from (
                select id from task where holder = :other and changed_seq > :seq
                order by changed_seq desc limit :looked_at
            ) as held_by_other
            union all
            select id from (
                select id from task where creator = :other and changed_seq > :seq
                order by changed_seq desc limit :looked_at
            ) as created_by_other
        ) as changed
        cross join task_entry
        where task_entry.task = changed.id and task_entry.kind not in ('created', 'late')
            and task_entry.member not in (:one, :other, :room)
            and task_entry.seq in (
                select entry.seq from task_entry as entry
                where entry.task = changed.id and entry.seq > :seq
                order by entry.seq desc
                limit :looked_at
            )
    )

-- name: member_facts
-- The facts behind the forecast for one addressee.
select member.id, member.name, member.kind, member.owner, member.mode,
-- use: facts
from member
left join member_presence as presence on presence.member = member.id
left join member_wakes as wakes on wakes.member = member.id
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where member.id = coalesce(
    (select id from member where folded = lower(cast(:name as text))),
    (select former_name.member from former_name where folded = lower(cast(:name as text)) limit 1)
) and member.kind <> 'room'

-- name: members_by_call
-- Members that may act, the most recent caller first; those that never called come last.
select member.id, member.name, member.kind, member.owner, member.mode,
-- use: facts
from (
    select presence.member from presence
    join member on member.id = presence.member
    join standing as own on own.scope = 'member' and own.target = member.id and own.state = 'active'
    where member.kind <> 'room' and member.role <> 'observer'
    order by presence.last_call_at desc
    limit :limit
) as called
join member on member.id = called.member
join member_presence as presence on presence.member = called.member
left join member_wakes as wakes on wakes.member = called.member
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
order by presence.last_call_at desc, member.id

-- name: live_members
-- Members that may be live, the most recent caller first. The caller checks each one's standing and presence.
select member.id, member.name, member.kind, member.owner, member.mode,
-- use: facts
from member
join member_presence as presence on presence.member = member.id
left join member_wakes as wakes on wakes.member = member.id
left join trouble on trouble.member = member.id
join member_standing as levels on levels.member = member.id
where member.kind <> 'room' and member.role <> 'observer' and member.id <> :author
    and (presence.last_call_at >= :since or presence.busy_until > :now)
order by presence.last_call_at desc, member.id
limit :limit

-- name: newest_up_to
-- The sizes of a page of messages, the newest first.
select id, length(summary) + length(text) as characters from message where id <= :upto order by id desc limit :limit

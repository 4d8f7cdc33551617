-- Messages and whom they address.

-- name: add_message
insert into message (id, seq, author, at, kind, summary, text, reply_to, thread, task)
values (:id, :seq, :author, :at, :kind, :summary, :text, :reply_to, :thread, :task)

-- name: add_addressee
insert into addressee (message, member) values (:message, :member) on conflict do nothing

-- name: message
select message.id, message.seq, author.name as author, author.kind as author_kind, author.owner as author_owner,
    message.author as author_id, message.at, message.kind, message.summary, message.text, message.reply_to,
    message.thread, message.task
from message
join member as author on author.id = message.author
where message.id = :id

-- name: messages_after
-- In order after a log number. Filters that are empty, or 0, do not filter.
select message.id, message.seq, author.name as author, author.kind as author_kind, message.at, message.kind,
    message.summary, message.text, message.reply_to, message.thread, message.task
from message
join member as author on author.id = message.author
where message.seq > :after
    and (cast(:thread as bigint) = 0 or message.thread = :thread)
    and (cast(:query as text) = '' or lower(message.text) like :query escape '\')
    and (cast(:mention as bigint) = 0
        or exists (select 1 from addressee where addressee.message = message.id and addressee.member = :mention))
order by message.seq
limit :limit

-- name: newest_messages
-- The same from the end, newest first.
select message.id, message.seq, author.name as author, author.kind as author_kind, message.at, message.kind,
    message.summary, message.text, message.reply_to, message.thread, message.task
from message
join member as author on author.id = message.author
where (cast(:thread as bigint) = 0 or message.thread = :thread)
    and (cast(:query as text) = '' or lower(message.text) like :query escape '\')
    and (cast(:mention as bigint) = 0
        or exists (select 1 from addressee where addressee.message = message.id and addressee.member = :mention))
order by message.seq desc
limit :limit

-- name: message_before
-- The number of the last message that a filter shows up to a number, so that a reader could notice a loss.
select message.seq
from message
where message.seq <= :seq
    and (cast(:thread as bigint) = 0 or message.thread = :thread)
    and (cast(:mention as bigint) = 0
        or exists (select 1 from addressee where addressee.message = message.id and addressee.member = :mention))
order by message.seq desc
limit 1

-- name: member_facts
-- What a forecast is made of, for one addressee.
select member.id, member.name, member.kind, member.owner, member.mode, presence.last_call_at, presence.busy_until,
    own.state as own_state, own.until as own_until,
    owners.state as owner_state, owners.until as owner_until,
    room.state as room_state, room.until as room_until
from member
left join presence on presence.member = member.id
left join standing as own on own.scope = 'member' and own.target = member.id
left join standing as owners on owners.scope = 'owner' and owners.target = member.owner
left join standing as room on room.scope = 'room' and room.target = 0
where member.name = :name and member.kind <> 'room'

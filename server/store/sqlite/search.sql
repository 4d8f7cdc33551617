-- Search by words, with SQLite's full-text index. Words are separated by one space and contain no quote, so that each
-- is a quoted phrase and never syntax. The last one may be the beginning of a word.

-- name: index_messages
-- Runs before each commit, so that its messages can be searched.
insert into message_text (rowid, summary, text) select id, summary, text from message where id > :after

-- name: unindex_message
-- Removes a message from the index. It must run before the text changes, because the index needs the old text.
insert into message_text (message_text, rowid, summary, text)
select 'delete', message.id, message.summary, message.text
from message
where message.seq = :seq and exists (select 1 from message_text_docsize as indexed where indexed.id = message.id)

-- name: tidy_index
-- Merges some pages of the index, without what was removed from it.
insert into message_text (message_text, rank) values ('merge', :pages)

-- name: best_matches
-- The best of the newest matches, best first.
select found.id
from (
    select rowid as id, bm25(message_text) as rank
    from message_text
    where message_text match '"' || replace(:words, ' ', '" "') || '"*'
    order by rowid desc
    limit :looked_at
) as found
order by found.rank, found.id desc
limit :limit

-- name: matches_before
-- Newest first, in a range of messages. Filters that are 0 do not filter.
select message.id
from message_text
cross join message on message.id = message_text.rowid
where message_text match '"' || replace(:words, ' ', '" "') || '"*'
    and message_text.rowid >= :first and message_text.rowid < :end
    and (:thread = 0 or message.thread = :thread)
    and (:mention = 0 or exists (select 1 from addressee where message = message.id and member = :mention))
order by message_text.rowid desc
limit :limit

-- name: matches_from
-- The same, oldest first.
select message.id
from message_text
cross join message on message.id = message_text.rowid
where message_text match '"' || replace(:words, ' ', '" "') || '"*'
    and message_text.rowid >= :first and message_text.rowid < :end
    and (:thread = 0 or message.thread = :thread)
    and (:mention = 0 or exists (select 1 from addressee where message = message.id and member = :mention))
order by message_text.rowid
limit :limit

-- Search by words, with SQLite's full-text index: `index_words` divides texts into words, and `:words` is an expression
-- that `parse_search` made of quoted phrases, so that nothing in it is syntax.

-- name: index_messages
-- Runs before each commit, so that its messages can be searched.
insert into message_text (rowid, summary, text)
select id, index_words(summary), index_words(text) from message where id > :after

-- name: index_older_messages
-- The same for a range of messages of an earlier release.
insert into message_text (rowid, summary, text)
select id, index_words(summary), index_words(text) from message where id > :after and id <= :upto

-- name: unindex_message
-- Removes a message from the index. It must run before the text changes, because the index needs the old text.
insert into message_text (message_text, rowid, summary, text)
select 'delete', message.id, index_words(message.summary), index_words(message.text)
from message
where message.seq = :seq and exists (select 1 from message_text_docsize as indexed where indexed.id = message.id)

-- name: has_unindexed_task
select 1 from unindexed_task limit 1

-- name: index_tasks
-- Runs before each commit in which the words of tasks are new: the newest tasks first.
insert into task_text (rowid, title, detail)
select id, index_words(title), index_words(detail) from task
where id in (select task from unindexed_task order by task desc limit :limit)

-- name: note_indexed_tasks
delete from unindexed_task where task in (select task from unindexed_task order by task desc limit :limit)

-- name: tidy_messages
-- Merges some pages of the index of messages, without what was removed from it.
insert into message_text (message_text, rank) values ('merge', :pages)

-- name: tidy_tasks
-- The same for the index of tasks.
insert into task_text (task_text, rank) values ('merge', :pages)

-- name: newest_matches
-- The newest matches, newest first, with the beginning of what they say. The index's own ranking would count every
-- message that holds one of the words.
-- use: beginning_of_message
from (select rowid as id from message_text where message_text match :words order by rowid desc limit :limit) as found
cross join message on message.id = found.id
order by found.id desc

-- part: matches_in_range
select message.id
from message_text
cross join message on message.id = message_text.rowid
where message_text match :words
    and message_text.rowid >= :first and message_text.rowid < :end

-- name: matches_before
-- Newest first, in a range of messages.
-- use: matches_in_range
-- use: in_thread_and_mentioning
order by message_text.rowid desc
limit :limit

-- name: matches_from
-- The same, oldest first.
-- use: matches_in_range
-- use: in_thread_and_mentioning
order by message_text.rowid
limit :limit

-- name: board_matches
-- The tasks among the next matches that are in a state, in order.
-- use: task_columns
from (
    select rowid as id from task_text
    where task_text match :words and rowid > :after
    order by rowid
    limit :looked_at
) as found
cross join task on task.id = found.id
-- use: task_joins
-- use: tasks_in_state

-- name: last_match
-- The last of the matches that one page of the board looks at; none if there are fewer.
select rowid from task_text where task_text match :words and rowid > :after order by rowid limit 1 offset :looked_at - 1

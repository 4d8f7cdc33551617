-- Search by words, with PostgreSQL's full-text search: `words.py` divides texts and searches into words.

-- name: new_messages
-- The messages of this transaction, whose words are written before it is committed.
select id, summary, text from message where id > :after order by id limit :limit

-- name: index_messages
-- Their words, as a list in JSON.
insert into message_words (message, words)
select cast(value ->> 0 as bigint), cast(value ->> 1 as tsvector)
from json_array_elements(cast(:rows as json)) as found (value)
on conflict (message) do nothing

-- name: index_older_messages
-- A room comes into PostgreSQL with its words.
delete from message_words where message > :after and message <= :upto and false

-- name: unindex_message
-- Removes a message from the index.
delete from message_words where message in (select id from message where seq = :seq)

-- name: has_unindexed_task
select 1 from unindexed_task limit 1

-- name: unindexed_tasks
-- The tasks whose words are new, the newest first.
select id, title, detail from task
where id in (select task from unindexed_task order by task desc limit :limit)
order by id desc

-- name: index_tasks
insert into task_words (task, words)
select cast(value ->> 0 as bigint), cast(value ->> 1 as tsvector)
from json_array_elements(cast(:rows as json)) as found (value)
on conflict (task) do update set words = excluded.words

-- name: note_indexed_tasks
delete from unindexed_task where task in (select task from unindexed_task order by task desc limit :limit)

-- name: newest_matches
-- The newest matches, newest first, with the beginning of what they say. The planner does not know how common a word is,
-- and what it would choose for one word looks at every message for another. So it has no choice. The newest 2000
-- messages are looked at one by one: `ts_match_vq` is `@@` without the index. Then the index finds what matches in the
-- two blocks of 16384 messages before them, and in eight times as many blocks each time, until enough is found: each
-- time, it also looks through all the words that wait to be put into the index.
with recursive looked (before, blocks, matches) as (
    select newest.message - 1999, cast(2 as bigint), array(
        select message from message_words
        where message > newest.message - 2000 and ts_match_vq(words, cast(:words__query as tsquery))
        order by message desc
        limit :limit
    )
    from (select coalesce(max(message), 0) as message from message_words) as newest
    union all
    select piece.first * 16384, looked.blocks * 8, looked.matches || array(
        select message from message_words
        where words @@ cast(:words__query as tsquery)
            and array[message / 16384] && array(select generate_series(piece.first, piece.last))
            and message + 0 < looked.before
        order by message + 0 desc
        limit :limit
    )
    from looked
    cross join lateral (
        select greatest((looked.before - 1) / 16384 - looked.blocks + 1, 0) as first, (looked.before - 1) / 16384 as last
    ) as piece
    where looked.before > 1 and cardinality(looked.matches) < :limit
)
-- use: beginning_of_message
from (
    select unnest(whole.matches) as id from (select matches from looked order by before limit 1) as whole limit :limit
) as found
join message on message.id = found.id
order by found.id desc

-- part: matches_in_range
select message.id
from message_words
join message on message.id = message_words.message
where message_words.words @@ cast(:words__query as tsquery)
    and message_words.message >= :first and message_words.message < :end
    and message.id >= :first and message.id < :end

-- name: matches_before
-- Newest first, in a range of messages.
-- use: matches_in_range
-- use: in_thread_and_mentioning
order by message.id desc
limit :limit

-- name: matches_from
-- The same, oldest first.
-- use: matches_in_range
-- use: in_thread_and_mentioning
order by message.id
limit :limit

-- name: board_matches
-- The tasks among the next matches that are in a state, in order.
-- use: task_columns
from (
    select task as id from task_words
    where words @@ cast(:words__query as tsquery) and task > :after
    order by task
    limit :looked_at
) as found
join task on task.id = found.id
-- use: task_joins
-- use: tasks_in_state

-- name: last_match
-- The last of the matches that one page of the board looks at; none if there are fewer.
select task from task_words where words @@ cast(:words__query as tsquery) and task > :after order by task limit 1
offset cast(:looked_at as bigint) - 1

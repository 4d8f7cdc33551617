-- What only PostgreSQL understands: how connections are set up, and how transactions begin and end.

-- name: set_up
-- An act is durable once it is answered. Every statement is made for an index, and what a room reads is in memory: what
-- PostgreSQL assumes of a slow disk makes it read whole tables instead, with several processes.
set client_encoding to 'utf8';
set synchronous_commit to on;
set lock_timeout to '1500ms';
set standard_conforming_strings to on;
set jit to off;
set random_page_cost to '1.1';
set max_parallel_workers_per_gather to 0

-- name: hold_briefly
-- A server that is cut off, or stands still, holds the head for less time than others wait for it.
set idle_in_transaction_session_timeout to '1400ms'

-- name: only_reads
set default_transaction_read_only to on;
set default_transaction_isolation to 'repeatable read'

-- name: begin_write
-- The head is locked first. What it holds then is read in a later statement, which sees what was committed by then. So
-- does every statement of the acts that follow.
begin isolation level read committed read write;
select id from head where id = 1 for update;
savepoint act;
select epoch, seq, hash, members, messages, tasks, offers, room_at, ahead,
    (select since from recording where recording.id = 1) as recording_since,
    cast(extract(epoch from clock_timestamp()) as double precision) as wall
from head
where id = 1

-- name: begin_read
-- What it returns names the snapshot: two with the same text see the same.
begin;
select cast(pg_current_snapshot() as text) as ended

-- name: savepoint
savepoint act

-- name: release
-- The act before it is whole.
release savepoint act

-- name: undo
rollback to savepoint act

-- name: commit
commit

-- name: rollback
rollback

-- name: begin_migrations
-- One server migrates at a time.
begin;
select pg_advisory_xact_lock(hashtext('teamroom ' || current_schema()))

-- name: hold_head
-- Acts of servers that have the room open wait until the schema is changed.
select id from head where id = 1 for update

-- name: wall_clock
-- The database's own wall clock.
select cast(extract(epoch from clock_timestamp()) as double precision) as wall

-- name: has_room
-- Whether the schema of this connection holds tables of a room.
select count(*) as tables from pg_tables where schemaname = current_schema() and tablename = 'head'

-- name: schema
select current_schema() as schema, current_database() as database

-- name: notify
select pg_notify(:channel, :payload)

-- name: entries_between
-- The entries that another server wrote, without their content: the chain covers its digest.
select seq, epoch, at, actor, owner, act, subject, outcome, digest, hash
from log
where seq > :after
order by seq
limit :limit

-- name: hash_of
select hash from log where seq = :seq

-- name: places
-- Every column of every table, such as task.holder.
select table_name || '.' || column_name as place
from information_schema.columns
where table_schema = current_schema()

-- name: look_at_head
-- What a server looks at several times a second: the end of the log, and the room's clock.
select seq, room_at, ahead, cast(extract(epoch from clock_timestamp()) as double precision) as wall
from head
where id = 1

-- name: stopped_members
-- The members that a stop binds now, and whether they were killed.
select member, case when own_state = 'killed' then 1 else 0 end as was_killed
from member_standing
join member on member.id = member_standing.member
where own_state = 'killed'
    or (own_state = 'paused' and coalesce(own_until, 1e300) > :now)
    or (member.kind = 'agent' and owner_state = 'paused' and coalesce(owner_until, 1e300) > :now)
    or (member.kind = 'agent' and room_state = 'paused' and coalesce(room_until, 1e300) > :now)

-- name: revoked_lately
select id from token where revoked_at >= :since

-- name: table_places
-- The same of tables alone, in order.
select columns.table_name || '.' || columns.column_name as place
from information_schema.columns as columns
join pg_tables on pg_tables.schemaname = columns.table_schema and pg_tables.tablename = columns.table_name
where columns.table_schema = current_schema()
order by columns.table_name, columns.ordinal_position

-- name: references
-- Which table refers to which.
select cast(conrelid as regclass)::text as one, cast(confrelid as regclass)::text as other
from pg_constraint
where contype = 'f' and connamespace = cast(current_schema() as regnamespace)

-- name: count_servers
-- The servers that have the room open. Their signs are in room time.
select count(*) as servers
from server
join head on head.id = 1
where server.until > cast(extract(epoch from clock_timestamp()) as double precision) - head.ahead

-- name: servers_seen
-- The servers of a room, and how many seconds ago each was seen, by its sign and by the head's clock.
select server.id, cast(extract(epoch from clock_timestamp()) as double precision) - head.ahead - server.until as seconds
from server
join head on head.id = 1
order by server.until desc
limit :limit

-- name: duties_held
-- Which server does which duty, and for how many seconds more.
select duty, holder, until - (cast(extract(epoch from clock_timestamp()) as double precision) - head.ahead) as seconds
from (
    select duty, holder, until from lease
    union all
    select 'supervisor', holder, until from supervisor
) as held
join head on head.id = 1
order by duty

-- The head row: number, hash and epoch of the log, and the counters of ids.

-- name: lock_head
-- PostgreSQL locks the row here. SQLite already holds its one write lock.
select epoch, seq, hash, members, messages, tasks, offers, room_at, ahead,
    (select since from recording where recording.id = 1) as recording_since
from head
where id = 1

-- name: counted_ids
select members, messages, tasks, offers from head where id = 1

-- name: read_head
select epoch, seq, hash, created_at from head where id = 1

-- name: open_head
insert into head (id, created_at, epoch, seq, hash, members, messages, tasks, offers, room_at)
values (1, :created_at, 1, 0, :hash, 0, 0, 0, 0, :created_at)

-- name: save_head
update head
set seq = :seq, hash = :hash, members = :members, messages = :messages, tasks = :tasks, offers = :offers,
    room_at = :room_at, ahead = :ahead
where id = 1

-- name: clock_state
-- The room's clock as it was last saved.
select room_at as now, ahead from head where id = 1

-- name: note_step
-- From the next entry on, the wall clock is ahead by so much.
insert into clock_step (seq, ahead) values (:seq, :ahead)
on conflict (seq) do update set ahead = :ahead

-- name: move_digests
-- What is due at a time of the wall clock stays due at that time.
update due set at = at - :moved where rule = 'digest'

-- name: look_at_notices_again
-- Letters may wait for the end of the quiet hours, which are now at another time.
update due set at = :now where rule = 'notice' and at > :now

-- name: look_at_letters_again
update delivery set next_at = :now where state = 'pending' and next_at - 3600 > :now

-- name: create_migrations
create table if not exists migration (number integer primary key, name text not null, applied_at double precision not null)

-- name: migrations
select number, name from migration order by number

-- name: largest_ids
select
    (select coalesce(max(id), 0) from member) as members,
    (select coalesce(max(id), 0) from message) as messages,
    (select coalesce(max(id), 0) from task) as tasks,
    (select coalesce(max(id), 0) from offer) as offers

-- name: was_migrated
select count(*) as applied from migration where number = :number

-- name: record_migration
insert into migration (number, name, applied_at) values (:number, :name, :applied_at)

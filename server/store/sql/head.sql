-- The head row: number, hash and epoch of the log, and the counters of ids.

-- name: lock_head
-- PostgreSQL locks the row here. SQLite already holds its one write lock.
select epoch, seq, hash, members, messages, tasks, offers from head where id = 1

-- name: read_head
select epoch, seq, hash, created_at from head where id = 1

-- name: open_head
insert into head (id, created_at, epoch, seq, hash, members, messages, tasks, offers)
values (1, :created_at, 1, 0, :hash, 0, 0, 0, 0)

-- name: save_head
update head
set seq = :seq, hash = :hash, members = :members, messages = :messages, tasks = :tasks, offers = :offers
where id = 1

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

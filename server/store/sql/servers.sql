-- The servers of a room that several have open, and the duties that one of them does at a time.

-- name: sign_of_server
insert into server (id, until, listens, connected) values (:id, :until, :listens, :connected)
on conflict (id) do update set until = :until, listens = :listens, connected = :connected

-- name: other_servers
select id, listens, connected from server where id <> :id and until > :now order by id limit :limit

-- name: end_server
delete from server where id = :id

-- name: forget_servers
delete from server where until < :before

-- name: lease
select holder, fence, until from lease where duty = :duty

-- name: take_lease
insert into lease (duty, holder, fence, until) values (:duty, :holder, 1, :until)
on conflict (duty) do update set holder = :holder, fence = lease.fence + 1, until = :until

-- name: keep_lease
update lease set until = :until where duty = :duty

-- name: end_leases
-- A server that stops lets others take over at once.
update lease set until = 0 where holder = :holder

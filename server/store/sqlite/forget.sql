-- Remembered calls that are forgotten, a page at a time: SQLite finds each by its row id.

-- name: forget_requests
delete from request where rowid in (select rowid from request where until < :now order by until limit :limit)

-- name: forget_claims
-- A remembered claim contains the whole task. Repeating one returns the current task.
delete from request
where rowid in (select rowid from request where act = 'claim_task' and at <= :upto order by at limit :limit)

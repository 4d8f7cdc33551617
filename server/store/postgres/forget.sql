-- Remembered calls that are forgotten, a page at a time.

-- name: forget_requests
delete from request where (member, key) in (select member, key from request where until < :now order by until limit :limit)

-- name: forget_replies
-- The replies of an act that were remembered up to a time.
delete from request
where (member, key) in (select member, key from request where act = :act and at <= :upto order by at limit :limit)

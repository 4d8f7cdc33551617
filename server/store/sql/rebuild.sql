-- What is read to rebuild rows from the log.

-- name: keep_part
insert into kept (seq, redaction, part) values (:seq, :redaction, :part)

-- name: kept_part
select part from kept where seq = :seq

-- name: kept_of_redaction
select seq, part from kept where redaction = :redaction order by seq

-- name: begin_recording
-- From this entry on, the log records rows. Without this row it would begin again, which `verify` finds.
insert into recording (id, since) values (1, :seq)

-- name: forget_recording
-- A person accepted the log as it is: the act lists all rows again.
delete from recording

-- name: content_of
select detail from log where seq = :seq

-- name: wrong_share
-- The first member whose share of upheld work does not follow from its verdicts.
select counted.member
from (
    select completer as member, count(*) as reviewed, sum(upheld) as upheld from verdict group by completer
    union all
    select member, -reviewed, -upheld from share
) as counted
group by counted.member
having sum(counted.reviewed) <> 0 or sum(counted.upheld) <> 0
order by counted.member
limit 1

-- name: wrong_waits
-- The first task whose number of unfinished dependencies does not follow from them.
select task.id
from task
where task.waits <> (
    select count(*) from dependency
    join task as before on before.id = dependency.needs_task
    where dependency.task = task.id and before.state not in ('done', 'cancelled')
)
order by task.id
limit 1

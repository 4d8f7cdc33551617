-- Where tasks come from: the ids and dates that they have elsewhere.

-- name: origin_of
select task, external, given, seq, created_date, closed_date from origin where task = :task

-- name: origin_named
-- The task with this id elsewhere, also if a redaction has hidden the id.
select task, external, given, seq, created_date, closed_date
from origin
where external in (:external, :hidden)
order by task
limit 1

-- name: add_origin
insert into origin (task, external, given, seq, created_date, closed_date)
values (:task, :external, :given, :seq, :created_date, :closed_date)

-- name: renew_origin
update origin set seq = :seq, created_date = :created_date, closed_date = :closed_date where task = :task

-- name: hide_origin
update origin set external = :hidden, given = '' where task = :task

-- name: put_imported
-- What an import writes into a task that nobody has changed here.
update task
set title = :title, detail = :detail, priority = :priority, due = :due, state = :state, summary = :summary,
    changed_seq = :seq
where id = :id

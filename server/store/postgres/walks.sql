-- Walks along an index from one value to the next, and lists. A recursive query counts its steps.

-- name: reviews_of_lost
-- The oldest completions of each reviewer that may be unavailable, the oldest first. Each reviewer is found in the index
-- by the one before.
with recursive asked (reviewer, place) as (
    select cast(0 as bigint), 1
    union all
    select (
        select coalesce(task.reviewer, 0) from task
        where task.state = 'in_review' and coalesce(task.reviewer, 0) > asked.reviewer
        order by coalesce(task.reviewer, 0), task.completed_at, task.id
        limit 1
    ), asked.place + 1
    from asked
    where asked.reviewer is not null and asked.place < :reviewers
)
-- use: lost_reviews
from asked
join member as reviewer on reviewer.id = asked.reviewer
cross join lateral (
    select oldest.id, oldest.title, oldest.review, oldest.reviewer, oldest.completed_by, oldest.completed_at
    from task as oldest
    where oldest.state = 'in_review' and coalesce(oldest.reviewer, 0) = asked.reviewer
    order by oldest.completed_at, oldest.id
    limit :each
) as task
-- use: whose_reviewer_is_lost

-- name: senders_to
-- A page of the members that woke a member, by number, and whether it has not acknowledged one of their wakes. Each is
-- found in the index by the one before.
with recursive woke (sender, place) as (
    select (select min(sender) from wake where member = :member and sender > :past), 1
    union all
    select (select min(wake.sender) from wake where wake.member = :member and wake.sender > woke.sender), woke.place + 1
    from woke
    where woke.sender is not null and woke.place < :limit
)
-- use: senders_that_wait

-- name: tokens_by_hashes
-- The tokens with the hashes of a list, which is JSON.
-- use: token_columns
from json_array_elements_text(cast(:hashes as json)) as given (value)
join token on token.hash = given.value
-- use: token_joins

-- name: needed_tasks
-- The tasks of a list, which is JSON, and how many tasks depend on each, counted up to a number.
-- use: tasks_with_dependents
from json_array_elements_text(cast(:tasks as json)) as needed (value)
join task on task.id = cast(needed.value as bigint)

-- name: best_open_task
-- Among the open tasks that are assigned to a member, or to nobody (0), and whose first need is this: the first one that
-- a member can do. Ordered by priority, due time and age; an index has them in that order. A repair is claimed by its
-- name only, by watchdogs.
-- use: open_task_that_a_member_can_do
        select 1 from json_array_elements_text(case when task.requires = '' then '[]' else task.requires end::json)
            as required (value)
-- use: that_the_member_may_not_do

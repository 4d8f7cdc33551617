-- Walks along an index from one value to the next, and lists. A recursive query stops at its limit.

-- name: reviews_of_lost
-- The oldest completions of each reviewer that may be unavailable, the oldest first. Each reviewer is found in the index
-- by the one before.
with recursive asked (reviewer) as (
    select 0
    union all
    select (
        select coalesce(task.reviewer, 0) from task indexed by task_in_review
        where task.state = 'in_review' and coalesce(task.reviewer, 0) > asked.reviewer
        order by coalesce(task.reviewer, 0), task.completed_at, task.id
        limit 1
    )
    from asked
    where asked.reviewer is not null
    limit :reviewers
)
-- use: lost_reviews
from asked
cross join member as reviewer on reviewer.id = asked.reviewer
cross join task on task.id in (
    select oldest.id from task as oldest
    where oldest.state = 'in_review' and coalesce(oldest.reviewer, 0) = asked.reviewer
    order by oldest.completed_at, oldest.id
    limit :each
)
-- use: whose_reviewer_is_lost

-- name: senders_to
-- A page of the members that woke a member, by number, and whether it has not acknowledged one of their wakes. Each is
-- found in the index by the one before.
with recursive woke (sender) as (
    select min(sender) from wake where member = :member and sender > :past
    union all
    select (select min(wake.sender) from wake where wake.member = :member and wake.sender > woke.sender)
    from woke
    where woke.sender is not null
    limit :limit
)
-- use: senders_that_wait

-- name: tokens_by_hashes
-- The tokens with the hashes of a list, which is JSON.
-- use: token_columns
from json_each(:hashes) as given
cross join token on token.hash = given.value
-- use: token_joins

-- name: needed_tasks
-- The tasks of a list, which is JSON, and how many tasks depend on each, counted up to a number.
-- use: tasks_with_dependents
from json_each(:tasks) as needed
cross join task
where task.id = needed.value

-- name: best_open_task
-- Among the open tasks that are assigned to a member, or to nobody (0), and whose first need is this: the first one that
-- a member can do. Ordered by priority, due time and age; an index has them in that order. A repair is claimed by its
-- name only, by watchdogs.
-- use: open_task_that_a_member_can_do
        select 1 from json_each(task.requires) as required
-- use: that_the_member_may_not_do

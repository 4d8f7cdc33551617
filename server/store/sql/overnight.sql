-- Overnight: who did what, who has what now, what broke, who is stopped, and what waits for a person.

-- name: last_look
select at, upto, since, after from look where member = :member

-- name: note_look
insert into look (member, at, upto, since, after) values (:member, :at, :upto, :since, :after)
on conflict (member) do update set at = :at, upto = :upto, since = :since, after = :after

-- ------------------------------------------------------------------ what waits for a person

-- name: people
-- Every name of a person, former ones too, with the name now.
select member.name as name, member.name as now from member where kind = 'human'
union all
select former_name.name as name, member.name as now
from former_name
join member on member.id = former_name.member
where member.kind = 'human'

-- name: asks_to_people
-- Asks that a person has not answered, and those to nobody that nobody has answered (null), the oldest first: those that
-- are reminded of, and those among the newest, up to a number of each. Killed people are left out. As
-- below, each row has their number in all. Answers and authors are looked up one by one: a join reads a whole thread, or
-- all members, for each ask in PostgreSQL.
with newest (id) as (
    select id from message where kind = 'ask' order by id desc limit :looked_at
),
asked (message, person) as (
    select reminded.subject, reminded.member
    from (
        select due.subject, due.member
        from member as person
        join due on due.member = person.id and due.rule = 'ask'
        where person.kind = 'human'
        limit :looked_at
    ) as reminded
    union
    select newest.id, addressee.member
    from newest
    join addressee on addressee.message = newest.id
    join member as person on person.id = addressee.member and person.kind = 'human'
    union
    select newest.id, 0 from newest
    where not exists (select 1 from addressee where addressee.message = newest.id)
)
select message.id, message.summary, (select name from member where id = message.author) as author,
    person.name as person, message.at, count(*) over () as total
from asked
join message on message.id = asked.message
left join member as person on person.id = asked.person
left join standing as own on own.scope = 'member' and own.target = asked.person
where coalesce(own.state, '') <> 'killed' and (
    select answer.id from message as answer
    where answer.thread = message.thread and answer.author = asked.person and answer.id > message.id
    limit 1
) is null and not (asked.person = 0 and exists (
    select 1 from message as answer
    where answer.thread = message.thread and answer.id > message.id and answer.author <> message.author
))
order by message.id, asked.person
limit :limit

-- name: reviews_by_people
-- Completions that a person must review: the requested reviewer, or the owner once that is overdue. Null: anyone.
select task.id, task.title, task.completed_at, completer.name as completer,
    case
        when task.completed_at <= :before and completer.owner <> task.completed_by
            and (own.state = 'active' or (own.state = 'paused' and own.until <= :now)) then answers.name
        else reviewer.name
    end as person, count(*) over () as total
from task
join member as completer on completer.id = task.completed_by
join member as answers on answers.id = completer.owner
join standing as own on own.scope = 'member' and own.target = completer.owner
left join member as reviewer on reviewer.id = task.reviewer
where task.state = 'in_review'
    and (reviewer.id is null or reviewer.kind = 'human'
        or (task.completed_at <= :before and completer.owner <> task.completed_by
            and (own.state = 'active' or (own.state = 'paused' and own.until <= :now))))
order by task.completed_at, task.id
limit :limit

-- name: blocked_tasks
select task.id, task.title, task.blocked_on, task.touched_at, holder.name as holder
from task
join member as holder on holder.id = task.holder
where task.state = 'blocked'
order by task.touched_at, task.id
limit :limit

-- name: tasks_for_people
-- Tasks that are assigned to a person and wait for nothing else.
select task.id, task.title, task.created_at, creator.name as creator, person.name as person, count(*) over () as total
from member as person
join standing as own on own.scope = 'member' and own.target = person.id and own.state <> 'killed'
join task on task.assigned = person.id
join member as creator on creator.id = task.creator
where person.kind = 'human' and task.state = 'open' and not exists (
    select 1 from dependency
    join task as before on before.id = dependency.needs_task
    where dependency.task = task.id and before.state not in ('done', 'cancelled')
)
order by task.priority desc, task.id
limit :limit

-- name: offers_to_people
select offer.id, offer.note, offer.created_at, offer.expires_at, giver.name as giver, person.name as person,
    count(*) over () as total
from member as person
join offer on offer.receiver = person.id
join member as giver on giver.id = offer.giver
where person.kind = 'human' and offer.state = 'offered' and offer.expires_at > :now
order by offer.expires_at, offer.id
limit :limit

-- name: escalated
-- Escalations to owners after reminders without effect. The caller checks whether each still applies.
select due.rule, due.subject, due.since, due.counted, due.member, member.name, owner.name as owner_name
from due
join member on member.id = due.member
join member as owner on owner.id = member.owner
left join standing as own on own.scope = 'member' and own.target = member.id
where due.escalated = 1 and own.state <> 'killed' and member.kind = 'agent'
order by due.since
limit :limit

-- ------------------------------------------------------------------ what broke

-- name: newest_of_act
-- The subjects of an act of the room since a number, newest first, each with its count and its newest entry. The casts
-- spare SQLite from preparing it at each call: see `board_in_state`.
select subject, count(*) as times, max(seq) as seq
from log_now
where act = cast(:act as text) and actor = :room and outcome = cast(:outcome as text) and seq > :after
group by subject
order by 3 desc
limit :limit

-- name: count_of_act
select count(distinct subject) as things from log_now
where act = cast(:act as text) and actor = :room and outcome = cast(:outcome as text) and seq > :after

-- name: newest_repair
-- The newest repair of a member that was created since a number. As below, an expression keeps the index by act out:
-- few entries are about one subject.
select detail from log
where act || '' = 'repair' and outcome = 'ok' and seq > :after
    and subject in (select :subject union all select subject from former_subject where now = :subject)
order by seq desc
limit 1

-- name: troubled
-- The repair shown with a suspicion is the open one, or one requested since.
select member.name, trouble.verdict, trouble.since, trouble.reason, (
        select max(repair.task) from repair
        join task on task.id = repair.task
        where repair.member = trouble.member
            and (task.created_at >= trouble.since or task.state not in ('done', 'cancelled'))
    ) as repair
from trouble
join member on member.id = trouble.member
order by case trouble.verdict when 'zombie' then 0 when 'gone' then 1 else 2 end, trouble.since, member.name
limit :limit

-- name: count_troubled
select count(*) as members from trouble

-- name: recovered
-- Members that were suspected since a number, and no longer are. A wait at a prompt is no suspicion.
select subject, count(*) as times, max(seq) as seq
from log_now
where act = 'presence' and actor = :room and outcome = 'ok' and seq > :after
    and coalesce(detail, '') not like cast(:prompt as text)
    and subject not in (select '@' || member.name from trouble join member on member.id = trouble.member)
group by subject
order by 3 desc
limit :limit

-- name: count_recovered
select count(distinct subject) as members
from log_now
where act = 'presence' and actor = :room and outcome = 'ok' and seq > :after
    and coalesce(detail, '') not like cast(:prompt as text)
    and subject not in (select '@' || member.name from trouble join member on member.id = trouble.member)

-- name: waited_at_prompts
-- Members whose harness waited at a prompt since a number, and no longer does.
select subject, count(*) as times, max(seq) as seq
from log_now
where act = 'presence' and actor = :room and outcome = 'ok' and seq > :after and coalesce(detail, '') like cast(:prompt as text)
    and subject not in (
        select '@' || member.name from harness
        join member on member.id = harness.member
        where harness.phase in ('permission', 'person')
    )
group by subject
order by 3 desc
limit :limit

-- name: count_waited_at_prompts
select count(distinct subject) as members
from log_now
where act = 'presence' and actor = :room and outcome = 'ok' and seq > :after and coalesce(detail, '') like cast(:prompt as text)
    and subject not in (
        select '@' || member.name from harness
        join member on member.id = harness.member
        where harness.phase in ('permission', 'person')
    )

-- name: sent_back
select verdict.seq, verdict.task, log.at, log.summary, reviewer.name as reviewer, completer.name as completer
from verdict
join log on log.seq = verdict.seq
join member as reviewer on reviewer.id = verdict.reviewer
join member as completer on completer.id = verdict.completer
where verdict.upheld = 0 and verdict.seq > :after
order by verdict.seq desc
limit :limit

-- name: count_sent_back
select count(*) as verdicts from verdict where upheld = 0 and seq > :after

-- name: alerts
-- Alerts since a number, and earlier ones that no other member has answered in their thread; those without an answer
-- come first.
select found.id, found.at, found.summary, author.name as author, answerer.name as answered_by
from (
    select message.id, message.seq, message.at, message.summary, message.author, (
            select answer.author from message as answer
            where answer.thread = message.thread and answer.id > message.id and answer.author <> message.author
            order by answer.id
            limit 1
        ) as answered
    from message
    where message.kind = 'alert'
        and (
            message.seq > :after
            or (
                message.id in (select id from message where kind = 'alert' order by seq desc limit :looked_at)
                and not exists (
                    select 1 from message as answer
                    where answer.thread = message.thread and answer.id > message.id and answer.author <> message.author
                )
            )
        )
) as found
join member as author on author.id = found.author
left join member as answerer on answerer.id = found.answered
order by case when found.answered is null then 0 else 1 end, found.seq desc
limit :limit

-- name: count_alerts
select count(*) as alerts from message
where message.kind = 'alert'
    and (
        message.seq > :after
        or (
            message.id in (select id from message where kind = 'alert' order by seq desc limit :looked_at)
            and not exists (
                select 1 from message as answer
                where answer.thread = message.thread and answer.id > message.id and answer.author <> message.author
            )
        )
    )

-- name: refusals_by_member
-- Log entries of refusals. Equal refusals within ten minutes share one. What people mistyped is left out.
select member.name, log.act, count(*) as entries, max(log.at) as at
from member
cross join log
where log.actor = member.id and log.outcome = 'refused' and log.seq > :after
    and (member.kind <> 'human' or (log.detail not like :invalid and log.detail not like :not_found))
group by member.name, log.act
order by 3 desc, 1, 2

-- name: refused_calls_by_member
-- How many calls of each member were refused since a time, or at that time and after an entry of the log.
select member.name, refused_call.act, cast(sum(refused_call.calls) as bigint) as calls, max(refused_call.at) as at
from refused_call
join member on member.id = refused_call.member
where refused_call.at > :since or (refused_call.at = :since and refused_call.seq > :after)
group by member.name, refused_call.act
order by 3 desc, 1, 2

-- name: count_failing
select count(*) as duties from due where failures > 0

-- ------------------------------------------------------------------ who is stopped

-- name: who_is_stopped
-- Paused and killed members, the newest first. The cast spares SQLite from preparing it at each call, as below: see
-- `board_in_state`.
select standing.scope, member.name, standing.state, standing.since, standing.until, setter.name as by_name,
    standing.reason
from standing
join member as setter on setter.id = standing.by_member
left join member on member.id = standing.target and standing.scope <> 'room'
where standing.state = cast(:state as text) and (standing.until is null or standing.until > :now) and standing.since > :since
    and standing.since <= :upto
order by standing.since desc, standing.scope, member.name
limit :limit

-- name: count_stopped
select count(*) as targets from standing
where state = cast(:state as text) and (until is null or until > :now) and since > :since and since <= :upto

-- name: resumed
-- Members that were resumed or revived since a number, and may act now.
select subject, count(*) as times, max(seq) as seq
from log_now
where act in ('pause', 'resume', 'kill', 'enroll') and actor in (select id from member) and outcome = 'ok'
    and seq > :after and (act <> 'enroll' or detail like :revival)
    and subject not in (
        select case standing.scope when 'room' then 'room' when 'owner' then 'owner:' || member.name
            else '@' || member.name end
        from standing
        left join member on member.id = standing.target
        where standing.state <> 'active' and (standing.until is null or standing.until > :now)
    )
group by subject
order by 3 desc
limit :limit

-- name: count_resumed
select count(distinct subject) as targets
from log_now
where act in ('pause', 'resume', 'kill', 'enroll') and actor in (select id from member) and outcome = 'ok'
    and seq > :after and (act <> 'enroll' or detail like :revival)
    and subject not in (
        select case standing.scope when 'room' then 'room' when 'owner' then 'owner:' || member.name
            else '@' || member.name end
        from standing
        left join member on member.id = standing.target
        where standing.state <> 'active' and (standing.until is null or standing.until > :now)
    )

-- name: newest_stop
-- When a target was last stopped. If that was before a restore, when the restored room took it over.
select log.seq, log.at, log.detail, actor.name as actor
from log
join member as actor on actor.id = log.actor
where log.act || '' in ('pause', 'kill', 'restore') and log.outcome = 'ok'
    and log.subject in (select :subject union all select subject from former_subject where now = :subject)
order by case log.act when 'restore' then 1 else 0 end, log.seq desc
limit 1

-- name: resumed_after
-- Who ended a stop: by a resume, or by reviving a killed member.
select log.act, log.at, actor.name as actor
from log
join member as actor on actor.id = log.actor
where log.outcome = 'ok' and log.seq > :after
    and log.subject in (select :subject union all select subject from former_subject where now = :subject)
    and (log.act || '' = 'resume' or (log.act || '' = 'enroll' and log.detail like :revival))
order by log.seq
limit 1

-- ------------------------------------------------------------------ who has what, and who did what

-- name: tasks_in_work
-- The lease that expires first comes first. Tasks whose lease is paused come last.
select id from task
where state in ('claimed', 'blocked', 'offered', 'in_review')
order by case when lease_from is null then 1 else 0 end, lease_from + lease_seconds, touched_at, id
limit :limit

-- name: count_unfinished
select state, count(*) as tasks from task
where state in ('open', 'claimed', 'blocked', 'offered', 'in_review')
group by state

-- name: last_brought
-- The last progress of a task: a note, a block, a completion or a claim.
select member.name as member, log.at, task_entry.kind, task_entry.text, task_entry.detail
from task_entry
join log on log.seq = task_entry.seq
join member on member.id = task_entry.member
where task_entry.task = :task and task_entry.kind in ('note', 'working', 'blocked', 'completed', 'claimed', 'accepted')
order by task_entry.seq desc
limit 1

-- name: done_by_member
-- How many tasks each member completed and reviewed since a number, and how many reports it posted.
select member.id as member,
    (select count(*) from log
        where act = 'complete_task' and actor = member.id and seq > :after and outcome = 'ok') as completed,
    (select count(*) from log
        where act = 'review_task' and actor = member.id and seq > :after and outcome = 'ok') as reviewed,
    (select count(*) from message
        where author = member.id and kind = 'report' and folded = 0 and id > :message) as reports
from member
where member.kind <> 'room'

-- name: handed_over
select offer.giver, offer.receiver, count(*) as times
from log
join offer on offer.id = cast(substr(log.subject, 3) as bigint)
where log.act = 'answer_hand_off' and log.actor in (select id from member) and log.outcome = 'ok' and log.seq > :after
    and offer.state = 'accepted'
group by offer.giver, offer.receiver

-- name: newest_completions
select subject from log
where act = 'complete_task' and actor = :member and seq > :after and outcome = 'ok'
order by seq desc
limit :limit

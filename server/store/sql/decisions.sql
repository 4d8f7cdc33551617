-- Decisions: what people are asked to decide, and what they decided.

-- name: newest_decision
-- No decision is ever deleted, so the largest id is the newest.
select coalesce(max(id), 0) as id from decision

-- name: add_decision
insert into decision (id, asker, task, question, detail, options, artifacts, digest, state, created_at, expires_at,
    replaces)
values (:id, :asker, :task, :question, :detail, :options, :artifacts, :digest, 'open', :now, :expires_at, :replaces)

-- name: add_asked
insert into asked (decision, member) values (:decision, :member) on conflict do nothing

-- name: decision
select decision.id, decision.asker, decision.task, decision.question, decision.detail, decision.options,
    decision.artifacts, decision.digest, decision.state, decision.created_at, decision.expires_at, decision.choice,
    decision.note, decision.decided_by, decision.settled_at, decision.settled_seq, decision.replaces,
    decision.replaced_by,
    asker.name as asker_name, decider.name as decider_name
from decision
join member as asker on asker.id = decision.asker
left join member as decider on decider.id = decision.decided_by
where decision.id = :id

-- name: asked_people
select asked.member, member.name
from asked
join member on member.id = asked.member
where asked.decision = :decision
order by member.name
limit :limit

-- name: settle_decision
update decision
set state = :state, choice = :choice, note = :note, decided_by = :decided_by, settled_at = :now, settled_seq = :seq,
    replaced_by = :replaced_by
where id = :id

-- name: count_open_decisions
select count(*) as decisions from decision where asker = :asker and state = 'open'

-- name: decisions_asked_by
-- The decisions that a member asked for and that are open, or were settled after a number; the newest first.
select id from decision
where asker = :member and (state = 'open' or settled_seq > :after)
order by id desc
limit :limit

-- name: decisions_asked_of
-- The open decisions that a person was asked for, the oldest first.
select decision.id
from asked
join decision on decision.id = asked.decision
where asked.member = :member and decision.state = 'open' and decision.expires_at > :now
order by decision.id
limit :limit

-- name: decisions_about
-- The decisions about a task, the newest first.
select id from decision where task = :task order by id desc limit :limit

-- name: open_decisions
-- All open decisions, those that expire first.
select id from decision where state = 'open' and expires_at > :now order by expires_at, id limit :limit

-- name: count_all_open_decisions
select count(*) as decisions from decision where state = 'open' and expires_at > :now

-- name: take_decision
-- Redacts a decision. An open one is withdrawn, because nobody could read what it asks.
update decision
set question = :taken, detail = '', options = '[]', artifacts = '[]', note = '', digest = '',
    settled_at = case when state = 'open' then :now else settled_at end,
    settled_seq = case when state = 'open' then :seq else settled_seq end,
    state = case when state = 'open' then 'withdrawn' else state end
where id = :id

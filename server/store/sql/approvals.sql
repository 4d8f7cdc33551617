-- Approvals: which calls of agents' own tools wait for a person, and the decision about each call.

-- name: add_approval_rule
insert into approval_rule (id, level, target, matched, exceptions, scope, made_by)
values (:id, :level, :target, :matched, :exceptions, :scope, :made_by)

-- name: remove_approval_rule
delete from approval_rule where id = :id

-- name: approval_rule
select approval_rule.id, approval_rule.level, approval_rule.target, approval_rule.matched, approval_rule.exceptions,
    approval_rule.scope, approval_rule.made_by,
    target.name as target_name, target.owner as target_owner, maker.name as maker_name
from approval_rule
join member as target on target.id = approval_rule.target
join member as maker on maker.id = approval_rule.made_by
where approval_rule.id = :id

-- name: approval_rules_of
-- The rules that bind an agent: its own, and those of its owner.
select approval_rule.id, approval_rule.level, approval_rule.target, approval_rule.matched, approval_rule.exceptions,
    approval_rule.scope, approval_rule.made_by,
    target.name as target_name, target.owner as target_owner, maker.name as maker_name
from approval_rule
join member as target on target.id = approval_rule.target
join member as maker on maker.id = approval_rule.made_by
where (approval_rule.level = 'member' and approval_rule.target = :member)
    or (approval_rule.level = 'owner' and approval_rule.target = :owner)
order by approval_rule.id
limit :limit

-- name: approval_rules
-- Every rule of the room, the oldest first.
select approval_rule.id, approval_rule.level, approval_rule.target, approval_rule.matched, approval_rule.exceptions,
    approval_rule.scope, approval_rule.made_by,
    target.name as target_name, target.owner as target_owner, maker.name as maker_name
from approval_rule
join member as target on target.id = approval_rule.target
join member as maker on maker.id = approval_rule.made_by
where approval_rule.id > :after
order by approval_rule.id
limit :limit

-- name: count_approval_rules
select count(*) as rules from approval_rule where level = :level and target = :target

-- name: same_approval_rule
select id from approval_rule
where level = :level and target = :target and matched = :matched and exceptions = :exceptions and scope = :scope
order by id
limit 1

-- name: add_approval
insert into approval (decision, member, call, epoch) values (:decision, :member, :call, :epoch)

-- name: approval_for
-- The newest decision about a call of a member in this epoch.
select approval.decision, approval.used_at
from approval
where approval.member = :member and approval.call = :call and approval.epoch = :epoch
order by approval.decision desc
limit 1

-- name: count_open_approvals
-- A member asks for its own decisions, and few of them are open: the search begins with these.
select count(*) as approvals
from decision
join approval on approval.decision = decision.id
where decision.asker = :member and decision.state = 'open' and decision.expires_at > :now
    and approval.used_at is null

-- name: use_approval
update approval set used_at = :now where decision = :decision

-- name: take_approval
-- Redacts what a decision was about. The call that it allowed can no longer pass.
update approval set call = '', used_at = coalesce(used_at, :now) where decision = :decision

-- name: void_approvals_of
-- What a person allowed a member before it was killed lets nothing pass later: a person is asked again. Older ones can no longer pass anyway.
update approval set used_at = :now
where member = :member and used_at is null and exists (
    select 1 from decision
    where decision.id = approval.decision and (decision.state = 'open' or decision.settled_at > :since)
)

-- What members reach, what was planted to prove it, and what they are asked.

-- name: capabilities
select capability.capability, capability.since, capability.proven_at, capability.proven_until,
    capability.attested_at, capability.attested_until, capability.failed_at,
    planter.name as proven_by, attester.name as attested_by
from capability
left join member as planter on planter.id = capability.proven_by
left join member as attester on attester.id = capability.attested_by
where capability.member = :member and capability.withdrawn_at is null
order by capability.capability

-- name: with_capability
select member.name, capability.proven_until, capability.attested_until, capability.failed_at
from capability
join member on member.id = capability.member
where capability.capability = :capability and capability.withdrawn_at is null
order by member.name
limit :limit

-- name: declare_capability
insert into capability (member, capability, since)
values (:member, :capability, :now)
on conflict (member, capability) do update set since = :now, withdrawn_at = null

-- name: forget_capability
-- Nothing is kept of a capability that is withdrawn, unless it failed or somebody else vouched for it.
delete from capability
where member = :member and capability = :capability and failed_at is null and attested_until is null

-- name: withdraw_capability
update capability set withdrawn_at = :now, proven_until = null
where member = :member and capability = :capability

-- name: provable
-- What a member declares and somebody else has planted, with what it is asked at the moment.
select capability.capability, capability.proven_until, plant.reads, plant.hint, planter.name as planter,
    probe.nonce, probe.opened_at
from capability
join plant on plant.capability = capability.capability
join member as planter on planter.id = plant.planted_by
left join probe on probe.member = capability.member and probe.capability = capability.capability
where capability.member = :member and capability.withdrawn_at is null and plant.planted_by <> :member
order by capability.capability

-- Capabilities, the values planted to prove them, and open probes.

-- name: capabilities
select capability.capability, capability.since, capability.proven_at, capability.proven_until,
    capability.attested_at, capability.attested_until, capability.failed_at,
    planter.name as proven_by, attester.name as attested_by, capability.attested_by as attester
from capability
left join member as planter on planter.id = capability.proven_by
left join member as attester on attester.id = capability.attested_by
where capability.member = :member and capability.withdrawn_at is null
order by capability.capability

-- name: with_capability
-- The members that declare a capability and can still be probed.
select member.name, capability.proven_until, capability.attested_until, capability.failed_at
from capability
join member on member.id = capability.member
join standing on standing.scope = 'member' and standing.target = member.id
where capability.capability = :capability and capability.withdrawn_at is null and standing.state <> 'killed'
order by member.name
limit :limit

-- name: declare_capability
insert into capability (member, capability, since)
values (:member, :capability, :now)
on conflict (member, capability) do update set since = :now, withdrawn_at = null

-- name: forget_capability
-- A withdrawn capability is deleted, unless it failed or another member attested it.
delete from capability
where member = :member and capability = :capability and failed_at is null and attested_until is null

-- name: withdraw_capability
update capability set withdrawn_at = :now, proven_until = null
where member = :member and capability = :capability

-- name: prove_capability
update capability set proven_at = :now, proven_until = :until, proven_by = :planter, failed_at = null
where member = :member and capability = :capability

-- name: fail_capability
update capability set failed_at = :now, proven_until = null, attested_until = null
where member = :member and capability = :capability

-- name: attest_capability
update capability set attested_at = :now, attested_until = :until, attested_by = :attester, failed_at = null
where member = :member and capability = :capability

-- name: withdraw_attestation
update capability set attested_at = null, attested_until = null, attested_by = null
where member = :member and capability = :capability

-- name: tried_to_prove
select member from capability
where capability = :capability and (proven_until is not null or failed_at is not null)
order by member
limit :limit

-- name: end_proofs
-- The planted value was replaced or removed, so earlier proofs no longer count.
update capability
set proven_until = case when proven_until > :now then :now else proven_until end, failed_at = null
where capability = :capability

-- name: add_plant
insert into plant (capability, value, reads, hint, planted_by, planted_at)
values (:capability, :value, :reads, :hint, :planter, :now)
on conflict (capability) do update
set value = :value, reads = :reads, hint = :hint, planted_by = :planter, planted_at = :now

-- name: remove_plant
delete from plant where capability = :capability

-- name: plants
-- Everything except the values.
select plant.capability, plant.reads, plant.hint, plant.planted_at, planter.name as planter
from plant
join member as planter on planter.id = plant.planted_by
order by plant.capability
limit :limit

-- name: plant_value
select value, planted_by from plant where capability = :capability

-- name: declared_by
-- The members that declare a capability, for a probe.
select member from capability
where capability = :capability and withdrawn_at is null and member <> :planter
order by member
limit :limit

-- name: provable
-- The capabilities that a member declares and another has planted, with the member's open probe.
select capability.capability, capability.proven_until, plant.reads, plant.hint, planter.name as planter,
    probe.nonce, probe.opened_at
from capability
join plant on plant.capability = capability.capability
join member as planter on planter.id = plant.planted_by
left join probe on probe.member = capability.member and probe.capability = capability.capability
where capability.member = :member and capability.withdrawn_at is null and plant.planted_by <> :member
order by capability.capability

-- name: earliest_proof
-- When a member's earliest proof expires.
select min(proven_until) as until from capability
where member = :member and withdrawn_at is null and proven_until is not null

-- name: open_probe
insert into probe (member, capability, nonce, opened_at)
values (:member, :capability, :nonce, :now)
on conflict (member, capability) do update set nonce = :nonce, opened_at = :now

-- name: close_probe
delete from probe where member = :member and capability = :capability

-- name: close_probes
delete from probe where capability = :capability

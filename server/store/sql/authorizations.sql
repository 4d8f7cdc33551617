-- Authorisations: what a person lets members do.

-- name: newest_authorisation
-- No entry is ever deleted, so the largest id is the newest.
select coalesce(max(id), 0) as id from authorisation

-- name: add_authorisation
insert into authorisation (id, level, target, scope, uses, made_by, created_at, expires_at, reason, changed_seq)
values (:id, :level, :target, :scope, :uses, :made_by, :now, :expires_at, :reason, :seq)

-- name: authorisation
select authorisation.id, authorisation.level, authorisation.target, authorisation.scope, authorisation.uses,
    authorisation.used, authorisation.made_by, authorisation.created_at, authorisation.expires_at,
    authorisation.reason, authorisation.revoked_at, authorisation.revoked_by, authorisation.changed_seq,
    target.name as target_name, target.owner as target_owner, maker.name as maker_name,
    revoker.name as revoker_name
from authorisation
join member as target on target.id = authorisation.target
join member as maker on maker.id = authorisation.made_by
left join member as revoker on revoker.id = authorisation.revoked_by
where authorisation.id = :id

-- name: authorisation_for
-- The entry that lets a member do something now: one without a limit first, then the one that lasts longest.
select id from authorisation
where scope = :scope and revoked_at is null and expires_at > :now and (uses = 0 or used < uses)
    and ((level = 'member' and target = :member) or (level = 'owner' and target = :owner))
order by case when uses = 0 then 0 else 1 end, expires_at desc, id
limit 1

-- name: authorisations_of
-- The entries that let a member do something now, the newest first. `owner` 0: those of its owner do not count for it.
select id from authorisation
where revoked_at is null and expires_at > :now and (uses = 0 or used < uses)
    and ((level = 'member' and target = :member) or (level = 'owner' and target = :owner))
order by id desc
limit :limit

-- name: use_authorisation
update authorisation set used = used + 1, changed_seq = :seq where id = :id

-- name: revoke_authorisation
update authorisation set revoked_at = :now, revoked_by = :by_member, changed_seq = :seq where id = :id

-- name: revoke_every_authorisation
-- A restored room cannot know which of them were revoked or used since the backup.
update authorisation set revoked_at = :now, revoked_by = :by_member, changed_seq = :seq
where revoked_at is null and expires_at > :now

-- name: revoke_authorisations_of
-- A member that was killed starts anew: what it may do, a person says again.
update authorisation set revoked_at = :now, revoked_by = :by_member, changed_seq = :seq
where level = 'member' and target = :member and revoked_at is null and expires_at > :now

-- name: take_authorisation
-- Redacts an entry. One in force is revoked, because nobody could read what it allows.
update authorisation
set scope = :taken, reason = '', revoked_at = coalesce(revoked_at, :now), changed_seq = :seq
where id = :id

-- name: authorisations_in_force
-- Those that allow something now, or changed since a number of the log; the newest first.
select id from authorisation
where changed_seq > :after or (revoked_at is null and expires_at > :now and (uses = 0 or used < uses))
order by changed_seq desc, id desc
limit :limit

-- name: count_authorisations_in_force
select count(*) as entries from authorisation
where changed_seq > :after or (revoked_at is null and expires_at > :now and (uses = 0 or used < uses))

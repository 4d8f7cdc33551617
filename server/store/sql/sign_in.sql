-- Links with which people sign in to the page.

-- name: put_sign_in
insert into sign_in (member, hash, issued_by, expires_at)
values (:member, :hash, :issued_by, :expires_at)
on conflict (member) do update
set hash = excluded.hash, issued_by = excluded.issued_by, expires_at = excluded.expires_at

-- name: sign_in_by_hash
-- A link by its code, with its member, and with the token that made it.
select sign_in.member, sign_in.expires_at, sign_in.issued_by, member.name, member.owner, own.state,
    issuer.revoked_at as issuer_revoked_at, issuer.expires_at as issuer_expires_at
from sign_in
join member on member.id = sign_in.member
join standing as own on own.scope = 'member' and own.target = member.id
left join token as issuer on issuer.id = sign_in.issued_by
where sign_in.hash = :hash

-- name: drop_sign_in
delete from sign_in where member = :member

-- name: has_signed_in
-- Whether a person ever signed in to the page.
select 1 as found from token where member = :member and kind = 'browser' limit 1

-- name: sessions_issued_by
-- The live sessions of other people on the page whose links a member's tokens made.
select token.id, token.member
from token as issuer
join token on token.issued_by = issuer.id
where issuer.member = :member and token.kind = 'browser' and token.member <> :member and token.revoked_at is null
    and token.expires_at > :now
order by token.created_at, token.id
limit :limit

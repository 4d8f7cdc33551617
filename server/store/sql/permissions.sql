-- What always holds of members, tokens and standing, and what repairs a room in which it does not hold.

-- name: rights_of
-- A member with what is stored of its standing, and of that of its agents.
select member.id, member.name, member.kind, member.role, member.owner,
    own.state as own_state, own.until as own_until,
    agents.state as agents_state, agents.until as agents_until
from member
left join standing as own on own.scope = 'member' and own.target = member.id
left join standing as agents on agents.scope = 'owner' and agents.target = member.id
where member.id = :member

-- name: owner_that_can_act
-- A person that owns the room, can act, and has a token that does not expire. A chat client may be unable to ask for a
-- confirmation, so its token does not count. Nor does the token `without`, which is about to end.
select member.id
from member
where member.role = 'owner' and member.kind = 'human'
    and exists (
        select 1 from standing
        where standing.scope = 'member' and standing.target = member.id
            and (standing.state = 'active' or (standing.state = 'paused' and standing.until <= :now))
    )
    and exists (
        select 1 from token
        where token.member = member.id and token.revoked_at is null and token.expires_at is null and token.kind = ''
            and token.id <> :without
    )
limit 1

-- name: first_owner_that_can_act
select member.id, member.name
from member
where member.role = 'owner' and member.kind = 'human'
    and exists (
        select 1 from standing
        where standing.scope = 'member' and standing.target = member.id
            and (standing.state = 'active' or (standing.state = 'paused' and standing.until <= :now))
    )
order by member.id
limit 1

-- name: first_person
select id, name from member where kind = 'human' order by case when role = 'owner' then 0 else 1 end, id limit 1

-- name: agents_that_own_the_room
select id, name from member where role = 'owner' and kind <> 'human' and id > :after order by id limit :limit

-- name: killed_people_with_agents_at_work
-- People that were killed and whose agents are not paused without an end.
select member.id, member.name
from standing as own
join member on member.id = own.target
join standing as agents on agents.scope = 'owner' and agents.target = member.id
where own.scope = 'member' and own.state = 'killed' and member.kind = 'human'
    and not (agents.state = 'paused' and agents.until is null) and member.id > :after
order by member.id
limit :limit

-- name: has_chat_labels
select 1 as found from token where revoked_at is null and kind = '' and lower(label) = 'chat' limit 1

-- name: mark_chat_tokens
update token set kind = 'chat' where revoked_at is null and kind = '' and lower(label) = 'chat'

-- name: forget_confirmations
delete from confirmation where until <= :now

-- name: use_confirmation
insert into confirmation (nonce, until) values (:nonce, :until) on conflict (nonce) do nothing

-- The standing of a member at three levels: its own, that of its owner's agents, and the room's.
create view member_standing as
select member.id as member,
    own.state as own_state, own.until as own_until, own.since as own_since,
    owners.state as owner_state, owners.until as owner_until, owners.since as owner_since,
    room.state as room_state, room.until as room_until, room.since as room_since
from member
left join standing as own on own.scope = 'member' and own.target = member.id
left join standing as owners on owners.scope = 'owner' and owners.target = member.owner
left join standing as room on room.scope = 'room' and room.target = 0;

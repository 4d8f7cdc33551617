-- `kind`: '' or `chat`, a token of a chat client. `issued_by`: the token whose call issued it; null if the room did, or
-- an earlier release. The room gives old tokens their kind when it opens, in an entry of its own.
alter table token add column kind text not null default '' check (kind in ('', 'chat'));
alter table token add column issued_by text;
create index token_issuer on token (issued_by) where issued_by is not null;

-- The owners of the room: an act that takes one away looks whether another can act.
create index member_owns_room on member (id) where role = 'owner';

-- Confirmations that people gave and that an act used up. A confirmation counts until `until` at the latest.
create table confirmation (
    nonce text primary key,
    until double precision not null
);
create index confirmation_until on confirmation (until);

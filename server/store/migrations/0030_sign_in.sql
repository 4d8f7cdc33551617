-- A third kind of token, `browser`: a session of a person on the page, in the cookie of that browser.
alter table token rename column kind to earlier_kind;
alter table token add column kind text not null default '' check (kind in ('', 'chat', 'browser'));
update token set kind = earlier_kind where earlier_kind <> '';
alter table token drop column earlier_kind;

-- The link with which a person can sign in once. A new link takes the place of the one before.
-- `hash`: of its code. `issued_by`: the token whose call made it; null if the room did.
create table sign_in (
    member bigint primary key references member (id),
    hash text not null unique,
    issued_by text,
    expires_at double precision not null
);

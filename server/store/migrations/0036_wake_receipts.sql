-- What was seen of each wake, in three steps: its member's listener was given it, a harness started with it, and the
-- member itself acted. Null: not seen. `listener`: which listener was given it last; '' for one without a name.
alter table wake add column notified_at double precision;
alter table wake add column woken_at double precision;
alter table wake add column acted_at double precision;
alter table wake add column listener text not null default '';

-- `woken`: the highest wake with which a harness started since the member acted last; 0 if none did. `verified`: the
-- listener that was last seen to make its member act. `unacted_at`: since when its newest wakes lead to no act.
-- `lost_runs`: how many runs in a row made no call.
alter table presence add column woken bigint not null default 0;
alter table presence add column verified text not null default '';
alter table presence add column unacted_at double precision;
alter table presence add column lost_runs bigint not null default 0;

-- `is_verified`: whether a wake of the newest listener has gone through all three steps; null if that has no name, so
-- that it cannot say when it starts a harness. A name begins with 13 digits and a hyphen: what follows stays the same
-- for the listeners that one harness starts after each other.
create view member_wakes as
select presence.member, presence.unacted_at, (
    select case
        when presence.verified <> '' and substr(listener.listener, 15) = substr(presence.verified, 15) then 1
        when listener.listener is not null then 0
    end
    from listener
    where listener.member = presence.member
) as is_verified
from presence;

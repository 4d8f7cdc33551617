-- Agents whose pause with others has ended, but whose wakes are still held: they are let go one after the other.
-- `owner`: whose agents were paused, 0 for the room. `first`: 0 if an alert or a person's question waits, 1 if anything
-- else does, 2 if nothing does. `since`: how long the oldest has waited.
create table held_back (
    member integer primary key references member (id),
    owner bigint not null,
    first integer not null,
    since double precision not null
);
create index held_back_order on held_back (first, since, member);

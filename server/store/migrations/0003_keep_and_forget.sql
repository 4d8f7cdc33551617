-- What a restored room must know: the epoch of each member's last check-in, because older cursors are void.
alter table member add column epoch bigint not null default 1;

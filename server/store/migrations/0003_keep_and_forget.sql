-- What a restored room has to know: in which epoch a member last checked in, since older cursors are void.
alter table member add column epoch bigint not null default 1;

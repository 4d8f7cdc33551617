-- How many times a ring of agents has come round, as of a message from one of them to the next. 0: no ring.
alter table addressee add column lap bigint not null default 0;

-- What keeps the room quiet: budgets, folding, and how many turns two agents have taken in answering each other.

-- When a wake was caused, and whether its sender had used up its share of the member's wakes.
alter table wake add column at double precision not null default 0;
alter table wake add column folded integer not null default 0;
update wake set at = coalesce((select log.at from log where log.seq = wake.seq), 0);
create index wake_sender on wake (member, sender, seq) where folded = 0;

-- A note beyond its author's budget is shown folded.
alter table message add column folded integer not null default 0;
create index message_spent on message (author, kind, id) where folded = 0;

-- Each addressee has the message's author, and the turn that the message is between these two agents. The turn is 0 if
-- either is a person.
alter table addressee add column author bigint not null default 0;
alter table addressee add column turn bigint not null default 0;
update addressee set author = (select message.author from message where message.id = addressee.message);
create index addressee_member on addressee (member, message);
create index addressee_pair on addressee (member, author, message);
create index addressee_person on addressee (member, message) where turn = 0;

-- When a task of a member last moved.
create index task_holder_changed on task (holder, changed_seq);
create index task_creator_changed on task (creator, changed_seq);

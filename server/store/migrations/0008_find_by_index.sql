-- What the supervisor asks of a member is found by an index, however much the room holds.

-- Who needs what, by what is needed: a repair that goes on is not asked for twice.
create index need_capability on need (need, task);

-- A member's own messages: what a challenge is about.
create index message_author on message (author, id);

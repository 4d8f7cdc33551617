-- Indexes for the supervisor's queries about a member, so that their cost does not depend on the size of the room.

-- Tasks by what they need: a repair that is open is not requested twice.
create index need_capability on need (need, task);

-- A member's own messages, which challenges are about.
create index message_author on message (author, id);

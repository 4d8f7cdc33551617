-- Each index costs every post, claim or update that moves a row in it. No statement needs these any more: the log says
-- which messages a member posted, and the others were never used.
drop index message_author;
drop index message_task;
drop index task_assigned;
drop index task_lease_end;

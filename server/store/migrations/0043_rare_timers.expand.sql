-- An overnight reads which timers were escalated, and how many fail. Among tens of thousands, these are few.
create index due_escalated on due (since) where escalated = 1;
create index due_failing on due (failures) where failures > 0;

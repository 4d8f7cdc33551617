-- Where most wakes are one member's, PostgreSQL would look for those of another by walking through all of them in order.
-- So it is told that wakes belong to many members, and uses the index that begins with the member.
alter table wake alter column member set (n_distinct = 1000);

-- Whether a member has answered in a thread, however long the thread is.
create index message_answer on message (thread, author, id);

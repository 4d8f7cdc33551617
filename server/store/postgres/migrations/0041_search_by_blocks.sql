-- Words are found among messages of some blocks, without those that match elsewhere. The index has a block for each 16384
-- messages. Words wait to be put into it as long as PostgreSQL lets them: one act puts all that wait into the index, and
-- with a shorter list more acts do that, for which a stop has to wait.
create index message_word_in_block on message_words using gin (words, (array[message / 16384]));
drop index message_word;

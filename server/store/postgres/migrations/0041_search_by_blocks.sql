-- Words are found among messages of some blocks, without those that match elsewhere. The index has a block for each 16384
-- messages. What waits to be put into it is searched one by one at each look, so not much may wait.
create index message_word_in_block on message_words using gin (words, (array[message / 16384])) with (gin_pending_list_limit = 512);
drop index message_word;

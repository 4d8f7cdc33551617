-- The words of messages and tasks, as `words.py` divides them.
create table message_words (message bigint primary key references message (id) on delete cascade, words tsvector not null);
create table task_words (task bigint primary key references task (id) on delete cascade, words tsvector not null);
create index message_word on message_words using gin (words);
create index task_word on task_words using gin (words);

create function teamroom_task_words_added() returns trigger language plpgsql as $$ begin insert into unindexed_task (task) values (new.id) on conflict do nothing; return null; end $$;
create trigger task_words_added after insert on task for each row execute function teamroom_task_words_added();

create function teamroom_task_words_changed() returns trigger language plpgsql as $$ begin delete from task_words where task = new.id; insert into unindexed_task (task) values (new.id) on conflict do nothing; return null; end $$;
create trigger task_words_changed after update of title, detail on task for each row
when (new.title <> old.title or new.detail <> old.detail) execute function teamroom_task_words_changed();

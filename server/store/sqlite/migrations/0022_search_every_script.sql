-- The tokenizer gets texts in which `index_words` has divided what is written without spaces. Marks belong to words.
drop table message_text;
create virtual table message_text using fts5 (
    summary, text, content = 'message', content_rowid = 'id',
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
);
create virtual table task_text using fts5 (
    title, detail, tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
);

create trigger task_words_added after insert on task
begin insert into unindexed_task (task) values (new.id); end;

create trigger task_words_changed after update of title, detail on task
when new.title <> old.title or new.detail <> old.detail
begin delete from task_text where rowid = new.id; insert into unindexed_task (task) values (new.id) on conflict do nothing; end;

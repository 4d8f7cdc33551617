-- The search index. It stores no texts itself: they are in `message`, under the same id.
create virtual table message_text using fts5 (
    summary, text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
insert into message_text (rowid, summary, text) select id, summary, text from message;

-- What only SQLite understands: how a connection of each kind is set up.

-- name: give_space_back
-- A file from which pages can be given back to the disk, some at a time. An older file must be rebuilt for that.
pragma auto_vacuum = incremental

-- name: how_space_is_given_back
pragma auto_vacuum

-- name: copy_whole
vacuum into :path

-- name: free_pages
pragma freelist_count

-- name: return_pages
-- Gives so many pages back: see RETURNED_PAGES.
pragma incremental_vacuum(1024)

-- name: write_ahead
pragma journal_mode = wal

-- name: durable
pragma synchronous = full

-- name: foreign_keys
pragma foreign_keys = on

-- name: overwrite_deleted
-- Deleted content is overwritten, so that redacted content is not found in the file.
pragma secure_delete = on

-- name: no_automatic_checkpoint
pragma wal_autocheckpoint = 0

-- name: only_reads
pragma query_only = on

-- name: page_count
pragma page_count

-- name: page_size
pragma page_size

-- name: checkpoint
pragma wal_checkpoint(passive)

-- name: checkpoint_and_cut
pragma wal_checkpoint(truncate)

-- name: temporary_in_memory
-- What undoes an act stays in memory, and so does what a read sorts. Otherwise, more than a few pages of it would need a
-- temporary file, and a place for it outside the data folder.
pragma temp_store = memory

-- name: wait_never
pragma busy_timeout = 0

-- name: wait_for_locks
pragma busy_timeout = 5000

-- name: begin_write
begin immediate

-- name: begin_read
begin

-- name: savepoint
savepoint act

-- name: release
release act

-- name: undo
rollback to act

-- name: commit
commit

-- name: rollback
rollback

-- name: snapshot
-- The first read of a deferred transaction takes the snapshot.
select count(*) from sqlite_schema

-- name: one_file
-- A copy that is never written needs no write-ahead log.
pragma journal_mode = delete

-- name: look_at_pages
-- Checks the pages of a table and its indexes, or of the whole file, and does not compare indexes with their tables.
select quick_check from pragma_quick_check(:table)

-- name: tables_to_look_at
-- The tables, and last those that grow with the log.
select name from sqlite_schema
where type = 'table'
order by name in ('addressee', 'log', 'message', 'message_text_data', 'task_entry', 'wake'), name

-- name: check_pages
pragma integrity_check(1)

-- name: places
-- Every column of every table, such as task.holder.
select tables.name || '.' || columns.name as place
from sqlite_schema as tables
join pragma_table_info(tables.name) as columns
where tables.type = 'table'

-- name: refer_later
-- Within a transaction: rows may refer to others that are written later.
pragma defer_foreign_keys = on

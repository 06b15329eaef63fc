/* tag.h: what a CommandComplete's tag says about session state. */
#ifndef PGSLUICE_PG_TAG_H
#define PGSLUICE_PG_TAG_H

#include <stddef.h>
#include <stdint.h>

enum tag {
    TAG_OTHER, /* nothing that outlives a transaction */
    TAG_SET,
    TAG_RESET,
    TAG_DISCARD_ALL,
    TAG_DISCARD, /* PLANS, SEQUENCES, TEMP */
    TAG_PREPARE,
    TAG_DEALLOCATE,
    TAG_DEALLOCATE_ALL,
    TAG_LISTEN,
    TAG_UNLISTEN,
    TAG_DECLARE_CURSOR,
    TAG_CLOSE_CURSOR,
    TAG_CREATE_TABLE, /* also CREATE TABLE AS, SELECT INTO; perhaps temporary */
    TAG_CREATE_OTHER, /* CREATE VIEW, SEQUENCE, …: perhaps temporary */
    TAG_LOAD,
    TAG_DO_OR_CALL, /* code that may have done anything */
    TAG_BEGIN,
    TAG_COMMIT,
    TAG_ROLLBACK,
};

/* `text` has no zero byte necessarily; fast for the common tags (SELECT, INSERT, …). */
enum tag tag_parse(const char *text, size_t length);

#endif
